"""What all numbers are made of: the rank of every target and the list of every question. C cases, Q questions.

Each of several processes asks its share of the questions, and all have the answers to all of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.compute.processes import Processes
from nextitem.data.splits.questions import firsts
from nextitem.data.splits.split import Cases
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.ranks import candidate_ranks, target_ranks, top_k
from nextitem.evaluation.scoring import Scorer


@dataclass(frozen=True)
class Measured:
    """Ranks of C cases, and lists of Q questions where they were asked for."""

    above_C: Tensor
    tied_C: Tensor
    items_Qk: Tensor
    """The best items of every question, as `top_k` has them; k is 0 where no list was asked for."""


def measured(scorer: Scorer, cases: Cases, ranking: Ranking, longest: int, processes: Processes) -> Measured:
    """Ranks by `ranking`, and lists of the `longest` best items, or as many as there are. Raises as scoring does."""
    questions_C = cases.questions_C
    first_Q = firsts(questions_C)
    mine = processes.share(len(first_Q))
    is_mine_C = (questions_C >= mine.start) & (questions_C < mine.stop)
    drawn_CK = ranking.draw(cases)  # of all cases: what a process draws may not depend on its share
    targets_C, k = cases.targets_C[is_mine_C], min(longest, cases.histories.number_of_items)
    items_Qk = torch.zeros(mine.stop - mine.start, k, dtype=torch.int64)
    if drawn_CK is not None:
        histories = cases.histories.select(is_mine_C)
        ranks = candidate_ranks(scorer.query(histories), targets_C, drawn_CK[is_mine_C], ranking.seen(histories))
    else:
        # Of one question every target is read from the same scores, which two rows need not have to the last bit.
        histories = cases.histories.select(first_Q[mine])
        query, seen = scorer.query(histories), ranking.seen(histories)
        ranks = target_ranks(query, targets_C, seen, questions_C[is_mine_C] - mine.start)
        if k:
            items_Qk = top_k(query, k, seen)[0]
    ranks_C2 = torch.zeros(len(cases), 2, dtype=torch.float64)
    ranks_C2[is_mine_C] = torch.stack(ranks, 1)
    above_C, tied_C = processes.sum(ranks_C2).unbind(1)
    return Measured(above_C, tied_C, processes.gather(items_Qk, len(first_Q)) if k else items_Qk)
