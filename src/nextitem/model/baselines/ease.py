"""A linear model of the whole history, in closed form: EASE. C cases, K candidates, N items, U users."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from nextitem.compute.memory import available
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.baselines.pairs import asked_pairs, trained_pairs
from nextitem.model.weights import stored
from nextitem.words import amount

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_COPIES = 3  # of the matrix: the one that is solved in place, and two while it is stored
_BLOCK = 1024  # columns that are written at a time
_STRIP = 64  # columns of the weights that stay in a cache while several histories ask for them
_OFTEN = 4  # how often a row of the weights is asked for where a copy of its strip pays


class EASE(Baseline):
    """Scores an item by a sum of weights, one for each item of the history; what is not in it counts 0.

    The weights reproduce who had what best, by squared error with the squared weights beside it, where no item may
    speak for itself. H. Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019. They are one matrix of N²
    numbers. How often somebody had an item is not looked at, nor in which order.
    """

    name: Literal["ease"] = "ease"
    only_counts: ClassVar[bool] = False
    l2: float = Field(500.0, gt=0.0)
    """Weight of the squared weights; the paper takes 200 to 1,000, and small logs want less."""
    precision: Literal["float64", "float32"] = "float64"
    """Of the matrix and of what is solved: float32 takes half of the memory."""

    def learn(self, train: Sequences, seed: int = 0) -> "EASEScorer":
        """The scorer with the weights that `train` gives; nothing is random.

        Raises ConfigurationError where the matrix does not fit into the memory that is left.
        """
        self._check_memory(train.number_of_items)
        had_UN = trained_pairs(train).astype(self.precision)
        had_UN.data[:] = 1
        weights_NN = _inverse(had_UN, self.l2)
        diagonal_N = weights_NN.diagonal().copy()
        weights_NN /= -diagonal_N
        np.fill_diagonal(weights_NN, 0)
        return EASEScorer(torch.from_numpy(weights_NN), train.weighted_counts())

    def restore(self, tensors: Mapping[str, Tensor]) -> "EASEScorer":
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        kind = torch.float64 if self.precision == "float64" else torch.float32
        weights_NN = stored(tensors, "weights", like=torch.empty(0, 0, dtype=kind))
        popularity_N = stored(tensors, "popularity", like=torch.empty(0, dtype=torch.float64))
        wanted = (len(popularity_N), len(popularity_N))
        if weights_NN.shape != wanted:
            raise ValueError(f"weights is {tuple(weights_NN.shape)} and should be {wanted}, as popularity has it")
        if bool(weights_NN.diagonal().any()) or bool((popularity_N < 0).any()):
            raise ValueError("no item should have a weight for itself, and popularity should be at least 0")
        return EASEScorer(weights_NN, popularity_N)

    def _check_memory(self, items: int) -> None:
        wide = 8 if self.precision == "float64" else 4
        needed, room = _COPIES * wide * items**2, available(torch.device("cpu"))
        if room is None or needed <= room:
            return
        half = "; model.precision=float32 takes half" if wide == 8 else ""
        raise ConfigurationError(
            f"ease takes {amount(needed)} for {items:,} items, {_COPIES} matrices of all pairs, and {amount(room)} are "
            f"available{half}; leave rare items out by filters.minimum_per_item, or take the baseline item_knn"
        )


def _inverse(had_UN: "csr_matrix", l2: float) -> NDArray[Any]:
    """(XᵀX + l2·1)⁻¹ of a matrix X of who had what, (N, N), solved in place."""
    from scipy.linalg.lapack import get_lapack_funcs

    items = had_UN.shape[1]
    gram_NN = np.zeros((items, items), had_UN.dtype, order="F")
    columns = had_UN.tocsc()
    for start in range(0, items, _BLOCK):
        gram_NN[:, start : start + _BLOCK] = (had_UN.T @ columns[:, start : start + _BLOCK]).toarray()
    gram_NN[np.arange(items), np.arange(items)] += l2
    factored, inverted = get_lapack_funcs(("potrf", "potri"), (gram_NN,))
    gram_NN, fault = factored(gram_NN, lower=1, clean=0, overwrite_a=1)
    if not fault:
        gram_NN, fault = inverted(gram_NN, lower=1, overwrite_c=1)
    if fault:
        raise ConfigurationError(
            f"model.l2={l2} is too small beside the rounding of {had_UN.dtype}, so that ease has no solution for "
            f"{had_UN.nnz:,} pairs; raise model.l2, or set model.precision=float64"
        )
    for start in range(0, items, _BLOCK):  # of the inverse only what is below the diagonal was written
        stop = min(start + _BLOCK, items)
        gram_NN[start:stop, stop:] = gram_NN[stop:, start:stop].T
        corner = np.tril(gram_NN[start:stop, start:stop])
        gram_NN[start:stop, start:stop] = corner + np.tril(corner, -1).T
    inverse_NN: NDArray[Any] = gram_NN.T  # which is the same, row by row
    return inverse_NN


class EASEScorer:
    """Weights of all pairs of items: row i is what having item i says of every other."""

    def __init__(self, weights_NN: Tensor, popularity_N: Tensor) -> None:
        self.weights_NN = weights_NN
        self.popularity_N = popularity_N

    def query(self, histories: Sequences) -> "EASEQuery":
        """Scores by the items of each history; after an empty one by popularity."""
        had_CN = asked_pairs(histories)
        had_CN.data[:] = 1
        return EASEQuery(self, had_CN.astype(self.weights_NN.numpy().dtype))

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `EASE.restore` needs."""
        return {"weights": self.weights_NN, "popularity": self.popularity_N}


class EASEQuery:
    """Sums of the weights of C histories; each item's sum is added up in one order, whatever is asked with it."""

    def __init__(self, scorer: EASEScorer, had_CN: "csr_matrix") -> None:
        self.scorer = scorer
        self.had_CN = had_CN
        self.number_of_items = len(scorer.popularity_N)

    def __len__(self) -> int:
        return int(self.had_CN.shape[0])

    @cached_property
    def _scores_CN(self) -> Tensor:
        """All scores: the matrix is read row by row, and a slice of it would be copied each time."""
        scores_CN = torch.from_numpy(_sums(self.had_CN, self.scorer.weights_NN.numpy())).double()
        scores_CN[torch.from_numpy(np.diff(self.had_CN.indptr) == 0)] = self.scorer.popularity_N
        return scores_CN

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start) float64."""
        return self._scores_CN[:, start:stop].clone()

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""
        return self._scores_CN.gather(1, ids_CK)

    def select(self, rows: Tensor) -> "EASEQuery":
        """The query for some of the histories (indices or a mask)."""
        return EASEQuery(self.scorer, self.had_CN[rows.numpy()])


def _sums(had_CN: "csr_matrix", weights_NN: NDArray[Any]) -> NDArray[Any]:
    """The product: bit for bit the same by strips, which is twice as fast for long histories."""
    items = len(weights_NN)
    if had_CN.nnz < _OFTEN * items:
        whole: NDArray[Any] = had_CN @ weights_NN
        return whole
    sums = np.empty(had_CN.shape, weights_NN.dtype)
    for start in range(0, items, _STRIP):
        strip = slice(start, start + _STRIP)
        sums[:, strip] = had_CN @ np.ascontiguousarray(weights_NN[:, strip])
    return sums
