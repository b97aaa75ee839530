"""Ranks by counting and lists by partial sorting, a block of histories at a time. C cases, N items.

The catalogue is never sorted for a rank: it is enough to count who scores higher.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from nextitem.errors import ScoreError
from nextitem.scoring import Query
from nextitem.sequences import Sequences

_BLOCK_ELEMENTS = 1 << 21  # scores alive at a time: 8 MB of float32, which stays in a cache


def target_ranks(query: Query, targets_C: Tensor, seen: Sequences | None) -> tuple[Tensor, Tensor]:
    """(above_C, tied_C): how many items score higher than each target and how many others the same; float64.

    Items of `seen` (one view per case) are hidden: neither above nor tied. A target that is hidden itself cannot be
    recommended: above is inf, tied 0. Raises ScoreError when a score is NaN.
    """
    above, tied = [], []
    for rows, scores in _score_blocks(query):
        targets = targets_C[rows].to(scores.device)[:, None]
        # The target's score is read from the very product its rivals come from: computed apart, it can differ in the
        # last bit, and equal items would no longer tie.
        target_scores = scores.gather(1, targets)
        is_hidden = _hide(scores, None if seen is None else seen.select(rows), targets)
        above_rows = (scores > target_scores).sum(1)
        tied_rows = (scores == target_scores).sum(1) - 1
        above.append(torch.where(is_hidden, torch.inf, above_rows.double()))
        tied.append(torch.where(is_hidden, 0.0, tied_rows.double()))
    if not above:
        return torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    return torch.cat(above).cpu(), torch.cat(tied).cpu()


def _hide(scores: Tensor, seen: Sequences | None, targets: Tensor) -> Tensor:
    """Turn the scores of seen items into NaN, which compares false with everything; tell which targets were hit."""
    if seen is None:
        return torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    rows, items = seen.flatten()
    scores[rows.to(scores.device), items.to(scores.device)] = torch.nan
    return scores.gather(1, targets).isnan()[:, 0]


def top_k(query: Query, k: int, seen: Sequences | None, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(items_Ck, scores_Ck) of the k best items of each history, best first; items of `seen` never appear.

    With `candidates` (item indices) no other item does.

    Equal scores are ordered by item index. Where fewer than k items are left, the rest is item −1 with score −inf.
    """
    items, best = [], []
    is_candidate_N = torch.full((query.number_of_items,), candidates is None)
    if candidates is not None:
        is_candidate_N[candidates] = True
    for rows, scores in _score_blocks(query):
        if candidates is not None:
            scores.masked_fill_(~is_candidate_N.to(scores.device), -torch.inf)
        if seen is not None:
            hidden_rows, hidden_items = seen.select(rows).flatten()
            scores[hidden_rows.to(scores.device), hidden_items.to(scores.device)] = -torch.inf
        values, ids = _sorted_top(scores, min(k, scores.shape[1]))
        items.append(torch.where(values == -torch.inf, -1, ids).cpu())
        best.append(values.cpu())
    if not items:
        return torch.zeros(0, k, dtype=torch.int64), torch.zeros(0, k)
    missing = k - items[0].shape[1]
    pad = torch.nn.functional.pad
    return pad(torch.cat(items), (0, missing), value=-1), pad(torch.cat(best), (0, missing), value=-torch.inf)


def _sorted_top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest per row, descending; ties by ascending index, also across the edge of the list."""
    values, ids = scores.topk(k, dim=1)
    is_cut = (scores >= values[:, -1:]).sum(1) > k
    if bool(is_cut.any()):
        cut_values, cut_ids = scores[is_cut].sort(dim=1, descending=True, stable=True)
        values[is_cut], ids[is_cut] = cut_values[:, :k], cut_ids[:, :k]
    order = ids.argsort(dim=1)
    values, ids = values.gather(1, order), ids.gather(1, order)
    order = values.argsort(dim=1, descending=True, stable=True)
    return values.gather(1, order), ids.gather(1, order)


def _score_blocks(query: Query) -> Iterator[tuple[Tensor, Tensor]]:
    """(rows, scores over the whole catalogue) a block of cases at a time."""
    block = max(1, _BLOCK_ELEMENTS // query.number_of_items)
    for start in range(0, len(query), block):
        rows = torch.arange(start, min(start + block, len(query)))
        scores = query.select(rows).scores(0, query.number_of_items)
        # NaN compares false with everything: unguarded, every target of a diverged model would rank first.
        if not bool(scores.sum().isfinite()) and bool(scores.isnan().any()):
            raise ScoreError("the model's scores contain NaN, so nothing can be ranked; training diverged")
        yield rows, scores
