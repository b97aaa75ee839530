"""Who had what, as sparse matrices: what the baselines that go by whole histories share. C cases, N items, U users."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from nextitem.data.sequences import Sequences
from nextitem.model.baselines.sparse import Entries

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def trained_pairs(train: Sequences) -> "csr_matrix":
    """How often each view has each item or, where events have weights, what these weigh together; (U, N) float64.

    Events that weigh nothing are no pairs.
    """
    from scipy.sparse import csr_matrix  # takes a while to load, and is not needed where nothing is learnt

    rows, items = train.flatten()
    pairs = csr_matrix(
        (train.weights().double().numpy(), (rows.numpy(), items.numpy())), (len(train), train.number_of_items)
    )
    pairs.eliminate_zeros()
    return pairs


def asked_pairs(histories: Sequences, decay: float = 1.0) -> "csr_matrix":
    """What the events of each history count, (C, N) float64: the newest 1, and every other `decay` times its next."""
    from scipy.sparse import csr_matrix

    rows, items = histories.flatten()
    weights = np.power(decay, steps_back(histories) - 1)
    return csr_matrix((weights, (rows.numpy(), items.numpy())), (len(histories), histories.number_of_items))


def steps_back(histories: Sequences) -> NDArray[np.int64]:
    """Which event from the end of its history each event is, from 1; in the order of `flatten`."""
    lengths_C = histories.lengths_U.numpy()
    places = np.arange(lengths_C.sum()) - np.repeat(lengths_C.cumsum() - lengths_C, lengths_C)
    steps: NDArray[np.int64] = np.repeat(lengths_C, lengths_C) - places
    return steps


def entries_of(scores: "csr_matrix") -> Entries:
    """What is above 0 in a matrix of scores, (C, N)."""
    scores.eliminate_zeros()
    scores.sort_indices()
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    return Entries(
        torch.from_numpy(rows), torch.from_numpy(scores.indices.astype(np.int64)), torch.from_numpy(scores.data)
    )
