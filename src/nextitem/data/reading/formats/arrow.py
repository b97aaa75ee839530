"""Arrow files (Feather, version 2): columns that have types, so ids keep theirs, and their blanks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.data.reading.arrow_sizes import parts_of
from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.tables import ARROW_ENDINGS, arrow_batches, arrow_schema


@dataclass(frozen=True)
class Arrow:
    """Typed columns; rows are counted from 1."""

    name: str = "arrow"
    endings: tuple[str, ...] = ARROW_ENDINGS
    is_text: bool = False
    may_be_packed: bool = False  # it packs its columns itself
    separator: None = None

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content:
        """The columns by the file's schema, whatever `layout` says of text. Raises DataError for other files."""
        parts = parts_of(file)
        schema = arrow_schema(file, parts)

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            row = 1
            for batch in arrow_batches(file, parts) if parts.batches else [schema.to_frame()]:
                columns = batch.select(**{role: pl.nth(place) for role, place in places.items()})
                yield columns.with_row_index("row", offset=row).lazy()
                row += batch.height

        return Content(schema.names(), frames, rows=parts.rows, types=schema)


ARROW = Arrow()
