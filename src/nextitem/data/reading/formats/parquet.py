"""Apache Parquet: columns that have types, so ids keep theirs, and their blanks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.parquet_sizes import check_pages, read_footer
from nextitem.data.reading.tables import scanned


@dataclass(frozen=True)
class Parquet:
    """Typed columns; rows are counted from 1."""

    name: str = "parquet"
    endings: tuple[str, ...] = (".parquet",)
    is_text: bool = False
    may_be_packed: bool = False  # it packs its columns itself
    separator: None = None

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content:
        """The columns by the file's schema, whatever `layout` says of text."""
        footer = read_footer(file)
        scan = scanned(file)
        schema = scan.collect_schema()
        header = schema.names()

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            wanted = {role: pl.nth(place) for role, place in places.items()}
            check_pages(file, footer, [header[place] for place in places.values()])
            yield scan.select(**wanted).with_row_index("row", offset=1)

        return Content(header, frames, rows=footer.rows, types=schema)


PARQUET = Parquet()
