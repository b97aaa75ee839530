"""A few events, as csv and as columns, and why a file of events is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.errors import DataError

Write = Callable[[str, str | bytes], Path]

EVENTS = {"user": ["ann", "ann", "bob"], "item": ["x", "y", "x"], "time": [10, 20, 15]}
CSV = "user,item,time\nann,x,10\nann,y,20\nbob,x,15\n"


def refusal(file: Path, columns: Columns | None = None, kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as caught:
        read_interactions(file, columns or Columns())
    return str(caught.value)
