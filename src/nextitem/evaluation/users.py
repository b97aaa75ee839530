"""Values of cases become values of users, so that who has many cases counts as everybody else. C cases, U users."""

import torch
from torch import Tensor

from nextitem.data.splits.questions import owners


def of_users(values_C: Tensor, users_C: Tensor) -> Tensor:
    """Of each user the mean over their cases, shape (U,) in the order of their first cases.

    Where each has one case, the values themselves.

    >>> of_users(torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64), torch.tensor([4, 4, 9]))  # (1 + 0) / 2, and 0.5
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    numbers_C = owners(users_C)
    counts_U = torch.bincount(numbers_C)
    if len(counts_U) == len(values_C):
        return values_C
    return values_C.new_zeros(len(counts_U)).index_add(0, numbers_C, values_C) / counts_U


def have_several(users_C: Tensor) -> bool:
    """Whether any user has more than one case."""
    return len(users_C) > 0 and int(owners(users_C).max()) + 1 < len(users_C)
