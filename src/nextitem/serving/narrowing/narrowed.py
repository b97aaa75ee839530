"""The terms of a question as a catalogue has them: what may be listed, what was shown, and how a list is picked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from nextitem.errors import ConfigurationError
from nextitem.serving.known import Known
from nextitem.serving.narrowing.allowed import Allowed, allowed
from nextitem.serving.narrowing.cursor import Fingerprints, shown_by
from nextitem.serving.narrowing.picking import Limit
from nextitem.serving.question import Terms
from nextitem.settings.given import real_number, told, whole_number
from nextitem.settings.suggestion import suggest

_POOL = 10  # times as many items as are listed are ranked where a list is picked from them
_LEAST_POOL = 100


@dataclass(frozen=True)
class Narrowed:
    """What terms come to."""

    allowed: Allowed
    shown: list[int]
    """Items that earlier pages showed."""
    before: npt.NDArray[np.int64]
    """By which numbers a cursor names these."""
    picking: "Picking"


def narrow(known: Known, terms: Terms) -> Narrowed:
    """What the terms come to. Raises ConfigurationError and DataError for what the catalogue cannot fulfil."""
    before = shown_by(terms.cursor)
    shown = fingerprints_of(known).places(before) if len(before) else []
    return Narrowed(allowed(known, terms), shown, before, picking_of(known, terms.diversity, terms.limits))


@dataclass(frozen=True)
class Picking:
    """How a list is put together of ranked items."""

    diversity: float = 0.0
    limits: tuple[Limit, ...] = ()

    @property
    def takes_the_best(self) -> bool:
        """Whether a list is the best items as they are ranked."""
        return not self.diversity and not self.limits

    def pool(self, k: int) -> int:
        """How many of the best items a list of k is picked from."""
        return k if self.takes_the_best else max(_LEAST_POOL, _POOL * k)


def picking_of(known: Known, diversity: float, limits: Mapping[str, int]) -> Picking:
    """How a list is put together. Raises ConfigurationError for what is no weight, no limit or no column."""
    weight = real_number(diversity, "diversity", "the weight of likeness")
    if not 0 <= weight <= 1:
        raise ConfigurationError(f"diversity={weight:g}: the weight of likeness must be from 0 to 1")
    return Picking(weight, _limits(known, limits) if limits else ())


def fingerprints_of(known: Known) -> Fingerprints:
    """By which numbers cursors name the items."""
    return known.kept.get("fingerprints", lambda: Fingerprints(known.raw_items))


def _limits(known: Known, limits: object) -> tuple[Limit, ...]:
    if not isinstance(limits, Mapping):
        raise ConfigurationError(
            f"limits={told(limits)} should be a mapping of columns to numbers, such as {{'genres': 2}}"
        )
    found = []
    for column, most in limits.items():
        number = whole_number(most, f"limits[{column!r}]", "the number of items of a category", least=1)
        names = [*known.features.categories, *known.features.texts]
        if column not in names:
            has = suggest(str(column), names) if names else "train with a table of them (items=FILE)"
            raise ConfigurationError(f"limits: the items have no column {column!r} of categories or texts; {has}")
        categories = known.kept.get(("categories", column), partial(_categories, known, str(column)))
        found.append(Limit(number, categories))
    return tuple(found)


def _categories(known: Known, column: str) -> list[tuple[str, ...]]:
    """The categories of each item."""
    values = known.features.table[column]
    if values.dtype == pl.List(pl.String):
        return [tuple(dict.fromkeys(one or ())) for one in values.to_list()]
    return [() if one is None else (cast(str, one),) for one in values.to_list()]
