"""Which cases belong together: those of one question, and those of one user. C cases, U users.

A case is one target. Several targets after one and the same history are one question; several questions, each after
what came before it, are several, and a user may have any number of either. Values of cases become
values of users, so that who has many cases counts as everybody else.
"""

import torch
from torch import Tensor

from nextitem.data.sequences import NOBODY, Sequences


def owners(users_C: Tensor) -> Tensor:
    """Whose case each is, numbered from 0 in the order of their first cases; `NOBODY` is another one every time.

    >>> owners(torch.tensor([7, 7, 3, -1, -1]))
    tensor([0, 0, 1, 2, 3])
    """
    places_C = torch.arange(len(users_C))
    return numbered(torch.where(users_C.cpu() == NOBODY, -1 - places_C, users_C.cpu()))


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


def questions(histories: Sequences) -> Tensor:
    """Which question each case belongs to, numbered from 0 in the order of their first cases.

    Those of one user and of the same events are one.

    >>> questions(Sequences.of([[3, 1], [2]], number_of_items=4).select(torch.tensor([0, 0, 1])))
    tensor([0, 0, 1])
    """
    numbers_C = owners(histories.users_U)
    for places_C in (histories.starts_U.cpu(), histories.stops_U.cpu()):
        same_C = numbered(places_C)
        numbers_C = numbered(numbers_C * (len(same_C) + 1) + same_C)
    return numbers_C


def firsts(numbers_C: Tensor) -> Tensor:
    """The first case of each number 0, 1, 2, …, in that order."""
    places_C = torch.arange(len(numbers_C))
    count = int(numbers_C.max()) + 1 if len(numbers_C) else 0
    return places_C.new_full((count,), len(numbers_C)).scatter_reduce_(0, numbers_C, places_C, "amin")


def numbered(keys_C: Tensor) -> Tensor:
    """The same number for equal keys, from 0 in the order of their first places."""
    _, inverse_C = torch.unique(keys_C, return_inverse=True)
    number_of_K = torch.empty(int(inverse_C.max()) + 1 if len(inverse_C) else 0, dtype=torch.int64)
    first_K = firsts(inverse_C)
    number_of_K[first_K.argsort()] = torch.arange(len(first_K))
    return number_of_K[inverse_C]
