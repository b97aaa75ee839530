"""Tables of typed columns, parquet and Arrow, by their paths: as they are written, and whole."""

from pathlib import Path

import polars as pl

from nextitem.data.reading.arrow_sizes import stated_rows
from nextitem.data.reading.opening import UNREADABLE, explained
from nextitem.data.reading.parquet_sizes import check_pages, read_footer
from nextitem.errors import DataError

ARROW_ENDINGS = (".arrow", ".feather", ".ipc")
TABLE_ENDINGS = (".parquet", *ARROW_ENDINGS)
"""What names of such files end in, in lower case."""


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


def scanned_arrow(file: Path) -> pl.LazyFrame:
    """The table in an Arrow file, whose path is taken as it is written."""
    return pl.scan_ipc(file.absolute(), glob=False, hive_partitioning=False)


def table(file: Path) -> pl.DataFrame:
    """All of a parquet file, or of an Arrow file where its name ends so.

    Raises DataError for one that is damaged, StorageError for what the system refuses.
    """
    is_arrow = file.suffix.lower() in ARROW_ENDINGS
    try:
        rows = stated_rows(file) if is_arrow else read_footer(file).rows
        content = (scanned_arrow(file) if is_arrow else sized(file)).collect()
    except UNREADABLE as error:
        raise explained(file, error, is_text=False) from error
    require_rows(file, content.height, rows)
    return content


def require_rows(file: Path | str, found: int, stated: int | None) -> None:
    """Raise DataError where a file did not give as many rows as it states, if it does: the library drops the rest."""
    if stated is not None and found != stated:
        raise DataError(
            f"{file} states {stated:,} rows, of which {found:,} could be read: it is damaged; write or download "
            f"the file again"
        )
