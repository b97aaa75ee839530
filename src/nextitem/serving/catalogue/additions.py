"""A table of new items, read as the table of the trained ones was: the same columns with the same meaning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from nextitem.data.features.cells import blank
from nextitem.data.features.columns import FeatureColumns, Features
from nextitem.data.features.files import rejected_of, rows_of_file
from nextitem.data.features.finding import feature_name, find_columns
from nextitem.data.features.joining import NO_ROW, ids_of, join
from nextitem.data.features.rows import Rows
from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.sieve import shown
from nextitem.errors import DataError
from nextitem.experiment.folder.reading import Run
from nextitem.settings.suggestion import suggest
from nextitem.words import counted


@dataclass(frozen=True)
class Additions:
    """New items, and what is to be said of how their table was read."""

    items: ItemFeatures
    """A row for each, with the columns that the trained items have."""
    notes: tuple[str, ...] = ()
    rejected: RejectedRows = field(default_factory=RejectedRows)
    """Rows that cannot be used and were left out, where that was asked for."""


def additions_in(file: Path, run: Run, known: ItemFeatures, asked: FeatureColumns | None = None) -> Additions:
    """The new items of a file, which is read as the run's own table of items was, unless `asked` says otherwise.

    That goes for rows that cannot be used too. Raises as `read_additions`, and what reading the file raises.
    """
    before, made = run.recipe.features, run.metrics.provenance.columns
    on_bad_rows = None if asked is None else asked.on_bad_rows
    if asked == FeatureColumns(on_bad_rows=on_bad_rows):  # which names no column
        asked = None
    named = before.columns if asked is None and before.file is not None else asked
    columns = named or FeatureColumns()
    if on_bad_rows is not None:
        columns = columns.model_copy(update={"on_bad_rows": on_bad_rows})
    features = Features(file=str(file), columns=columns, encoding=before.encoding)
    rows = rows_of_file(features, rejected_of(features, run.recipe.columns))
    return read_additions(rows, known, named, None if made is None else made.item)


def read_additions(
    rows: Rows, known: ItemFeatures, asked: FeatureColumns | None = None, of_events: str | None = None
) -> Additions:
    """The items of a table that are not among those of `known`, which say which columns there are.

    `asked` says which column holds what, None: those that are called as the features of the trained items;
    `of_events` is what the events call their column of items. Rows of items that are known are left out, and counted.
    Raises DataError where no row is of a new item, for an id that is not of the kind that the run's are, for a column
    that is something else than it was, and as `join`.
    """
    columns = _alike(rows, known) if asked is None else asked
    place = find_columns(rows.place, rows.table.columns, columns, of_events).id
    rows, ids = _of_one_kind(rows, place, known.table["item"])
    is_new = Catalog(known.table["item"]).lookup(ids) < 0
    new = ids.filter(pl.Series(is_new.numpy())).drop_nulls()
    if not len(new):
        raise DataError(
            f"{rows.place}: none of the {counted(rows.table.height, 'row')} is of an item that the run does not know; "
            f"give rows of new items"
        )
    read = join(rows, Catalog.of(new), columns, of_events, "that the run knows already")
    notes = [note for note in read.notes if NO_ROW not in note]
    has_row = ~read.features.table["item"].is_in(read.without_row.implode())  # others had one that was rejected
    added = ItemFeatures(read.features.table.filter(has_row))
    return Additions(_as_known(rows.place, added, known), tuple(notes), read.rejected)


def _of_one_kind(rows: Rows, place: str, known: pl.Series) -> tuple[Rows, pl.Series]:
    """(the rows whose id may be one of a catalogue, these ids as its own type, null where there is none).

    Others are rejected. Raises DataError where they are refused.
    """
    written = ids_of(rows, place)
    is_blank, ids = blank(written), written.cast(known.dtype, strict=False)
    is_other = ~is_blank & (ids.cast(pl.String) != written.cast(pl.String)).fill_null(True)  # '07' is not 7
    if is_other.any() and rows.rejected is None:
        row, value = rows.numbers.filter(is_other)[0], shown(written.filter(is_other)[0])
        raise DataError(
            f"{rows.place}:{row}:{place}: {value} is no whole number as the ids of the run are, such as {known[0]}; "
            f"correct it or drop the row"
        )
    rows.reject(is_other, place, "is no whole number as the ids of the run are")
    return rows.only(~is_other), ids.set(is_blank, None).filter(~is_other)


def of_values(items: Sequence[Mapping[str, Any]], known: ItemFeatures) -> ItemFeatures:
    """New items, each as its values by column: `item`, `title`, and features that the trained items have.

    Raises DataError for a column that they have not, for an id that is none or known already, and as `read_additions`.
    """
    names = ("item", "title", *known.names)
    for item in items:
        for name in item:
            if name not in names:
                raise DataError(f"new item {item.get('item')!r}: there is no column {name!r}; {suggest(name, names)}")
    schema = known.table.schema
    try:
        columns = {
            name: pl.Series(name, [item.get(name) for item in items], schema.get(name, pl.String), strict=True)
            for name in names
        }
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise DataError(f"new items: {str(error).splitlines()[0]}; give the types that the run's items have") from error
    return read_additions(Rows.numbered("new items", pl.DataFrame(columns)), known).items


def _alike(rows: Rows, known: ItemFeatures) -> FeatureColumns:
    """The columns that are called as those of the trained items, in the roles that these have."""
    there = {feature_name(name): name for name in rows.table.columns}
    roles: dict[str, tuple[str, ...]] = {
        role: tuple(there[name] for name in names if name in there)
        for role, names in (
            ("categories", known.categories),
            ("numbers", known.numbers),
            ("texts", known.texts),
            ("vectors", known.vectors),
        )
    }
    return FeatureColumns(**roles)  # type: ignore[arg-type]


def _as_known(place: str, found: ItemFeatures, known: ItemFeatures) -> ItemFeatures:
    """The columns of the trained items, null where the table has none, and a title where one is known."""
    schema, table = known.table.schema, found.table
    for name in found.names:
        if name in schema and table.schema[name] != schema[name]:
            raise DataError(
                f"{place}: column {name!r} holds {table.schema[name]} and held {schema[name]} of the items that the "
                f"model was trained on; give it as it was, or leave it out"
            )
    names = ["item", "title", *known.names]
    columns = [
        table[name] if name in table.columns else pl.Series(name, [None] * table.height, schema.get(name, pl.String))
        for name in names
    ]
    return ItemFeatures(pl.DataFrame(columns))
