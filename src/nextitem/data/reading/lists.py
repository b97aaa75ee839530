"""A file of lists that anybody made: of each user some items, in an order -> checked columns.

Files, frames, formats and ids are those of events (`files.py`). What orders a list is a column of ranks or of scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from nextitem.data.reading.checks import integers_if_canonical
from nextitem.data.reading.columns import USUAL, Columns, named, parse_columns
from nextitem.data.reading.names import listed, usual
from nextitem.data.reading.opening import UNREADABLE
from nextitem.data.reading.sieve import BadRowsError, shown
from nextitem.data.reading.sources import Asked, Events, Place, called, explained_of, has_text, places_in, source_of
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


def read_lists(recommendations: Events, columns: ListColumns = USUAL_LISTS) -> pl.DataFrame:
    """Row by row in the order of the file: `file`, `row` (line of a text, from 1), `user`, `item`, `rank` and `score`.

    Of the last two there is what the file has, finite numbers. A frame may be given in place of a path.

    Raises DataError, with file, row and value, for an id that is none, for a rank or score that is no finite number,
    and where a column is missing; StorageError where the system refuses to read it.
    """
    ids = columns.ids
    if ids.time is not None or ids.kind is not None or ids.on_bad_rows == "skip":
        raise ConfigurationError(
            f"columns={ids.said}: lists have columns of users, items, ranks and scores alone, and no row of them is "
            f"skipped; leave out time, kind and on_bad_rows"
        )
    asked = Asked(ids.model_copy(update={"order": "rows"}))
    places = places_in(recommendations)
    rows = pl.concat([_rows(place, asked, columns) for place in places], how="diagonal")
    if not has_text(places[0], asked):
        return rows
    return rows.with_columns(integers_if_canonical(unguarded(rows[role])) for role in ("user", "item"))


def _rows(place: Place, asked: Asked, columns: ListColumns) -> pl.DataFrame:
    name = called(place)
    try:
        source = source_of(place, asked, partial(_orders, name, columns))
        rows = pl.concat([frame.collect() for frame in source.frames], how="diagonal")
        require_rows(source.file, rows.height, source.rows)
        if not rows.height:
            raise DataError(f"{name} has a header and no rows; give a file with at least one list")
        part = source.checked(rows)
    except UNREADABLE as error:
        raise explained_of(place, error, asked) from error
    except BadRowsError as error:
        raise DataError(error.told()) from None
    orders = [role for role in _ORDERS if role in rows.columns]
    numbers = {role: _numbers(name, rows["row"], rows[role], role) for role in orders}
    found = pl.DataFrame({"row": part.row.cast(pl.Int64), "user": part.user, "item": part.item, **numbers})
    return found.select(pl.lit(name).alias("file"), pl.all())


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


def _numbers(file: str, row: pl.Series, values: pl.Series, role: str) -> pl.Series:
    """The column as finite numbers. Raises DataError for the first value that is none."""
    text = values.str.strip_chars() if values.dtype == pl.String else values
    numbers = text.cast(pl.Float64, strict=False)
    bad = (~numbers.is_finite()).fill_null(True).arg_true()
    if len(bad):
        place = int(bad[0])
        value = "missing" if values[place] in (None, "") else shown(values[place])
        raise DataError(
            f"{file}:{row[place]}: the {role} is {value}, and lists are put in order by finite numbers; correct the "
            f"row or drop it ({len(bad):,} in all)"
        )
    return numbers
