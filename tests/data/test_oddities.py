"""What is odd about a log is told to the second."""

from nextitem.data.interactions import Interactions
from nextitem.data.log import index
from nextitem.data.oddities import notes_on_log


def test_what_lies_ahead_is_told_to_the_second() -> None:
    log = index(Interactions.from_columns([1, 1, 1], [1, 2, 3], [1_700_000_000, 1_700_000_001, 1_700_000_002]))
    assert notes_on_log(log, now=1_700_000_000.5) == ("2 events lie in the future: check the unit of times",)
    assert notes_on_log(log, now=1_700_000_002.5) == ()
