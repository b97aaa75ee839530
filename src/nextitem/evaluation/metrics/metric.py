"""What a metric is: a value for each case, of the rank of its target or of what is listed to it. C cases, N items.

Every metric of ranks takes `above_C`, how many items score strictly higher than the target, and `tied_C`, how many
others score exactly the same, and is the expectation over a random order of tied items. A target that cannot be ranked
has above = inf and earns 0. Values are float64, whatever is given.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

RankMetric = Callable[[Tensor, Tensor, int], Tensor]
"""(above_C, tied_C, k) -> the value of each case, shape (C,)."""


@dataclass(frozen=True)
class Lists:
    """The k best items of every case, as they would be shown, and what training knows of items."""

    items_Ck: Tensor
    """Item indices, best first, equal scores by index; −1 where fewer than k items are left, never before an item."""
    counts_N: Tensor
    """How often each item occurs in training."""

    def first(self, k: int) -> "Lists":
        """The lists cut after k items; shorter ones as they are."""
        return replace(self, items_Ck=self.items_Ck[:, :k])


ListMetric = Callable[[Lists], Tensor]
"""Lists of k items -> the value of each case, shape (C,)."""


def expected_gain(above_C: Tensor, tied_C: Tensor, gains_k: Tensor) -> Tensor:
    """Mean gain over the ranks above + 1 … above + tied + 1, each as likely as the others; 0 beyond rank k."""
    above_C, tied_C, k = above_C.double(), tied_C.double(), len(gains_k)
    sums = torch.cat([gains_k.new_zeros(1), gains_k.cumsum(0)]).to(above_C.device)
    first_C = above_C.clamp(max=k).long()
    last_C = (above_C + tied_C + 1).clamp(max=k).long()
    return (sums[last_C] - sums[first_C]) / (tied_C + 1)
