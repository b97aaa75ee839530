"""Recommendations for many at once, as a file: csv, jsonl or parquet; it appears whole or not at all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from nextitem.errors import ConfigurationError
from nextitem.serving.ids import RawId, column_of
from nextitem.serving.question import Recommendation
from nextitem.storage import refusals, whole_file, write_csv, write_parquet, write_text

LIST_FORMATS = (".csv", ".jsonl", ".parquet")


def check_format(file: Path) -> None:
    """Raise ConfigurationError unless the ending of the name tells a format."""
    if file.suffix not in LIST_FORMATS:
        raise ConfigurationError(f"--out {file}: the ending has to tell the format; known: {', '.join(LIST_FORMATS)}")


def as_table(
    owners: pl.Series | list[RawId],
    lists: Sequence[Sequence[Recommendation]],
    titles: Mapping[RawId, str],
    items: pl.DataType | None = None,
) -> pl.DataFrame:
    """One row per recommendation: user, rank (from 1), item, score, source, and title where any is known.

    Users have the type of `owners`, a column of ids, and items the type `items`, by default what they are: a table
    without any row says what would stand in it all the same.
    """
    users = owners if isinstance(owners, pl.Series) else column_of(owners)
    rows = [(place, rank, one) for place, ones in enumerate(lists) for rank, one in enumerate(ones, 1)]
    if len(users) != len(lists):
        raise ValueError(f"{len(users)} owners and {len(lists)} lists; one of them is longer")
    listed = column_of([one.item for _, _, one in rows])
    table = pl.DataFrame(
        {
            "user": users.gather([place for place, _, _ in rows]),
            "rank": pl.Series([rank for _, rank, _ in rows], dtype=pl.Int64),
            "item": listed if items is None else listed.cast(items),
            "score": pl.Series([one.score for _, _, one in rows], dtype=pl.Float64),
            "source": pl.Series([one.source for _, _, one in rows], dtype=pl.String),
        }
    )
    if not titles:
        return table
    return table.with_columns(pl.Series("title", [titles.get(one.item) for _, _, one in rows], dtype=pl.String))


def write_table(table: pl.DataFrame, file: Path) -> None:
    """Write by the ending of the name, replacing a file that is there. Raises StorageError."""
    check_format(file)
    with refusals(file), whole_file(file) as draft:
        if file.suffix == ".csv":
            write_csv(draft, table)
        elif file.suffix == ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False) for row in table.iter_rows(named=True))
            write_text(draft, "".join(f"{line}\n" for line in lines))
        else:
            write_parquet(draft, table)
