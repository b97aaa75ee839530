"""What is like the items of the history: item-kNN. C cases, E entries, N items, P pairs.

The similarities are sparse: the neighbours of item i are `others` from starts[i] to before starts[i + 1].
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.baselines.pairs import asked_pairs, entries_of, trained_pairs
from nextitem.model.baselines.sparse import Entries, SparseQuery, below_zero, check_rows
from nextitem.model.weights import stored


class ItemKNN(Baseline):
    """Scores an item by its similarity with the items of the history, summed; popularity where there is none.

    Two items are similar where the same users have them: the product of their columns of weighted counts, weighed and
    multiplied by the library `implicit`, whose defaults these are. Sarwar et al., WWW 2001.
    """

    name: Literal["item_knn"] = "item_knn"
    weighting: Literal["bm25", "tfidf", "cosine"] = "bm25"
    """What counts weigh: by BM25 (`k1` and `b`), by TF-IDF, or as they are; the last two have columns of length 1."""
    neighbours: int = Field(20, ge=1)
    """The most similar items that are kept of each item, itself aside."""
    k1: float = Field(1.2, ge=0.0)
    """BM25: how far a count may raise a weight; 0 makes all counts alike."""
    b: float = Field(0.75, ge=0.0, le=1.0)
    """BM25: how far frequent items weigh less, from 0 to 1."""
    decay: float = Field(1.0, gt=0.0, le=1.0)
    """What an event of the history counts beside the next newer one; 1 makes all alike."""

    def learn(self, train: Sequences, seed: int = 0) -> "ItemKNNScorer":
        """The scorer with the similarities of `train`; nothing is random. Raises DataError where no two are similar."""
        # Not needed to score, and it takes a while to load.
        from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight, normalize, tfidf_weight

        pairs_UN = trained_pairs(train)
        with np.errstate(divide="ignore", invalid="ignore"):  # of an item that everybody has, or nobody
            if self.weighting == "bm25":
                weighed_NU = bm25_weight(pairs_UN.T, self.k1, self.b)
            else:
                weighed_NU = normalize(tfidf_weight(pairs_UN.T) if self.weighting == "tfidf" else pairs_UN.T)
        weighed_NU.data = np.nan_to_num(weighed_NU.data)
        model = ItemItemRecommender(K=self.neighbours + 1, num_threads=1)
        model.fit(weighed_NU.T.tocsr(), show_progress=False)
        similar_NN = model.similarity
        similar_NN.setdiag(0)
        similar_NN.data[similar_NN.data < 0] = 0  # where users have so much that what they have counts against itself
        rows_P, others_P, weights_P = entries_of(similar_NN)
        if not len(rows_P):
            raise DataError(
                f"in {len(train):,} histories no two items are similar, so there is nothing to score by; give longer "
                f"histories, or take the baseline popularity"
            )
        starts_N1 = torch.searchsorted(rows_P, torch.arange(train.number_of_items + 1))
        return ItemKNNScorer(starts_N1, others_P, weights_P, train.weighted_counts(), self.decay)

    def restore(self, tensors: Mapping[str, Tensor]) -> "ItemKNNScorer":
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        whole, number = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.float64)
        starts_N1, others_P = (stored(tensors, name, like=whole) for name in ("starts", "others"))
        weights_P, popularity_N = (stored(tensors, name, like=number) for name in ("similarities", "popularity"))
        check_rows(starts_N1, others_P, len(popularity_N), len(popularity_N))
        if len(weights_P) != len(others_P):
            raise ValueError(f"similarities has {len(weights_P):,} numbers and others {len(others_P):,}")
        if bool((weights_P <= 0).any() | (popularity_N < 0).any()):
            raise ValueError("similarities should be above 0, and popularity at least 0")
        return ItemKNNScorer(starts_N1, others_P, weights_P, popularity_N, self.decay)


class ItemKNNScorer:
    """Similarities of items, added up over a history; what has none is below 0, in the order of popularity."""

    def __init__(
        self, starts_N1: Tensor, others_P: Tensor, weights_P: Tensor, popularity_N: Tensor, decay: float
    ) -> None:
        from scipy.sparse import csr_matrix

        self.starts_N1, self.others_P, self.weights_P = starts_N1, others_P, weights_P
        self.popularity_N = popularity_N
        self.decay = decay
        shape = (len(popularity_N), len(popularity_N))
        self._similar_NN = csr_matrix((weights_P.numpy(), others_P.numpy(), starts_N1.numpy()), shape)

    def query(self, histories: Sequences) -> SparseQuery:
        """Scores by all items of each history."""
        return SparseQuery(below_zero(self.popularity_N), histories, self._similar)

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `ItemKNN.restore` needs."""
        return {
            "starts": self.starts_N1,
            "others": self.others_P,
            "similarities": self.weights_P,
            "popularity": self.popularity_N,
        }

    def _similar(self, histories: Sequences) -> Entries:
        """The items that are similar to any of each history."""
        return entries_of(asked_pairs(histories, self.decay) @ self._similar_NN)
