"""Tables of typed columns, parquet and Arrow, by their paths: as they are written, and whole."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from nextitem.data.reading.arrow_sizes import ArrowParts, parts_of, whole
from nextitem.data.reading.opening import UNREADABLE, explained
from nextitem.data.reading.parquet_sizes import check_pages, read_footer
from nextitem.errors import DataError
from nextitem.storage.opened import opened

ARROW_ENDINGS = (".arrow", ".feather", ".ipc")
TABLE_ENDINGS = (".parquet", *ARROW_ENDINGS)
"""What names of such files end in, in lower case."""
_AT_ONCE = 1 << 26  # bytes of batches of an Arrow file, unless one has more


def scanned(file: Path) -> pl.LazyFrame:
    """The table in a parquet file.

    Its path is taken as it is written. The library would also read the files that it fits as a pattern, another file
    where it begins with `~`, and columns from folders that are called `name=value`.
    """
    return pl.scan_parquet(file.absolute(), glob=False, hive_partitioning=False)


def sized(file: Path) -> pl.LazyFrame:
    """The table in a parquet file, once the sizes that it states are known to be true. Raises as `read_footer`."""
    footer, scan = read_footer(file), scanned(file)
    check_pages(file, footer, scan.collect_schema().names())
    return scan


def arrow_batches(file: Path, parts: ArrowParts) -> Iterator[pl.DataFrame]:
    """The table in an Arrow file, some batches at a time. Raises DataError where the file is shorter by now.

    What is decoded was read: the library would map the file, and end with the process where it is cut short.
    """
    sizes = [described + body for _, described, body in parts.batches]
    start = 0
    with opened(file) as content, whole(file):
        while start < len(sizes):
            stop, size = start + 1, sizes[start]
            while stop < len(sizes) and size + sizes[stop] <= _AT_ONCE:
                stop, size = stop + 1, size + sizes[stop]
            yield pl.read_ipc(parts.alone(content, start, stop))
            start = stop


def arrow_schema(file: Path, parts: ArrowParts) -> pl.Schema:
    """The names and types of the columns of an Arrow file."""
    with opened(file) as content:
        return pl.read_ipc(parts.alone(content, 0, 0)).schema


def table(file: Path) -> pl.DataFrame:
    """All of a parquet file, or of an Arrow file where its name ends so.

    Raises DataError for one that is damaged, StorageError for what the system refuses.
    """
    is_arrow = file.suffix.lower() in ARROW_ENDINGS
    try:
        content, rows = _arrow(file) if is_arrow else (sized(file).collect(), read_footer(file).rows)
    except UNREADABLE as error:
        raise explained(file, error, is_text=False) from error
    require_rows(file, content.height, rows)
    return content


def _arrow(file: Path) -> tuple[pl.DataFrame, int]:
    parts = parts_of(file)
    return pl.concat([arrow_schema(file, parts).to_frame(), *arrow_batches(file, parts)]), parts.rows


def require_rows(file: Path | str, found: int, stated: int | None) -> None:
    """Raise DataError where a file did not give as many rows as it states, if it does: the library drops the rest."""
    if stated is not None and found != stated:
        raise DataError(
            f"{file} states {stated:,} rows, of which {found:,} could be read: it is damaged; write or download "
            f"the file again"
        )
