"""Items with equal vectors, which are to get equal scores. C cases, K candidates, N items, G groups of twins.

The columns of a matrix product need not agree in the last bit where two rows of the table are equal: kernels treat the
edges of a matrix, small matrices and odd widths each in their own way, and it is not said how. So equal items are found
and scored once. Nothing here is differentiated: losses do not ask who ties.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from nextitem.compute import transfer


@dataclass(frozen=True)
class Twins:
    """Which items share their vector with others: G groups of two or more."""

    group_N: Tensor
    """The group of each item, −1 where it has no twin; empty where no item has one."""
    last_G: Tensor
    """The last item of each group, whose score is that of all."""

    @classmethod
    def among(cls, vectors_Ne: Tensor, bias_N: Tensor | None = None) -> "Twins":
        """The twins of a table, where `bias_N` has to be equal too. Zeros are equal whatever their sign.

        Costs about as much as the products with one or two states: a sort of the first bytes of each row, which seldom
        coincide.
        """
        nothing = torch.zeros(0, dtype=torch.int64, device=vectors_Ne.device)
        alike = _of_equal_beginning(vectors_Ne)
        if not len(alike):
            return cls(nothing, nothing)
        rows = vectors_Ne[alike] if bias_N is None else torch.cat([vectors_Ne[alike], bias_N[alike, None]], 1)
        _, numbers, counts = torch.unique(rows.detach() + 0.0, dim=0, return_inverse=True, return_counts=True)
        numbers_G = (counts > 1).nonzero()[:, 0]
        if not len(numbers_G):
            return cls(nothing, nothing)
        group_of = torch.full_like(counts, -1).index_copy(
            0, numbers_G, torch.arange(len(numbers_G), device=counts.device)
        )
        group_N = alike.new_full((len(vectors_Ne),), -1).index_copy(0, alike, group_of[numbers])
        members = (group_N >= 0).nonzero()[:, 0]
        # Always the same one: which of several that are written to a place stays is not said, and scores would vary.
        last_G = torch.zeros_like(numbers_G).scatter_reduce(0, group_N[members], members, "amax")
        return cls(group_N, last_G)

    def __len__(self) -> int:
        return len(self.last_G)

    def level_slice(self, scores_CI: Tensor, start: int, shared_CG: Tensor) -> Tensor:
        """The scores of the items from `start` on, with those of twins taken from `shared_CG`; in place."""
        groups_I = self.group_N[start : start + scores_CI.shape[1]]
        columns = (groups_I >= 0).nonzero()[:, 0]
        return scores_CI.index_copy_(1, columns, shared_CG.index_select(1, groups_I[columns]))

    def level(self, scores_CK: Tensor, ids_CK: Tensor, shared_CG: Tensor) -> Tensor:
        """The scores of each case's own items, with those of twins taken from `shared_CG`."""
        groups_CK = self.group_N[ids_CK]
        return torch.where(groups_CK >= 0, shared_CG.gather(1, groups_CK.clamp(min=0)), scores_CK)


def _of_equal_beginning(vectors_Ne: Tensor) -> Tensor:
    """The items whose vectors begin as those of others do, by eight bytes or what fits into them; ascending."""
    size, width = vectors_Ne.element_size(), vectors_Ne.shape[1]
    columns = max(count for count in (1, 2, 4) if count * size <= 8 and count <= width)
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[columns * size]
    # The sum makes of −0 a 0, and a copy of what lies apart.
    keys_N = (vectors_Ne.detach()[:, :columns] + 0.0).contiguous().view(integer)[:, 0]
    if transfer.is_asynchronous(keys_N.device):
        ordered_N = keys_N.sort().values
    else:
        ordered_N = torch.from_numpy(np.sort(keys_N.numpy()))  # several times faster than torch's on a CPU
    repeated = ordered_N[1:][ordered_N[1:] == ordered_N[:-1]]
    if not len(repeated):
        return repeated.long()
    places_N = torch.searchsorted(repeated, keys_N)
    return (pad(repeated, (0, 1))[places_N] == keys_N).logical_and(places_N < len(repeated)).nonzero()[:, 0]
