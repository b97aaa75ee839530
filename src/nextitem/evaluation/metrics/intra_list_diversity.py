"""How different the items of one list are, by their categories or by who has them.

Q lists, P pairs, N items, L listed items, U users, V categories.
"""

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.evaluation.metrics.metric import Lists

_BLOCK = 512  # items whose common users with all others are counted at a time
_PAIRS = 1 << 18  # whose common categories are counted at a time


def intra_list_diversity(lists: Lists) -> Tensor:
    """Mean distance of two items of a list, over all pairs of it, shape (Q,): 1 where no two have anything in common.

    C.-N. Ziegler et al., Improving recommendation lists through topic diversification, WWW 2005. The distance is 1 −
    cosine: where categories of items are known, of the categories that both have, over the root of the product of how
    many each has, and pairs with an item of which none is known are left out; else of co-occurrence, the users that
    have both items in training, over the root of the product of those that have either, and an item without a training
    event is as far from all others as can be. A list without a pair has 0.

    Raises ConfigurationError where neither categories nor what was learnt from are known.
    """
    size, number_of_items = lists.items_Ck.shape[1], len(lists.counts_N)
    first, second = torch.triu_indices(size, size, offset=1)
    left, right = lists.items_Ck[:, first].flatten(), lists.items_Ck[:, second].flatten()
    is_pair = (left >= 0) & (right >= 0)
    rows = torch.arange(len(lists.items_Ck)).repeat_interleave(len(first))[is_pair]
    low, high = torch.minimum(left, right)[is_pair], torch.maximum(left, right)[is_pair]
    keys_P, pairs = (low * number_of_items + high).unique(return_inverse=True)
    cosines_P = _cosines(lists, keys_P // number_of_items, keys_P % number_of_items)
    is_known_P = ~cosines_P.isnan()
    rows, pairs = rows[is_known_P[pairs]], pairs[is_known_P[pairs]]
    sums_C = torch.zeros(len(lists.items_Ck), dtype=torch.float64).index_add(0, rows, 1 - cosines_P[pairs])
    return sums_C / torch.bincount(rows, minlength=len(sums_C)).clamp(min=1)


def _cosines(lists: Lists, low_P: Tensor, high_P: Tensor) -> Tensor:
    """Of each pair of items, `low_P` ascending, the cosine of what they have; NaN where that is not known of one."""
    if lists.categories is not None:
        return _of_categories(low_P, high_P, lists.categories.matrix())
    if lists.train is None:
        raise ConfigurationError(
            "intra_list_diversity counts who has two items in training, and these cases do not say what that is; take "
            "the cases of a split, such as prepare(recipe).split.test"
        )
    return _of_users(low_P, high_P, lists.train)


def _of_categories(low_P: Tensor, high_P: Tensor, categories_NV: Tensor) -> Tensor:
    # Here, because scipy takes a moment to import, which only those who ask for such a metric should wait.
    from scipy.sparse import csr_matrix

    places, shape = categories_NV.indices().numpy(), tuple(categories_NV.shape)
    has_NV = csr_matrix((categories_NV.values().double().numpy(), (places[0], places[1])), shape=shape)
    counts_N = torch.from_numpy(has_NV.getnnz(1)).double()
    common = [torch.zeros(0, dtype=torch.float64)]
    for low, high in zip(low_P.split(_PAIRS), high_P.split(_PAIRS), strict=True):
        both = has_NV[low.numpy()].multiply(has_NV[high.numpy()])
        common.append(torch.from_numpy(both.sum(1).A1))
    return torch.cat(common) / (counts_N[low_P] * counts_N[high_P]).sqrt()  # 0 / 0, not known, is NaN


def _of_users(low_P: Tensor, high_P: Tensor, train: Sequences) -> Tensor:
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
