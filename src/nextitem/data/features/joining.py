"""Rows of items or users -> features of a catalogue: joined by raw id, given their types, and accounted for in words.

An id is compared as the catalogue's own type: in a catalogue of integers a text '7' is item 7, and '07' is unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from polars import Series

from nextitem.data.features import cells
from nextitem.data.features.columns import FeatureColumns, said_by
from nextitem.data.features.finding import Taken, find_columns
from nextitem.data.features.reading import typed
from nextitem.data.features.rows import Rows
from nextitem.data.features.table import ItemFeatures, Of
from nextitem.data.log import Catalog
from nextitem.data.notes import left_out
from nextitem.data.reading.names import clipped
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import DataError
from nextitem.words import counted

NO_ROW = " no row in "
"""In the sentence on those that no row says anything of."""
_NAMED = 3  # ids that a sentence names; what there is beside them is counted


@dataclass(frozen=True)
class Joined:
    """Features of all items or users of a catalogue, and what is to be said of how they came by them."""

    features: ItemFeatures
    notes: tuple[str, ...] = ()
    rejected: RejectedRows = field(default_factory=RejectedRows)
    """Rows that cannot be used and were left out, where that was asked for."""
    without_row: Series = field(default_factory=Series)
    """The items of which no row that can be used says anything."""


def join(
    rows: Rows,
    catalog: Catalog,
    asked: FeatureColumns,
    of_events: str | None = None,
    others: str = "that the log does not have",
) -> Joined:
    """What the rows say of the items or users of a catalogue; `of_events` is what the events call their column of ids.

    `others` is what is said of those that are not in it.

    Rows without an id and rows of unknown ones are left out and counted. Raises DataError where two rows say different
    things of one item, where no row is of a known one, and for a cell that is not what its column holds; where there is
    a place for `rejected` rows, the first row of an item wins, and those that cannot be used go there.
    """
    of, taken = rows.of, find_columns(rows.place, rows.table.columns, asked, of_events, rows.of)
    ids = ids_of(rows, taken.id)
    is_blank = cells.blank(ids)
    rows.reject(is_blank, taken.id, "is missing")
    places = Series("place", catalog.lookup(ids).numpy()).set(is_blank, -1)
    is_known = places >= 0
    if not is_known.any():
        raise _strangers(rows, taken, ids.filter(~is_blank), catalog)
    known = rows.only(is_known)
    is_used, columns, read, on_columns = typed(known, taken, unusable_is_missing=asked.unusable == "missing")
    used = known.only(is_used)
    used.require_any()
    each, single = _once(used, pl.DataFrame([places.filter(is_known).filter(is_used), *columns]), catalog)
    aligned = pl.DataFrame({"place": pl.int_range(len(catalog), eager=True)})
    aligned = aligned.join(single, on="place", how="left", maintain_order="left")
    features = ItemFeatures(aligned.drop("place").insert_column(0, catalog.ids.alias(of)), of)
    has_row_N = aligned["place"].is_in(single["place"].implode())
    without_row = catalog.ids.filter(~has_row_N)
    name, written = Path(rows.place).name, [column.name for column in rows.table if cells.is_text(column)]
    rejected = RejectedRows() if rows.rejected is None else rows.rejected
    without_id = 0 if rows.rejected is not None else int(is_blank.sum())
    notes = [
        f"{of}s: {counted(len(ids), 'row')} of {name}: {read.note(written)}",
        *([f"{of}s: {left_out(rejected.reasons)}"] if len(rejected) else []),
        *_on_rows(rows, without_id, ids.filter(~is_known & ~is_blank), others, each.height - single.height),
        *_on_missing(name, of, without_row, len(catalog)),
        *(f"{of}s: {said}" for said in (*on_columns, *_on_values(features, has_row_N))),
    ]
    return Joined(features, tuple(notes), rejected, without_row)


def ids_of(rows: Rows, name: str) -> Series:
    """What the column of a name holds, as integers or texts. Raises DataError where these are no ids."""
    ids = rows.table[name]
    if ids.dtype.is_integer() or cells.is_text(ids):
        return ids.cast(pl.String) if cells.is_text(ids) else ids
    raise DataError(
        f"{rows.place}: column {name!r} holds {ids.dtype}, but ids are strings or integers; convert it, or name "
        f"another one by {said_by(rows.of, 'id=NAME')}"
    )


def _strangers(rows: Rows, taken: Taken, ids: Series, catalog: Catalog) -> DataError:
    which = "an item" if rows.of == "item" else "a user"
    there, here = (_listed(some.head(_NAMED).to_list()) for some in (ids, catalog.ids))
    return DataError(
        f"{rows.place}: none of the {counted(rows.table.height, 'row')} is of {which} of the log: column {taken.id!r} "
        f"holds {there or 'no id'}, and the log has {here}; give a table of the same {rows.of}s, or name the column "
        f"of their ids by {said_by(rows.of, 'id=NAME')}"
    )


def _once(rows: Rows, each: pl.DataFrame, catalog: Catalog) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(the rows that agree with the first of their item, that first one of each item).

    Raises DataError where two rows differ and none may be rejected, naming item, rows and column.
    """
    single = each.unique(maintain_order=True, keep="first")
    if not (is_twice := single["place"].is_duplicated()).any():
        return each, single
    if rows.rejected is not None:
        firsts = each.unique("place", maintain_order=True, keep="first")
        agrees = each.with_row_index("number").join(firsts, on=each.columns, nulls_equal=True)["number"]
        is_other = pl.repeat(True, each.height, dtype=pl.Boolean, eager=True).scatter(agrees, False)
        rows.reject(is_other, "", f"says something else of its {rows.of} than an earlier row")
        return each.filter(~is_other), firsts
    count = single.filter(is_twice)["place"].n_unique()
    place = single.filter(is_twice)["place"][0]
    same = each.with_columns(rows.numbers.alias("row of the table")).filter(pl.col("place") == place)
    column = next(name for name in each.columns if same[name].n_unique() > 1)
    distinct = same.unique(column, maintain_order=True, keep="first")
    first, second = (_value(distinct[column], number) for number in (0, 1))
    numbers = [*distinct["row of the table"]]
    more = "" if count == 1 else f" ({count:,} {rows.of}s have such rows)"
    raise DataError(
        f"{rows.place}: rows {numbers[0]:,} and {numbers[1]:,} are both of {rows.of} {catalog.ids[place]!r}, and their "
        f"{column} is {first} and {second}{more}; keep one row of each {rows.of}"
    )


