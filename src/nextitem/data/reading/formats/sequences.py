"""A user and all of that user's items in a line, oldest first, as the authors of S3-Rec and HGN publish their data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.records import Divided
from nextitem.errors import ConfigurationError

_HEADER = ("user", "item")


@dataclass(frozen=True)
class Sequences:
    """`user item item …` with one space between them; every item is an event, in the row of its line.

    Such files are called `.txt` as pairs are, so they have to be asked for.
    """

    name: str = "sequences"
    endings: tuple[str, ...] = ()
    is_text: bool = True
    may_be_packed: bool = True
    separator: str = " "

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content | None:
        """Two columns, whatever the lines hold. Raises ConfigurationError where columns are given by number."""
        if layout.is_numbered:
            raise ConfigurationError(
                f"{file} is read as sequences, whose first field is the user and all others are items; leave columns "
                f"by number out"
            )
        form = Divided(self.name, (), layout.separator or self.separator, _HEADER)
        divided = form.content(file, Layout(has_header=layout.has_header or None))
        if divided is None:
            return None

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            fields = pl.col("fields").list
            columns = {role: (fields.first(), fields.slice(1))[place] for role, place in places.items()}
            for lines in divided.frames({}):
                # A user without items stays as an event without one, which is refused with its row.
                events = lines.with_columns(**columns).drop("fields", "width", "uneven")
                yield events.explode([role for role, place in places.items() if place], empty_as_null=True)

        rule = form.separator.join((*_HEADER, "item", "…"))
        return Content(_HEADER, frames, rule, is_headless=not layout.has_header)


SEQUENCES = Sequences()
