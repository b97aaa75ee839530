"""How far foretold rows are to lie from each other, so that new items are neither drowned nor on top.

What features explain of an item's row is a fraction of it. Foretold rows for that reason lie closer together than
trained ones, their scores differ less from history to history, and no new item would ever be among the ten best; rows
that are spread too far would fill the lists. Between the two is the spread under which items that were trained, but are
foretold as if they were new, take as many places of lists as they take with their own rows.

N items, H of them held out from the map, C histories.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.evaluation.ranks import top_k
from nextitem.model.growing import Growing

MOST_HISTORIES = 512  # whose lists are looked at
MOST_SPREAD = 8.0
_K, _HALVINGS = 10, 10
Foretold = Callable[[float], Mapping[str, Tensor]]
"""From a spread to the rows of the H items."""


def fair_spread(scorer: Growing, foretold: Foretold, held_out: Tensor, histories: Sequences) -> float:
    """The spread from 1 to 8 under which the `held_out` items (H,) take their own share of the ten best after each.

    The smallest one that is enough, 8 where none is. Items of a history are not listed.
    """
    own = _share(scorer, held_out, histories)
    low, high = 1.0, MOST_SPREAD
    if not own or _foretold_share(scorer, foretold(low), held_out, histories) >= own:
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _foretold_share(scorer, foretold(middle), held_out, histories) < own:
            low = middle
        else:
            high = middle
    return high


def asked_about(histories: Sequences | None, counts_N: Tensor) -> Sequences:
    """At most 512 histories that lists are made for: stored ones, evenly from all; else of one popular item each."""
    if histories is None:
        popular = counts_N.argsort(descending=True, stable=True)[:MOST_HISTORIES]
        return Sequences.of([[item] for item in popular.tolist()], len(counts_N))
    rows = (histories.lengths_U > 0).nonzero()[:, 0]
    return histories.select(rows[torch.arange(0, len(rows), max(1, -(-len(rows) // MOST_HISTORIES)))])


def _share(scorer: Growing, wanted: Tensor, histories: Sequences) -> float:
    """Which share of the places of all lists these items take."""
    items_Ck, _ = top_k(scorer.query(histories), _K, histories)
    return float(torch.isin(items_Ck, wanted).double().mean())


def _foretold_share(scorer: Growing, rows: Mapping[str, Tensor], held_out: Tensor, histories: Sequences) -> float:
    """The same of the items with foretold rows, which stand behind the others and in place of themselves."""
    before, more = histories.number_of_items, len(held_out)
    is_allowed_N = torch.ones(before + more, dtype=torch.bool)
    is_allowed_N[held_out] = False
    longer = replace(histories, events=replace(histories.events, number_of_items=before + more), known_counts_N=None)
    allowed = is_allowed_N.nonzero()[:, 0]
    items_Ck, _ = top_k(scorer.grown(rows).query(longer), _K, longer, allowed)
    return float((items_Ck >= before).double().mean())
