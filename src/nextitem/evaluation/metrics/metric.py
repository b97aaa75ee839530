"""What a metric is: a value for each case, of the ranks of targets or of what is listed. C cases, Q questions, N items.

Every metric of ranks takes `above_C`, how many items score strictly higher than the target, and `tied_C`, how many
others score exactly the same, and is the expectation over a random order of tied items. A target that cannot be ranked
has above = inf and earns 0. Values are float64, whatever is given.

One of questions also takes `questions_C`, equal for the targets that one history is asked for; where it is left out,
each target is a question of its own. Every case of a question has the question's value. The other targets of a question
are items like any others in `above_C` and `tied_C`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Categories

TargetMetric = Callable[[Tensor, Tensor, int], Tensor]
"""(above_C, tied_C, k) -> the value of each case, shape (C,)."""
QuestionMetric = Callable[[Tensor, Tensor, int, Tensor | None], Tensor]
"""(above_C, tied_C, k, questions_C) -> the value of each case's question, shape (C,)."""


@dataclass(frozen=True)
class Lists:
    """The k best items of every question, as they would be shown, and what is known of items beside."""

    items_Ck: Tensor
    """Item indices, best first, equal scores by index; −1 where fewer than k items are left, never before an item."""
    counts_N: Tensor
    """How often each item occurs in training."""
    histories: Sequences | None = None
    """What each question comes after."""
    train: Sequences | None = None
    """What was learnt from; None where it is not known."""
    categories: Categories | None = None
    """Those of the items; None where none are known."""

    def first(self, k: int) -> "Lists":
        """The lists cut after k items; shorter ones as they are."""
        return replace(self, items_Ck=self.items_Ck[:, :k])


ListMetric = Callable[[Lists], Tensor]
"""Lists of k items -> the value of each, shape (Q,)."""


@dataclass(frozen=True)
class Numbers:
    """What lists have in some of many columns, a number each, and 0 in all others: E numbers."""

    lists_E: Tensor
    columns_E: Tensor
    values_E: Tensor
    columns: int
    """How many there are."""


@dataclass(frozen=True)
class AggregateMetric:
    """A metric of all lists together, made of means over users: so users can be resampled, and the lists need not."""

    numbers: Callable[[Lists], Numbers]
    """What each list has, of which means are taken."""
    of_means: Callable[[Tensor, int], Tensor]
    """(means_RL, columns) -> the value of each of R rows of means, shape (R,); beyond L columns all means are 0."""
    least: float
    most: float
    """Between which a value lies."""


def listed(lists: Lists) -> Numbers:
    """1 for every list and item that it shows; a column an item.

    >>> listed(Lists(torch.tensor([[2, 0], [1, -1]]), torch.tensor([5, 5, 5]))).columns_E
    tensor([2, 0, 1])
    """
    lists_E, places_E = (lists.items_Ck >= 0).nonzero(as_tuple=True)
    ones_E = torch.ones(len(lists_E), dtype=torch.float64)
    return Numbers(lists_E, lists.items_Ck[lists_E, places_E], ones_E, len(lists.counts_N))


def expected_gain(above_C: Tensor, tied_C: Tensor, gains_k: Tensor) -> Tensor:
    """Mean gain over the ranks above + 1 … above + tied + 1, each as likely as the others; 0 beyond rank k."""
    above_C, tied_C, k = above_C.double(), tied_C.double(), len(gains_k)
    sums = torch.cat([gains_k.new_zeros(1), gains_k.cumsum(0)]).to(above_C.device)
    first_C = above_C.clamp(max=k).long()
    last_C = (above_C + tied_C + 1).clamp(max=k).long()
    return (sums[last_C] - sums[first_C]) / (tied_C + 1)


def share(sums_C: Tensor, most_C: Tensor | int) -> Tensor:
    """`sums_C` over the most that they can be: no more than 1, which a sum of fractions may pass by its rounding."""
    return (sums_C / most_C).clamp(max=1)


def total(values_C: Tensor, questions_C: Tensor | None) -> Tensor:
    """Of each case the sum over all cases of its question, shape (C,).

    >>> total(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 0, 1]))
    tensor([3., 3., 4.])
    """
    if questions_C is None:
        return values_C
    return torch.zeros_like(values_C).index_add(0, questions_C, values_C)[questions_C]
