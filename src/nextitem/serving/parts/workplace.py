"""Where lists are made before they have their name: finished parts, and what tells a restart whose they are.

`<folder>/.partial/<name>` lies beside `<folder>/<name>`, holds a file for each finished part, and goes at the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import polars as pl
from pydantic import ValidationError

from nextitem.settings.configuration import Configuration
from nextitem.storage import alone_in, clear, content_of, leave, whole_file, write_arrow, write_parquet, write_text

_ASKED = "asked.json"


class PartFacts(Configuration):
    """What there is to say about a finished part, which is proven by it."""

    size: int
    """Bytes of its file."""
    users: int
    """Users that were asked about."""
    recommendations: int
    """Rows."""
    by_popularity: int
    """Users that get the most popular items, since the model knows none of theirs."""
    shorter: int
    """Users with a list that is shorter than was asked for."""
    without: tuple[str | int, ...]
    """Users that get no list, since nothing is left that may be recommended."""


class Asked(Configuration):
    """What lists are asked for: parts that were made for another question are no parts of the answer."""

    made_by: str
    """Fingerprint of the model: of all files of a run."""
    terms: str
    """Fingerprint of what may be listed."""
    users: str
    """Fingerprint of the users in their order."""
    histories: str
    """Fingerprint of the events that their lists come after."""
    k: int
    """Items of a list."""
    users_per_part: int
    """How many users a part has, but for the last one."""
    format: int = 3
    """Version of all this."""


class Workplace:
    """The finished parts of one file or folder of lists."""

    def __init__(self, out: Path, ending: str) -> None:
        """Parts are files with this ending: `.parquet`, or `.arrow` where they are to be joined."""
        self.folder = out.parent / ".partial" / out.name
        self._ending = ending

    @contextmanager
    def alone(self, asked: Asked) -> Iterator[Self]:
        """Have the folder for oneself, with the parts of the same question in it and nothing else.

        Raises ConfigurationError where another process works there, StorageError where nothing can be written.
        """
        try:
            with alone_in(self.folder, "makes lists"):
                if self._text(_ASKED) != asked.model_dump_json():
                    clear(self.folder)
                with whole_file(self.folder / _ASKED) as draft:
                    write_text(draft, asked.model_dump_json())
                yield self
        finally:
            leave([self.folder.parent])  # where an interrupted start had made it

    def file(self, number: int) -> Path:
        """Of a part."""
        return self.folder / f"part-{number:05}{self._ending}"

    def facts(self, number: int) -> PartFacts | None:
        """Those of a part that is finished; None where it is not."""
        text = self._text(f"part-{number:05}.json")
        try:
            facts = None if text is None else PartFacts.model_validate_json(text)
        except ValidationError:  # somebody wrote into it: the part is made again
            return None
        file = self.file(number)
        return facts if facts and file.is_file() and file.stat().st_size == facts.size else None

    def add(self, number: int, table: pl.DataFrame, facts: PartFacts) -> PartFacts:
        """Store a part; its facts come last, so that there are none of a part that is not whole. Raises OSError."""
        file = self.file(number)
        with whole_file(file) as draft:
            (write_parquet if self._ending == ".parquet" else write_arrow)(draft, table)
        facts = facts.model_copy(update={"size": file.stat().st_size})
        with whole_file(self.folder / f"part-{number:05}.json") as draft:
            write_text(draft, facts.model_dump_json())
        return facts

    def clear(self) -> None:
        """Forget all parts."""
        clear(self.folder)

    def _text(self, name: str) -> str | None:
        file = self.folder / name
        return content_of(file).decode(errors="replace") if file.is_file() else None
