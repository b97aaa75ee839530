"""Matrix factorisation that puts a user's items above the others: BPR-MF. C cases, K candidates, N items, U users.

Users and items have f factors; the library gives an item one more, its bias, for which every user has a 1.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from nextitem.compute.randomness import Purpose, key_seed
from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.layers.products import Products
from nextitem.model.weights import stored


class BPRMF(Baseline):
    """Scores an item by the product of its factors with the user's: it knows trained users alone, and no history.

    Rendle et al. (2009), learnt by the library `implicit`; the defaults are those of Klenitskiy & Vasilev (2023), who
    trained on a GPU, where the library draws otherwise. A user of whom nothing is learnt, as a temporal split leaves
    some, has factors of 0 and the items' biases alone as scores.
    """

    name: Literal["bpr_mf"] = "bpr_mf"
    only_counts: ClassVar[bool] = False
    has_users: ClassVar[bool] = True
    is_drawn: ClassVar[bool] = True
    also_called: ClassVar[Mapping[str, str]] = {"regularization": "l2"}
    factors: int = Field(128, ge=1)
    """Factors of a user and of an item."""
    learning_rate: float = Field(0.05, gt=0.0)
    """Step size of stochastic gradient descent."""
    l2: float = Field(0.01, ge=0.0)
    """Weight of the squared factors in the loss."""
    iterations: int = Field(100, ge=1)
    """Passes over the events."""
    events: Literal["train", "train_and_validation"] = "train"
    """What is learnt: `train`, or also the validation events, as the 2023 paper did; validation then shows nothing."""

    @property
    def learns_validation(self) -> bool:
        """Whether `events` says so."""
        return self.events == "train_and_validation"

    def learn(self, train: Sequences, seed: int = 0) -> "BPRMFScorer":
        """The scorer that `train` gives; equal seeds give equal factors. Raises DataError where nothing can be learnt.

        One thread alone: several would update factors in an order of their own (Hogwild), which no seed repeats.
        """
        # Not needed to score, and it takes a while to load.
        from implicit.cpu.bpr import BayesianPersonalizedRanking
        from scipy.sparse import csr_matrix

        rows, items = _alike(train)
        users = train.users_U[rows].numpy()
        shape = (int(train.users_U.max()) + 1 if len(train) else 0, train.number_of_items)
        liked_UN = csr_matrix((np.ones(len(users), np.float32), (users, items.numpy())), shape)
        _refuse_complete(liked_UN.nnz, users, items)
        model = BayesianPersonalizedRanking(
            factors=self.factors,
            learning_rate=self.learning_rate,
            regularization=self.l2,
            iterations=self.iterations,
            num_threads=1,
            random_state=key_seed(seed, Purpose.WEIGHTS),
        )
        model.fit(liked_UN, show_progress=False)
        users_Uf = torch.from_numpy(model.user_factors)
        users_Uf[torch.from_numpy(np.bincount(users, minlength=len(users_Uf)) == 0), :-1] = 0
        return BPRMFScorer(users_Uf, torch.from_numpy(model.item_factors))

    def restore(self, tensors: Mapping[str, Tensor]) -> "BPRMFScorer":
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        users_Uf, items_Nf = (stored(tensors, name, like=torch.empty(0, 0)) for name in ("users", "items"))
        if users_Uf.shape[1] != items_Nf.shape[1]:
            raise ValueError(f"users has {users_Uf.shape[1]:,} factors and items {items_Nf.shape[1]:,}")
        return BPRMFScorer(users_Uf, items_Nf)

    def users_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users have factors."""
        return len(tensors["users"])

    def without_user(self, tensors: Mapping[str, Tensor], user: int, history: Tensor) -> dict[str, Tensor]:
        """The tensors without the factors of a user; those after it move up."""
        users_Uf = tensors["users"]
        return {**tensors, "users": torch.cat([users_Uf[:user], users_Uf[user + 1 :]])}


def _alike(train: Sequences) -> tuple[Tensor, Tensor]:
    """(rows, items) of the events that are targets. Raises DataError where they weigh differently."""
    rows, items = train.flatten()
    if not train.has_weights:
        return rows, items
    weights = train.weights()
    least, most = weights[weights > 0].aminmax() if bool((weights > 0).any()) else (weights.new_ones(()),) * 2
    if float(least) != float(most):
        raise DataError(
            f"targets weigh {float(least):g} to {float(most):g}, and bpr_mf draws each pair of a user and an item "
            f"alike; give all kinds that are targets one weight, or take another model"
        )
    return rows[weights > 0], items[weights > 0]


def _refuse_complete(pairs: int, users: "np.ndarray[Any, Any]", items: Tensor) -> None:
    """Raises DataError where each user has each item: what is drawn to be put below is liked, and the step left out."""
    several, trained = len(np.unique(users)), len(items.unique())
    if pairs == several * trained:
        raise DataError(
            f"each of {several:,} users has each of the {trained:,} trained items, so that none is left to be put "
            f"below another and nothing can be learnt; give events of more items, or take the baseline popularity"
        )


class BPRMFScorer:
    """Factors of users and items."""

    def __init__(self, users_Uf: Tensor, items_Nf: Tensor) -> None:
        self.users_Uf = users_Uf
        self.items_Nf = items_Nf

    def query(self, histories: Sequences) -> "Products":
        """Scores for the users of these histories. Raises DataError for one that it was not trained on."""
        users_C = histories.users_U
        is_new_C = (users_C < 0) | (users_C >= len(self.users_Uf))
        if bool(is_new_C.any()):
            raise DataError(
                f"{int(is_new_C.sum()):,} of {len(histories):,} histories are not of a user that bpr_mf was trained "
                f"on, and it knows no others; ask for users of the run, or train a model that reads histories"
            )
        return Products(self.users_Uf[users_C], self.items_Nf)

    def item_vectors(self) -> Tensor:
        """The factors of each item without its bias, shape (N, f)."""
        return self.items_Nf[:, :-1]

    def product_table(self) -> Tensor:
        """The factors of each item, its bias among them, shape (N, f + 1)."""
        return self.items_Nf

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `BPRMF.restore` needs."""
        return {"users": self.users_Uf, "items": self.items_Nf}

    @property
    def reads_histories(self) -> bool:
        """Never: it knows users."""
        return False

    def item_rows(self) -> dict[str, Tensor]:
        """The factors of the items."""
        return {"items": self.items_Nf}

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> None:
        """None: it reads no features."""
        return

    def grown(self, more: Mapping[str, Tensor]) -> "BPRMFScorer":
        """The scorer with M more items, whose factors these are."""
        return BPRMFScorer(self.users_Uf, torch.cat([self.items_Nf, more["items"]]))
