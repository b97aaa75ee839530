"""Recommendations for many at once, as a table."""

from collections.abc import Mapping, Sequence

import polars as pl

from nextitem.serving.ids import RawId, column_of
from nextitem.serving.question import Recommendation


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
