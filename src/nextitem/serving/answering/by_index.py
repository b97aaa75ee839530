"""Lists by an index of the items: those that it finds are scored by the model itself, and filtered as any others.

C questions, K items that are scored, N items, M of which were added after the index was made.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from nextitem.evaluation.scoring import ProductQuery, refuse_nan
from nextitem.serving.answering.listing import Listed
from nextitem.serving.indexed.index import ItemIndex
from nextitem.serving.narrowing.allowed import Allowed

_WIDER = 4  # times as many items are looked at where those before did not give a whole list


def found_by(
    index: ItemIndex, query: ProductQuery, most: int, left_out: Sequence[Sequence[int]], allowed: Allowed
) -> list[Listed | None]:
    """The `most` best items of each question, best first, equal ones by index; None where that is for exact scores.

    It is where the index would have to look at so many items that a score of all takes no longer: of terms that let few
    be listed. `left_out` are items of each question that are not listed. Items that were added since are scored
    besides, each of them. Raises ScoreError for scores that are NaN.
    """
    lists: list[Listed | None] = [None] * len(query)
    share = 1 - sum(allowed.filtered.values()) / query.number_of_items
    waiting = [*range(len(query))] if share > 0 else []
    # Of what is not listed some will be found, rarely all of a long history.
    depths = {row: math.ceil(most / share) + min(len(left_out[row]), most) for row in waiting}
    while waiting:
        waiting = [row for row in waiting if index.count(depths[row]) <= index.most]
        if not waiting:
            break
        search = _Search(index, query.select(torch.tensor(waiting)), max(depths[row] for row in waiting))
        for place, row in enumerate(waiting):
            lists[row] = search.listed(place, most, left_out[row], allowed)
        waiting = [row for row in waiting if lists[row] is None]
        depths = {row: _WIDER * depths[row] for row in waiting}
    return lists


class _Search:
    """The best items of some questions, as far down as the index is sure of them."""

    def __init__(self, index: ItemIndex, query: ProductQuery, depth: int) -> None:
        count = min(index.count(depth), index.most)
        self._depth = index.depth(count)
        found_CK = index.cells.nearest(query.vectors(), count, index.entered(self._depth)).numpy()
        added_CM = np.arange(index.facts.items, query.number_of_items)[None].repeat(len(found_CK), 0)
        ids_CK = np.sort(np.concatenate([found_CK, added_CM], 1), axis=1)
        computed_CK = query.candidate_scores(torch.from_numpy(ids_CK.clip(min=0)))
        refuse_nan(computed_CK)
        scores_CK = np.where(ids_CK < 0, -np.inf, computed_CK.numpy())
        order_CK = np.argsort(-scores_CK, axis=1, kind="stable")  # so that equal ones are by item
        self._items_CK = np.take_along_axis(ids_CK, order_CK, 1)
        self._scores_CK = np.take_along_axis(scores_CK, order_CK, 1)

    def listed(self, row: int, most: int, left_out: Sequence[int], allowed: Allowed) -> Listed | None:
        """The list of a question; None where fewer than `most` may be listed as far down as that."""
        items_K, scores_K = self._items_CK[row], self._scores_CK[row]
        may_K = (scores_K > -np.inf) & ~np.isin(items_K, np.asarray(left_out, dtype=np.int64))
        if allowed.is_allowed_N is not None:
            may_K &= allowed.is_allowed_N.numpy()[items_K]  # what was not found is −1, and scores −inf
        places = np.flatnonzero(may_K)[:most]
        if len(places) < most or int(places[-1]) >= self._depth:
            return None
        return Listed(items_K[places].tolist(), scores_K[places].tolist())