def _value(column: Series, number: int) -> str:
    value = column[number]
    return clipped(repr(value.to_list() if isinstance(value, Series) else value))


def _on_rows(rows: Rows, without_id: int, unknown: Series, others: str, repeated: int) -> list[str]:
    """What became of rows that say nothing of an item, or nothing new."""
    said = []
    if without_id:
        said.append(f"{counted(without_id, 'row')} of {Path(rows.place).name} without an id")
    if len(unknown):
        said.append(f"{counted(len(unknown), 'row')} of {rows.of}s {others} ({_some(unknown)})")
    if repeated:
        said.append(f"{counted(repeated, 'row')} that repeat{'s' if repeated == 1 else ''} another one")
    return [f"{rows.of}s: left out are {', '.join(said)}"] if said else []


def _on_missing(name: str, of: Of, without_row: Series, there: int) -> list[str]:
    if not len(without_row):
        return []
    have = "has" if len(without_row) == 1 else "have"
    which = f"{len(without_row):,} of {counted(there, of)} of the log"
    return [f"{of}s: {which} {have}{NO_ROW}{name} ({_some(without_row)})"]


def _on_values(features: ItemFeatures, has_row_N: Series) -> list[str]:
    """How many of the items with a row have no value in which column, and how many categories there are."""
    rows = features.table.filter(has_row_N)
    missing = {name: rows[name].null_count() for name in rows.columns[1:] if rows[name].null_count()}
    said = [f"no value in {', '.join(f'{name} {number:,}' for name, number in missing.items())}"] if missing else []
    for name in features.categories:
        distinct = rows[name].drop_nulls().explode(empty_as_null=False).n_unique()
        said.append(f"{name} has {counted(distinct, 'category', 'categories')}")
    return said


def _some(ids: Series) -> str:
    more = ", …" if len(ids) > _NAMED else ""
    return _listed(ids.head(_NAMED).to_list()) + more


def _listed(ids: Sequence[object]) -> str:
    return ", ".join(clipped(repr(one)) for one in ids)
