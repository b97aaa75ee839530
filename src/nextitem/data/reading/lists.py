"""A file of lists that anybody made: of each user some items, in an order -> checked columns.

Files, frames, formats and ids are those of events (`files.py`). What orders a list is a column of ranks or of scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from nextitem.data.notes import left_out
from nextitem.data.reading.checks import integers_if_canonical
from nextitem.data.reading.columns import USUAL, Columns, named, parse_columns
from nextitem.data.reading.files import reading
from nextitem.data.reading.names import listed, usual
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.sieve import Sieve, shown
from nextitem.data.reading.sources import Asked, Events, Place, called, has_text, places_in, source_of
from nextitem.data.reading.tables import require_rows
from nextitem.errors import ConfigurationError, DataError
from nextitem.storage import unguarded

_ORDERS = ("rank", "score")


@dataclass(frozen=True)
class ListColumns:
    """Which columns hold the lists: by name, by number, or none for those that have usual names."""

    ids: Columns = USUAL
    """Of users and items, and how a text is laid out."""
    rank: str | None = None
    """Of the place in the list, from 1; usually rank, position or place."""
    score: str | None = None
    """Of what is better the more it is; usually score, prediction, probability or relevance."""

    @classmethod
    def parse(cls, text: str) -> "ListColumns":
        """Those of `user=visitor,item=sku,rank=place`. Raises ConfigurationError for any other form."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        words = [[word.strip() for word in part.split("=", 1)] for part in parts]
        own = {word[0]: word[-1] for word in words if word[0] in _ORDERS and len(word) > 1 and word[1]}
        rest = ",".join(part for part, word in zip(parts, words, strict=True) if word[0] not in own)
        return cls(parse_columns(rest) if rest else USUAL, own.get("rank"), own.get("score"))


USUAL_LISTS = ListColumns()


def read_lists(
    recommendations: Events, columns: ListColumns = USUAL_LISTS, *, rejected: RejectedRows | None = None
) -> pl.DataFrame:
    """Row by row in the order of the file: `file`, `row` (line of a text, from 1), `user`, `item`, `rank` and `score`.

    Of the last two there is what the file has, finite numbers. A frame may be given in place of a path. With
    `on_bad_rows=skip` rows that cannot be used go to `rejected`, which is asked for then.

    Raises DataError, with file, row and value, for an id that is none, for a rank or score that is no finite number,
    and where a column is missing; StorageError where the system refuses to read it.
    """
    asked = _asked(columns, rejected)
    places = places_in(recommendations)
    rows = pl.concat([_rows(place, asked, columns) for place in places], how="diagonal")
    if not has_text(places[0], asked):
        return rows
    return rows.with_columns(integers_if_canonical(unguarded(rows[role])) for role in ("user", "item"))


def told_columns(recommendations: Events, columns: ListColumns = USUAL_LISTS) -> str:
    """Which columns hold what, as a sentence. Raises as reading the first line does."""
    place, asked = places_in(recommendations)[0], _asked(columns, RejectedRows())
    with reading(place, asked):
        source = source_of(place, asked, partial(_orders, called(place), columns))
    header, found = source.found.header, source.found.places
    orders = [header[at] for at in _orders(called(place), columns, header).values()]
    return (
        f"users are in {header[found['user']]!r}, items in {header[found['item']]!r}, and what orders a list in "
        f"{' and '.join(map(repr, orders))}"
    )


def _asked(columns: ListColumns, rejected: RejectedRows | None) -> Asked:
    ids = columns.ids
    if ids.time is not None or ids.kind is not None:
        raise ConfigurationError(
            f"columns={ids.said}: lists have columns of users, items, ranks and scores alone; leave out time and kind"
        )
    return Asked(ids.model_copy(update={"order": "rows"}), rejected=rejected)


def _rows(place: Place, asked: Asked, columns: ListColumns) -> pl.DataFrame:
    name = called(place)
    with reading(place, asked):
        source = source_of(place, asked, partial(_orders, name, columns))
        rows = pl.concat([frame.collect() for frame in source.frames], how="diagonal")
        require_rows(source.file, rows.height, source.rows)
        if not rows.height:
            raise DataError(f"{name} has a header and no rows; give a file with at least one list")
        part = source.checked(rows)
        kept = rows.filter(pl.col("row").is_in(part.row.implode())).with_columns(user=part.user, item=part.item)
        orders = _orders(name, columns, source.found.header)
        found = replace(source.found, places={**source.found.places, **orders})
        sieve = Sieve(source.file, found, source.separator, source.rejected)
        for role in orders:
            kept = _with_numbers(kept, role, sieve)
    if not kept.height and source.rejected is not None:
        raise DataError(f"{name} has no row that can be used: {left_out(source.rejected.reasons)}; correct the file")
    numbers = [pl.col(role).cast(pl.Float64) for role in _ORDERS if role in orders]
    return kept.select(pl.lit(name).alias("file"), pl.col("row").cast(pl.Int64), pl.col("user", "item"), *numbers)


def _orders(file: Path | str, columns: ListColumns, header: Sequence[str]) -> Mapping[str, int]:
    """By role the places of the columns of ranks and scores that there are. Raises DataError where there is neither."""
    names, places = list(header), dict[str, int]()
    asked = {role: name for role, name in (("rank", columns.rank), ("score", columns.score)) if name is not None}
    for role in _ORDERS:
        if role in asked:
            places[role] = named(file, names, role, asked[role])
        elif not asked and (fitting := usual(role, names)):
            if len(fitting) > 1:
                told = " and ".join(map(repr, fitting))
                raise DataError(f"{file}: {told} could be the {role}; choose by --columns {role}=NAME")
            places[role] = names.index(fitting[0])
    if not places:
        raise DataError(
            f"{file} has neither ranks nor scores among {listed(names)}, so nobody knows the order of a list; name "
            f"such a column by --columns rank=NAME or --columns score=NAME"
        )
    return places


def _with_numbers(rows: pl.DataFrame, role: str, sieve: Sieve) -> pl.DataFrame:
    """The rows whose rank or score is a finite number, which it then is."""

    def are_bad(batch: pl.DataFrame) -> pl.Series:
        return (~_numbers(batch[role]).is_finite()).fill_null(True)

    def tell(bad: pl.DataFrame) -> str:
        value = "missing" if bad[role][0] in (None, "") else shown(bad[role][0])
        return (
            f"{sieve.file}:{bad['row'][0]}: the {role} is {value}, and lists are put in order by finite numbers; "
            f"correct the row or drop it"
        )

    return sieve.passed(rows, are_bad, "is no finite number", tell, sieve.name(role)).with_columns(
        pl.col(role).map_batches(_numbers, pl.Float64)
    )


def _numbers(values: pl.Series) -> pl.Series:
    text = values.str.strip_chars() if values.dtype == pl.String else values
    return text.cast(pl.Float64, strict=False)
