"""Apache Parquet: columns that have types, so ids keep theirs, and their blanks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.data.reading.format import Content


@dataclass(frozen=True)
class Parquet:
    """Typed columns; rows are counted from 1."""

    endings: tuple[str, ...] = (".parquet",)
    is_text: bool = False

    def content(self, file: Path) -> Content:
        """The columns by the file's schema."""
        with file.open("rb"):  # the system's own refusal says more than the reader's
            scan = pl.scan_parquet(file, glob=False)

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            wanted = {role: pl.nth(place) for role, place in places.items()}
            yield scan.select(**wanted).with_row_index("row", offset=1)

        return Content(scan.collect_schema().names(), frames)


PARQUET = Parquet()
