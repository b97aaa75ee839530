"""Stored events as a log to learn from."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import polars as pl

from nextitem.serving.store.events import Rules, StoredEvent, standing

_NAMES = ("user", "item", "time", "kind", "number")


def as_frame(rows: Sequence[tuple[Any, ...]], rules: Rules) -> pl.DataFrame:
    """Rows of `user`, `item`, `time`, `kind` and `number`, by user in order, as a table in order of arrival.

    Its columns are `user`, `item`, `time` (unix seconds) and, where the run's events have kinds, `kind`; where they
    have none, without those that were taken back.
    """
    if not rules.kinds:
        rows = _standing(rows, rules)
    columns: dict[str, Sequence[Any]] = dict.fromkeys(_NAMES, ())
    if rows:
        columns = dict(zip(_NAMES, zip(*rows, strict=True), strict=True))
    is_whole = all(isinstance(one, int) or one.is_integer() for one in columns["time"])
    ids = rules.ids
    found = pl.DataFrame(
        [
            pl.Series("user", columns["user"], dtype=_type(columns["user"], None if ids is None else ids.user)),
            pl.Series("item", columns["item"], dtype=_type(columns["item"], None if ids is None else ids.item)),
            pl.Series("time", [int(one) if is_whole else float(one) for one in columns["time"]],
                      dtype=pl.Int64 if is_whole else pl.Float64),
            pl.Series("kind", columns["kind"], dtype=pl.String),
            pl.Series("number", columns["number"], dtype=pl.Int64),
        ]
    ).sort("number")  # fmt: skip
    return found.drop("number") if rules.kinds else found.drop("number", "kind")


def _type(values: Sequence[Any], wanted: type | None) -> Any:
    found = wanted or (type(values[0]) if values else str)
    return pl.String if found is str else pl.Int64


def _standing(rows: Sequence[tuple[Any, ...]], rules: Rules) -> list[tuple[Any, ...]]:
    """The rows without those that were taken back, and without what takes back."""
    if all(rules.taken_by(kind) is None for kind in {kind for _, _, _, kind, _ in rows}):
        return [*rows]
    left = list[tuple[Any, ...]]()
    for _, of_user in groupby(rows, key=lambda one: one[0]):
        numbered = [*of_user]
        places = standing([StoredEvent(*one[:4]) for one in numbered], rules)
        left += [numbered[place] for place in places]
    return left
