"""How different the items of one list are, by who has them. Q lists, P pairs, N items, L listed items, U users."""

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.evaluation.metrics.metric import Lists

_BLOCK = 512  # items whose common users with all others are counted at a time


def intra_list_diversity(lists: Lists) -> Tensor:
    """Mean distance of two items of a list, over all pairs of it, shape (Q,): 1 where no two were ever had together.

    C.-N. Ziegler et al., Improving recommendation lists through topic diversification, WWW 2005, with the distance 1 −
    cosine of co-occurrence: of users that have both items in training, over the root of the product of those that have
    either. An item without a training event is as far from all others as can be. A list of one item or none has 0.

    Raises ConfigurationError where it is not known what was learnt from.
    """
    if lists.train is None:
        raise ConfigurationError(
            "intra_list_diversity counts who has two items in training, and these cases do not say what that is; take "
            "the cases of a split, such as prepare(recipe).split.test"
        )
    size = lists.items_Ck.shape[1]
    first, second = torch.triu_indices(size, size, offset=1)
    left, right = lists.items_Ck[:, first].flatten(), lists.items_Ck[:, second].flatten()
    is_pair = (left >= 0) & (right >= 0)
    rows = torch.arange(len(lists.items_Ck)).repeat_interleave(len(first))[is_pair]
    low, high = torch.minimum(left, right)[is_pair], torch.maximum(left, right)[is_pair]
    keys_P, pairs = (low * len(lists.counts_N) + high).unique(return_inverse=True)
    distances = 1 - _cosines(keys_P // len(lists.counts_N), keys_P % len(lists.counts_N), lists.train)[pairs]
    sums_C = torch.zeros(len(lists.items_Ck), dtype=torch.float64).index_add(0, rows, distances)
    return sums_C / torch.bincount(rows, minlength=len(sums_C)).clamp(min=1)


def _cosines(low_P: Tensor, high_P: Tensor, train: Sequences) -> Tensor:
    """Of each pair of items the cosine of who has them in training; `low_P` ascends."""
    # Here, because scipy takes a moment to import, which only those who ask for such a metric should wait.
    from scipy.sparse import csr_matrix

    listed_L = torch.cat([low_P, high_P]).unique()
    place_N = torch.full((train.number_of_items,), -1)
    place_N[listed_L] = torch.arange(len(listed_L))
    rows, columns, start = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, dtype=torch.int64)], 0
    for part in train.parts():
        users, items = part.flatten()
        is_listed = place_N[items] >= 0
        rows.append(users[is_listed] + start)
        columns.append(place_N[items[is_listed]])
        start += len(part)
    keys = (torch.cat(columns) * max(1, len(train)) + torch.cat(rows)).unique()  # an item that comes twice is had once
    ones = torch.ones(len(keys)).numpy()
    places = ((keys // max(1, len(train))).numpy(), (keys % max(1, len(train))).numpy())
    has_LU = csr_matrix((ones, places), shape=(len(listed_L), max(1, len(train))))
    users_L = torch.from_numpy(has_LU.getnnz(1)).double()
    low_P, high_P = place_N[low_P], place_N[high_P]
    together = [torch.zeros(0, dtype=torch.float64)]
    for start in range(0, len(listed_L), _BLOCK):
        is_here = (low_P >= start) & (low_P < start + _BLOCK)
        common = (has_LU[start : start + _BLOCK] @ has_LU.T).tocsr()
        # Copies, because scipy sets a flag of what it is given, which a view may not have.
        found = common[(low_P[is_here] - start).numpy().copy(), high_P[is_here].numpy().copy()]
        together.append(torch.from_numpy(found).double().flatten())
    return torch.cat(together) / (users_L[low_P] * users_L[high_P]).sqrt().clamp(min=1)
