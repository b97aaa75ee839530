"""Why an answer is what it is. D different items of a history, X items that are explained, N items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nextitem.errors import DataError
from nextitem.evaluation.hiding import latest as hidden_events
from nextitem.serving.answering.heard import hear
from nextitem.serving.answering.understood import Understood, answers, read_by, understood
from nextitem.serving.explaining.explanation import Carrier, Explained, Explanation, Filtered, WhatIf
from nextitem.serving.explaining.leave_outs import LeaveOuts, latest_first, leave_outs
from nextitem.serving.explaining.steps import Steps
from nextitem.serving.ids import RawId
from nextitem.serving.known import Known
from nextitem.serving.question import Answer, Question

_NAMED = 100  # items that were left out and are named


@dataclass(frozen=True)
class Change:
    """Another history: what is taken out of the one that is asked about, and what is added to its end."""

    without: Sequence[RawId] = ()
    added: Sequence[RawId] = ()

    def __bool__(self) -> bool:
        return bool(len(self.without) or len(self.added))


def explaining(
    known: Known, question: Question, items: Sequence[RawId] | None, change: Change, latest: int
) -> Steps[Explanation]:
    """What the answer to a question rests on, for these items or, None, for those of its list; in short steps.

    The `latest` different items of the history are left out one at a time. Raises what the question raises, and
    DataError for an item that is not known, or is to be taken out of a history without it.
    """
    asked = understood(known, hear(known, question))
    otherwise = _otherwise(known, asked, change) if change else None
    yield
    answer, *after = answers(known, [asked] if otherwise is None else [asked, otherwise])
    yield
    wanted = [one.item for one in answer] if items is None else items
    items_X = torch.tensor(_places(known, wanted, "items"), dtype=torch.int64)
    scorer, history = read_by(known, [asked])
    may_N = _may_be_listed(known, asked)
    found = yield from leave_outs(scorer, known.popularity, history, items_X, may_N, latest)
    told = []
    for x, item in enumerate(items_X.tolist()):
        told.append(_item(known, asked, found, x, item))
        yield
    return Explanation(
        answer,
        tuple(known.raw_items[item] for item in asked.heard.items),
        tuple(told),
        _filtered(known, asked, found.score_N, answer),
        bool((found.change_DX != 0).any()),
        len(latest_first(history)) - len(found.items_D),
        _what_if(change, answer, after[0]) if after else None,
    )


def _places(known: Known, ids: Sequence[RawId], name: str) -> list[int]:
    """The indices of items. Raises DataError for one that is not known."""
    places = [known.item_places.of(raw, name, place) for place, raw in enumerate(ids)]
    for raw, place in zip(ids, places, strict=True):
        if place < 0:
            raise DataError(
                f"item {raw!r} is not among the {len(known.items):,} items that the model knows"
                f"{known.items.hint(raw)}, so there is nothing to explain; give ids as they stand in the log of the run"
            )
    return places


def _may_be_listed(known: Known, asked: Understood) -> Tensor:
    """Which items may be in the list, shape (N,)."""
    is_allowed_N = asked.narrowed.allowed.is_allowed_N
    may_N = torch.ones(len(known.items), dtype=torch.bool) if is_allowed_N is None else is_allowed_N.clone()
    may_N[[*asked.heard.seen, *asked.heard.disliked, *asked.narrowed.shown]] = False
    return may_N


def _item(known: Known, asked: Understood, found: LeaveOuts, x: int, item: int) -> Explained:
    order_D = found.change_DX[:, x].nan_to_num(0.0).argsort(descending=True, stable=True)
    changes, ranks = found.change_DX[:, x].tolist(), found.rank_DX[:, x].tolist()
    carriers = []
    for place in order_D.tolist():
        other = int(found.items_D[place])
        change = None if changes[place] != changes[place] else changes[place]
        carriers.append(Carrier(known.raw_items[other], known.item_titles[other], change, ranks[place]))
    return Explained(
        known.raw_items[item],
        known.item_titles[item],
        known.is_cold(item),
        float(found.score_X[x]),
        int(found.rank_X[x]),
        asked.reason_against(item),
        int(known.counts_N[item]),
        int((known.counts_N > known.counts_N[item]).sum()) + 1,
        tuple(carriers),
    )


def _filtered(known: Known, asked: Understood, score_N: Tensor, answer: Answer) -> tuple[Filtered, ...]:
    """What may not be listed and stands above the last item of the list, in the order in which lists are."""
    listed = set(_places(known, [one.item for one in answer], "items"))
    order = score_N.argsort(descending=True, stable=True).tolist()
    last = max((place for place, item in enumerate(order) if item in listed), default=0)
    terms, found = asked.heard.question.terms, list[Filtered]()
    passed_over = "limit" if terms.limits else "diversity" if terms.diversity else None
    for item in order[:last]:
        reason = None if item in listed else asked.reason_against(item) or passed_over
        if reason is not None:
            found.append(Filtered(known.raw_items[item], known.item_titles[item], float(score_N[item]), reason))
            if len(found) == _NAMED:
                break
    return tuple(found)


def _otherwise(known: Known, asked: Understood, change: Change) -> Understood:
    """The question about another history, in which nothing is listed again that was hidden before."""
    heard = asked.heard
    gone, added = _places(known, change.without, "without"), _places(known, change.added, "added")
    for raw, item in zip(change.without, gone, strict=True):
        if item not in heard.items:
            raise DataError(
                f"item {raw!r} is not in the history of {len(heard.items):,} events, so it cannot be taken out of it"
            )
    kept = [place for place, item in enumerate(heard.items) if item not in gone]
    items = [*(heard.items[place] for place in kept), *added]
    times = None
    if heard.times is not None:
        newest = heard.times[-1] if heard.times else 0.0
        times = [*(heard.times[place] for place in kept), *[newest] * len(added)]
    terms = heard.question.terms
    events = hidden_events(known.hide if terms.hide is None else terms.hide)
    seen = items if events is None else items[len(items) - min(events, len(items)) :]
    still = [item for item in gone if item in heard.seen]
    return replace(asked, heard=replace(heard, items=items, times=times, seen=[*seen, *still]))


def _what_if(change: Change, before: Answer, after: Answer) -> WhatIf:
    old, new = [one.item for one in before], [one.item for one in after]
    return WhatIf(
        tuple(change.without),
        tuple(change.added),
        after,
        tuple(item for item in new if item not in old),
        tuple(item for item in old if item not in new),
    )
