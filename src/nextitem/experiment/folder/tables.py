"""The tables of a run as they must be: columns, types and bounds, seen to before anybody counts on them. N items.

What is not so raises ValueError with the column, to be read after the name of the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from nextitem.data.log import Catalog
from nextitem.data.reading.tables import sized
from nextitem.evaluation.values import Ranks
from nextitem.experiment.folder.provenance import MOST

Types = tuple[pl.DataType, ...]
_IDS: Types = (pl.Int64(), pl.String())
_COUNT: Types = (pl.Int64(),)
_RANK: Types = (pl.Float64(),)
_ITEMS: Mapping[str, Types] = {"item": _IDS, "count": _COUNT, "title": (pl.String(),)}
_USERS: Mapping[str, Types] = {"user": _IDS, "history": (pl.List(pl.Int64),)}
_TIMES: Types = (pl.List(pl.Int64), pl.List(pl.Float64))
_MORE: Mapping[str, Types] = {"disliked": (pl.List(pl.Int64),), "times": _TIMES, "weights": (pl.List(pl.Float32),)}
_RANKS: Mapping[str, Types] = {"part": (pl.String(),), "user": _IDS, "target": _IDS, "above": _RANK, "tied": _RANK}


def items_in(file: Path, number_of_items: int) -> pl.DataFrame:
    """`item`, `count` and `title` of N items, sorted by id."""
    items = _read(file, _ITEMS, rows=number_of_items)
    Catalog.stored(items["item"])
    _check(items["count"], (items["count"] < 0) | (items["count"] > MOST), f"should be from 0 to {MOST:,}")
    return items


def scanned_users(file: Path) -> pl.LazyFrame:
    """`user`, `history` and maybe `times`, their contents to be seen to by `check_users`."""
    users = sized(file)
    found = users.collect_schema().names()
    return _chosen(users, {**_USERS, **{name: types for name, types in _MORE.items() if name in found}})


def users_in(file: Path, number_of_items: int) -> pl.DataFrame:
    """`user`, `history` and maybe `times`, sorted by id."""
    users = _collected(scanned_users(file))
    Catalog.stored(users["user"])
    check_users(users, number_of_items)
    return users


def check_users(users: pl.DataFrame, number_of_items: int) -> None:
    """Raise ValueError where histories hold what is no item, or times and weights are not one for each event."""
    for name in [name for name in ("history", "disliked") if name in users.columns]:
        flat = _flat(users[name])
        _check(flat, (flat < 0) | (flat >= number_of_items), f"should be from 0 to {number_of_items - 1:,}")
    for each, what in (("times", "time"), ("weights", "weight")):
        if each not in users.columns:
            continue
        flat = _flat(users[each])
        if (users[each].list.len() != users["history"].list.len()).any():
            raise ValueError(f"column {each} should have one {what} for each event of history")
        _check(flat, ~flat.is_finite(), "should be finite")
        if each == "weights":
            _check(flat, flat < 0, "should be at least 0")


def ranks_in(file: Path, cases: int, number_of_items: int) -> pl.DataFrame:
    """`part`, `user`, `target`, `above` and `tied` and, where runs have it already, `length`; `cases` are of test."""
    has_lengths = "length" in sized(file).collect_schema().names()
    ranks = _read(file, {**_RANKS, **({"length": _COUNT} if has_lengths else {})})
    _check(ranks["part"], ~ranks["part"].is_in(["validation", "test"]), "should be validation or test")
    for name in ("above", "tied"):
        column = ranks[name]
        is_hidden = column.is_infinite() if name == "above" else pl.repeat(False, len(column), eager=True)
        is_wrong = column.is_nan() | (column < 0) | ((column >= number_of_items) & ~is_hidden)
        _check(column, is_wrong, f"should be at least 0 and below {number_of_items:,}")
    if has_lengths:
        _check(ranks["length"], ranks["length"] < 0, "should be at least 0")
    if (found := ranks["part"].eq("test").sum()) != cases:
        raise ValueError(f"column part says test {found:,} times, and metrics.json has {cases:,} cases")
    _check_order(ranks)
    return ranks


def ranks_of(cases: pl.DataFrame) -> Ranks:
    """The ranks of cases in order, as they are stored. Those of a user after as many events are one question."""
    above_C, tied_C = (torch.tensor(cases[name].to_numpy()) for name in ("above", "tied"))
    asked = pl.struct(name for name in ("user", "length") if name in cases.columns)
    numbers = cases.select(pl.col("user").rle_id().alias("users"), asked.rle_id().alias("questions"))
    users_C, questions_C = (torch.tensor(column.cast(pl.Int64).to_numpy()) for column in numbers)
    return Ranks(above_C, tied_C, users_C, questions_C)


def values_of(ranks: pl.DataFrame, metrics: Sequence[str], candidates: int) -> dict[str, Tensor]:
    """By metric of each user the mean over their test cases, shape (U,) float64."""
    return ranks_of(ranks.filter(pl.col("part") == "test")).of_users(metrics, candidates)


def _check_order(ranks: pl.DataFrame) -> None:
    """Raise ValueError unless validation stands before test, and users in order: runs are paired row by row."""
    for name, column in (("part", ranks["part"].eq("test").cast(pl.Int8).rename("part")), ("user", ranks["user"])):
        is_earlier = column < column.shift(1)
        if name == "user":
            is_earlier &= ranks["part"] == ranks["part"].shift(1)
        _check(ranks[name], is_earlier.fill_null(False), "should not follow on the one before")


def _read(file: Path, columns: Mapping[str, Types], rows: int | None = None) -> pl.DataFrame:
    return _collected(_chosen(sized(file), columns), rows)


def _chosen(table: pl.LazyFrame, columns: Mapping[str, Types]) -> pl.LazyFrame:
    schema = table.collect_schema()
    for name, types in columns.items():
        if name not in schema:
            raise ValueError(f"has no column {name}")
        if schema[name] not in types:
            raise ValueError(f"column {name} holds {schema[name]} and should hold {' or '.join(map(str, types))}")
    return table.select(*columns)


def _collected(table: pl.LazyFrame, rows: int | None = None) -> pl.DataFrame:
    """All of it, nothing missing but titles. The rows that the file promises are counted before they are read."""
    promised = table.select(pl.len()).collect().item()
    if rows is not None and promised != rows:
        raise ValueError(f"has {promised:,} rows, and metrics.json has {rows:,} items")
    found = table.collect()
    if found.height != promised:
        raise ValueError(f"has {found.height:,} of the {promised:,} rows that it promises")
    for column in found:
        if column.name != "title":
            _check(column, column.is_null(), "is missing")
    return found


def _check(column: pl.Series, is_wrong: pl.Series, reason: str) -> None:
    """Raise ValueError for the first value that is wrong."""
    place = is_wrong.fill_null(True).arg_max() if len(is_wrong) else None
    if place is not None and is_wrong.fill_null(True)[place]:
        raise ValueError(f"column {column.name}: value {place + 1:,}, {column[place]}, {reason}")


def _flat(lists: pl.Series) -> pl.Series:
    return lists.explode(empty_as_null=False)
