"""Items that are like others. Q items are asked about, N are known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.evaluation.ranks import top_k
from nextitem.serving.alikeness import Alikeness
from nextitem.serving.explaining.steps import Steps
from nextitem.serving.ids import RawId
from nextitem.serving.known import Known
from nextitem.serving.narrowing.allowed import allowed
from nextitem.serving.question import Terms, Unknown
from nextitem.settings.given import listed, whole_number

_TOGETHER = 8  # items in one step


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """One item that is like another."""

    item: RawId
    score: float
    """A cosine: 1 for items that are the same to the model, 0 for those that have nothing to do with each other."""
    by: str
    """Of what: `vectors` of the model, or `histories` that hold both, where the model counts and has no vectors."""
    title: str | None = None
    is_cold: bool = False
    """Whether the model never learnt from an event of the item: its vector is made of what else is known of it."""


def narrowed_to(
    candidates: Iterable[RawId] | None,
    exclude: Iterable[RawId] | None,
    where: str | Mapping[str, object] | None,
    unknown: Unknown,
) -> Terms:
    """The terms of lists that hold nothing but candidates of such columns, and nothing that is excluded."""
    return Terms(
        candidates=None if candidates is None else listed(candidates, "candidates", ordered=False),
        exclude=None if exclude is None else listed(exclude, "exclude", ordered=False),
        where=where,
        unknown=unknown,
    )


def finding_similar(known: Known, items: Sequence[RawId], k: int, terms: Terms) -> Steps[list[list[SimilarItem]]]:
    """The k items that are most like each of these, best first, in steps of a few items.

    An item itself is never listed, one that equals it is.
    Of the terms those count that say which items may be listed. Items without a training event are in no list, as their
    vectors are what chance made of them, unless they are cold ones, whose vectors are made of features. Raises
    DataError for an item that nothing is known of; for an unknown one too, unless the terms say that those are left
    out: then its list is empty. Raises it as well where a model that counts was stored without histories.
    """
    alikeness = known.alikeness
    k = min(whole_number(k, "k", "the number of similar items", least=1), len(known.items))
    places = [known.item_places.of(raw, "items", place) for place, raw in enumerate(items)]
    for raw, place in zip(items, places, strict=True):
        if place < 0 and terms.unknown == "error":
            raise DataError(
                f"item {raw!r} is not among the {len(known.items):,} items that the model knows"
                f"{known.items.hint(raw)}; refit with it, or leave unknown items out by unknown='drop'"
            )
    items_Q = torch.tensor([place for place in places if place >= 0], dtype=torch.int64)
    _require_known(known, alikeness, items_Q)
    is_learnt_N, is_allowed_N = known.has_meaning_N, allowed(known, terms).is_allowed_N
    among = (is_learnt_N if is_allowed_N is None else is_learnt_N & is_allowed_N).nonzero()[:, 0]
    lists = []
    for some_Q in items_Q.split(_TOGETHER):
        yield
        found_Qk, scores_Qk = top_k(alikeness.query(some_Q), k, _itself(some_Q, len(known.items)), among)
        lists += [_listed(known, alikeness.by, *one) for one in zip(found_Qk.tolist(), scores_Qk.tolist(), strict=True)]
    upcoming = iter(lists)
    return [next(upcoming) if place >= 0 else [] for place in places]


def _require_known(known: Known, alikeness: Alikeness, items_Q: Tensor) -> None:
    """Raises DataError for an item that is like no other, since nothing is known of it."""
    nothing_Q = alikeness.says_nothing_of(items_Q) | ~known.has_meaning_N[items_Q]
    if bool(nothing_Q.any()):
        raw = known.raw_items[int(items_Q[nothing_Q][0])]
        of = "its vector was never learnt" if alikeness.by == "vectors" else "no stored history holds it"
        raise DataError(
            f"item {raw!r} has no training event, and {of}, so nobody can say what is like it; ask about items with "
            f"events, or refit with some of this one"
        )


def _itself(items_Q: Tensor, number_of_items: int) -> Sequences:
    """A view for each item that holds it alone."""
    starts_Q = torch.arange(len(items_Q))
    return Sequences(Events(items_Q, number_of_items), starts_Q, starts_Q + 1, starts_Q)


def _listed(known: Known, by: str, items: list[int], scores: list[float]) -> list[SimilarItem]:
    return [
        SimilarItem(known.raw_items[item], score, by, known.item_titles[item], known.is_cold(item))
        for item, score in zip(items, scores, strict=True)
        if item >= 0
    ]
