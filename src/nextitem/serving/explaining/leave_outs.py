"""Which items of a history carry the score of another: its change when each is left out, all in one pass.

E events, D different items of a history, V = D + 1 versions of it, X items that are asked about, N items.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.evaluation.scoring import Scorer, refuse_nan
from nextitem.serving.explaining.steps import Steps

_AT_ONCE = 1 << 23  # scores alive at a time: 32 MB of float32
_TOGETHER = 8  # versions in one step of the model, which is to take some milliseconds
_ROUNDING = 2.0**-18  # of the largest finite score: rows of one product may differ by so much and mean the same


@dataclass(frozen=True)
class LeaveOuts:
    """Scores and ranks of X items after a history as it is, and without each of its D latest different items."""

    items_D: Tensor
    """What is left out, the item of the newest event first; all events of an item at a time."""
    score_X: Tensor
    """float64, after the whole history."""
    rank_X: Tensor
    """1 is best, among what may be recommended (`may_N`); equal scores in the order of items, as in lists."""
    change_DX: Tensor
    """The score after the whole history less that without the item: above 0 where the item speaks for the other.

    0 for what is within rounding, and NaN where nothing of the history is left and another model answers.
    """
    rank_DX: Tensor
    """The rank without the item."""
    score_N: Tensor
    """The scores of all items after the whole history."""


def leave_outs(
    scorer: Scorer, fallback: Scorer, history: Sequences, items_X: Tensor, may_N: Tensor, latest: int
) -> Steps[LeaveOuts]:
    """What the items of one history do to the scores of others; the `latest` of its different items are left out.

    In steps of a few versions, and then of an item's ranks.

    `may_N` says which items are ranked, the same in all versions: what is left out stays hidden, so that ranks compare.
    An item that is not among them is ranked as if it were one more. `fallback` answers where nothing is left.
    Raises what the scorer raises, for histories that it cannot be asked about.
    """
    items_D = latest_first(history)[:latest]
    versions = without_each(history, items_D)
    is_empty_V = versions.lengths_U == 0
    score_VX = torch.zeros(len(versions), len(items_X), dtype=torch.float64)
    rank_VX = torch.zeros(len(versions), len(items_X), dtype=torch.int64)
    score_N = torch.empty(0)
    for rows, answering in ((is_empty_V, fallback), (~is_empty_V, scorer)):  # the whole history is never empty alone
        if bool(rows.any()):
            score_VX[rows], rank_VX[rows], score_N = yield from _scored(
                answering, versions.select(rows), items_X, may_N
            )
    change_DX = score_VX[0] - score_VX[1:]
    change_DX[change_DX.abs() <= _ROUNDING * score_N[score_N.isfinite()].abs().max()] = 0
    change_DX[is_empty_V[1:] != is_empty_V[0]] = torch.nan
    return LeaveOuts(items_D, score_VX[0], rank_VX[0], change_DX, rank_VX[1:], score_N)


def latest_first(history: Sequences) -> Tensor:
    """The different items of one history, that of the newest event first.

    >>> latest_first(Sequences.of([[3, 1, 3, 2]], number_of_items=4)).tolist()
    [2, 3, 1]
    """
    _, items_E = history.flatten()
    different_D, places_E = torch.unique(items_E, return_inverse=True)
    newest_D = torch.zeros_like(different_D).scatter_reduce(0, places_E, torch.arange(len(items_E)), "amax")
    order_D: Tensor = newest_D.argsort(descending=True)
    return torch.index_select(different_D, 0, order_D)


def without_each(history: Sequences, items_D: Tensor) -> Sequences:
    """One history, and after it the same without all events of each item: D + 1 views, of the same user.

    >>> without_each(Sequences.of([[3, 1, 3, 2]], number_of_items=4), torch.tensor([2, 3])).tolist()
    [[3, 1, 3, 2], [3, 1, 3], [1, 2]]
    """
    _, items_E = history.flatten()
    is_left_VE = torch.cat([torch.ones(1, len(items_E), dtype=torch.bool), items_E != items_D[:, None]])
    times = history.times().expand_as(is_left_VE)[is_left_VE] if history.has_times else None
    events = Events(items_E.expand_as(is_left_VE)[is_left_VE], history.number_of_items, times)
    stops_V = is_left_VE.sum(1).cumsum(0)
    starts_V = torch.cat([stops_V.new_zeros(1), stops_V[:-1]])
    return Sequences(events, starts_V, stops_V, history.users_U.expand(len(stops_V)))


def _scored(
    scorer: Scorer, histories: Sequences, items_X: Tensor, may_N: Tensor
) -> Steps[tuple[Tensor, Tensor, Tensor]]:
    """(scores, ranks) of the items after each of V histories, (V, X), and all scores after the first of them, (N,)."""
    scores, ranks, first_N = [], [], torch.empty(0)
    for rows in torch.arange(len(histories)).split(max(1, min(_TOGETHER, _AT_ONCE // len(may_N)))):
        scores_RN = _scores(scorer, histories.select(rows))
        first_N = first_N if len(first_N) else scores_RN[0].clone()
        scores_RX = scores_RN[:, items_X]
        rivals_RN = scores_RN.masked_fill(~may_N, torch.nan)  # compares false with everything
        rank_RX = torch.empty(scores_RX.shape, dtype=torch.int64)
        yield
        for x, item in enumerate(items_X.tolist()):  # of all at a time there would be R · X · N comparisons to hold
            rank_RX[:, x] = _rank(rivals_RN, scores_RX[:, x], item)
            yield
        ranks.append(rank_RX)
        scores.append(scores_RX.double())
    return torch.cat(scores), torch.cat(ranks), first_N


@torch.no_grad()
def _scores(scorer: Scorer, histories: Sequences) -> Tensor:
    query = scorer.query(histories)
    scores_RN = query.scores(0, query.number_of_items).cpu()
    refuse_nan(scores_RN)
    return scores_RN


def _rank(rivals_RN: Tensor, score_R: Tensor, item: int) -> Tensor:
    above_R = (rivals_RN > score_R[:, None]).sum(1)
    return above_R + (rivals_RN[:, :item] == score_R[:, None]).sum(1) + 1
