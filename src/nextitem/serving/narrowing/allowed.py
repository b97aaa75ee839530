"""Which items a list may hold at all, whoever it is for, and how many are left out for which reason. N items."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nextitem.errors import DataError
from nextitem.serving.ids import RawId
from nextitem.serving.known import Known
from nextitem.serving.narrowing.where import Condition, conditions, fulfilled
from nextitem.serving.question import Terms
from nextitem.settings.given import listed


@dataclass(frozen=True)
class Allowed:
    """The items that may be listed, and what became of the others."""

    is_allowed_N: Tensor | None = None
    """Boolean, shape (N,); None: all may be."""
    filtered: dict[str, int] = field(default_factory=dict)
    """How many are left out, by reason; an item counts under the first that there is."""
    left_out: tuple[tuple[str, Tensor], ...] = ()
    """Each reason with the items that it is one for, boolean, shape (N,)."""
    unknown: tuple[RawId, ...] = ()
    """Ids that were named and are not in the catalogue."""

    def without(self, reason: str, is_out_N: Tensor) -> "Allowed":
        """What is left without these items."""
        before_N = torch.ones_like(is_out_N) if self.is_allowed_N is None else self.is_allowed_N
        count = int((is_out_N & before_N).sum())
        filtered = {**self.filtered, reason: count} if count else self.filtered
        return Allowed(before_N & ~is_out_N, filtered, (*self.left_out, (reason, is_out_N)), self.unknown)

    def reason_against(self, item: int) -> str | None:
        """Why an item may not be listed, None where it may."""
        return next((reason for reason, is_out_N in self.left_out if bool(is_out_N[item])), None)


ALL = Allowed()


def allowed(known: Known, terms: Terms) -> Allowed:
    """What the terms let be listed. Raises DataError for what is no id, and by `unknown="error"` for unknown ones."""
    unknown, asked = list[RawId](), None if terms.where is None else conditions(terms.where)
    found = known.kept.get(("allowed", asked), lambda: _of_all(known, asked))
    if terms.candidates is not None:
        is_candidate_N = _among(known, terms.candidates, "candidates", unknown)
        found = found.without("not a candidate", ~is_candidate_N)
    if terms.exclude is not None:
        found = found.without("excluded", _among(known, terms.exclude, "exclude", unknown))
    if unknown and terms.unknown == "error":
        raise DataError(
            f"item {unknown[0]!r} is not among the {len(known.items):,} items that the model knows"
            f"{known.items.hint(unknown[0])}; refit with it, or leave unknown items out by unknown='drop'"
        )
    return replace(found, unknown=tuple(unknown)) if unknown else found


def _of_all(known: Known, asked: tuple[Condition, ...] | None) -> Allowed:
    """What may be listed whatever ids are named: the same for many questions."""
    found = ALL if known.is_retired_N is None else ALL.without("retired", known.is_retired_N)
    return found if asked is None else found.without("where", ~fulfilled(asked, known.features))


def _among(known: Known, ids: Sequence[RawId], name: str, unknown: list[RawId]) -> Tensor:
    """Which items these are, shape (N,); ids that are none are added to `unknown`."""
    ids = listed(ids, name, ordered=False)
    places = known.item_places.of_each(ids, name)
    unknown += [raw for raw, place in zip(ids, places, strict=True) if place < 0]
    is_named_N = torch.zeros(len(known.items), dtype=torch.bool)
    is_named_N[[place for place in places if place >= 0]] = True
    return is_named_N
