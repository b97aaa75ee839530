"""What is known of a user, as one more vector before a history. B rows, L length, T positions, d width, U users.

V categories, K of them at most of a user, F numbers. What `Content` calls items are users here.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Literal, cast

import polars as pl
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.batches import Batch
from nextitem.model.items.content import NAMES, Content
from nextitem.settings.configuration import Configuration


class UserPrefix(Configuration):
    """What is known of a user is read before the oldest item of a history, at a place of its own.

    The vector of user u is k + Σ_f mean over its categories of column f of their vectors + W x_u, where x_u are its
    standardised numbers and its given vectors (a sum of features as in LightFM: Kula, CBRecSys 2015, whose categories
    are summed), and that of a user of whom nothing is known is q. All items move by one place; the prefix is never a
    target. An encoder scales it as it does vectors of items.
    """

    name: Literal["users"] = "users"
    dropout: float = Field(0.1, ge=0, lt=1)
    """Probability with which a window of training is read as that of an unknown user, so that q means something too."""

    def build(self, dim: int, content: Content | None = None) -> "Prefix":
        """The vectors with fresh weights from torch's global generator; without content all users are unknown."""
        return Prefix(dim, Content.nothing(0) if content is None else content, self.dropout)


def read_by_prefix(features: ItemFeatures | None) -> tuple[ItemFeatures, list[str]]:
    """(what is known of users, its columns that a prefix reads). Raises DataError where there is none."""
    if features is None or not (read := [*features.categories, *features.numbers, *features.vectors]):
        raise DataError(
            "prefix=users reads categories, numbers and vectors of the users, and there are none; name a table of the "
            "users by users=users.csv, and its columns by user_features.columns.categories=NAME"
        )
    return features, read


def content_of_users(features: ItemFeatures | None, train: Sequences) -> Content:
    """The users as a prefix reads them: categories and scales are those of users with events in `train`.

    A user without any value is unknown. Raises DataError where nothing is known that can be read.
    """
    features, read = read_by_prefix(features)
    lengths_U = torch.zeros(len(features), dtype=torch.int64)
    lengths_U.index_add_(0, train.users_U.cpu(), train.sizes_U)
    return replace(Content.of(features, lengths_U), has_id_N=_is_known(features, read))


def _is_known(features: ItemFeatures, read: list[str]) -> Tensor:
    """1 of a user with any value that is read, else 0."""
    is_known = features.table.select(pl.any_horizontal(pl.col(read).is_not_null())).to_series()
    return torch.from_numpy(is_known.to_numpy(writable=True)).float()


_READ = ("has_id_N", "categories_NK", "shares_NK", "numbers_NF")


def users_in(weights: Mapping[str, Tensor]) -> Content:
    """The users among the weights of a prefix. Raises ValueError where they are not those of one."""
    for name, dimensions in (("has_id_N", 1), ("categories_Vd", 2)):
        if name not in weights or weights[name].ndim != dimensions:
            raise ValueError(f"prefix.{name} is no tensor of a prefix")
    return Content.among(weights, len(weights["has_id_N"]), len(weights["categories_Vd"]))


class Prefix(nn.Module):
    """The vectors of U users. Those of categories, of numbers, k and q start at N(0, 0.02²)."""

    has_id_N: Tensor
    categories_NK: Tensor
    shares_NK: Tensor
    numbers_NF: Tensor

    def __init__(self, dim: int, content: Content, dropout: float = 0.0) -> None:
        """`content` are the users, 0 in its `has_id_N` of those of whom nothing is known."""
        super().__init__()
        self.dropout = dropout
        self.told: Content | None = None  # users beside those of the training
        for name, tensor in content.tensors.items():
            self.register_buffer(name, tensor)
        self.known_d = nn.Parameter(torch.empty(dim).normal_(0.0, 0.02))
        self.unknown_d = nn.Parameter(torch.empty(dim).normal_(0.0, 0.02))
        self.categories_Vd = nn.Parameter(torch.empty(content.categories, dim).normal_(0.0, 0.02))
        self.numbers_Fd = nn.Parameter(torch.empty(len(content.centres_F), dim).normal_(0.0, 0.02))

    def forward(self, users_B: Tensor) -> Tensor:
        """The vectors of users, shape (B, d); q of `NOBODY`, of later users, and in training of some drawn anew."""
        vectors_Bd = self._vectors(self._buffers, users_B)
        if self.told is None:
            return vectors_Bd
        told_B = users_B - len(self.has_id_N)
        return torch.where((told_B >= 0)[:, None], self._vectors(self.told.tensors, told_B), vectors_Bd)

    def _vectors(self, content: Mapping[str, Tensor | None], users_B: Tensor) -> Tensor:
        """The vectors of users by their rows in a content, q of those that have none there."""
        has_id_N, categories_NK, shares_NK, numbers_NF = (cast(Tensor, content[name]) for name in _READ)
        is_there_B = (users_B >= 0) & (users_B < len(has_id_N))
        if not len(has_id_N):
            return self.unknown_d.expand(len(users_B), -1)
        rows_B = users_B.where(is_there_B, 0)
        is_known_B = is_there_B & (has_id_N[rows_B] > 0)
        if self.training and self.dropout and torch.is_grad_enabled():
            is_known_B = is_known_B & (torch.rand_like(has_id_N[rows_B]) >= self.dropout)
        known_Bd = self.known_d + numbers_NF[rows_B] @ self.numbers_Fd
        if categories_NK.shape[1]:
            known_Bd = known_Bd + F.embedding_bag(
                categories_NK[rows_B], self.categories_Vd, mode="sum", per_sample_weights=shares_NK[rows_B]
            )
        return torch.where(is_known_B[:, None], known_Bd, self.unknown_d)

    def telling(self, users: ItemFeatures) -> Callable[[ItemFeatures], "Prefix"]:
        """What makes a prefix that is told of more users, whose numbers follow on; all weights are shared.

        `users` are those of the training. Of what others have, categories that none of these had are left out. Raises
        ValueError where the prefix is of other users.
        """
        content = users_in(self.state_dict())
        words = content.words(users)
        read = [*users.categories, *users.numbers, *users.vectors]

        def told(more: ItemFeatures) -> Prefix:
            prefix = copy(self)
            prefix.told = replace(content.told(more, words), has_id_N=_is_known(more, read))
            return prefix

        return told

    def before(self, embeddings_BLd: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """(the rows with their users' vectors before them, (B, L + 1, d), their lengths, where in them is read)."""
        length = embeddings_BLd.shape[1]
        vectors_Bd = self(batch.users_B).to(embeddings_BLd.dtype)
        longer_BLd = torch.cat([vectors_Bd[:, None], embeddings_BLd], 1)
        rows_T = batch.read // max(length, 1)
        return longer_BLd, batch.lengths_B + 1, batch.read + rows_T + 1

    def before_times(self, times: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
        """The times that an encoder is told, with those of the prefix before them: it is as old as the oldest event."""
        oldest_B1 = None if times.get("times_BL") is None else times["times_BL"][:, :1]  # type: ignore[index]
        return {
            name: None if known_BL is None or oldest_B1 is None else torch.cat([oldest_B1, known_BL], 1)
            for name, known_BL in times.items()
        }


def without_user(tensors: Mapping[str, Tensor], user: int) -> dict[str, Tensor]:
    """The weights of a prefix without what is known of one user; those after it move up by one."""
    return _of_each(tensors, lambda rows: torch.cat([rows[:user], rows[user + 1 :]]))


def moved_users(tensors: Mapping[str, Tensor], place_U: Tensor) -> dict[str, Tensor]:
    """The weights of a prefix for other users, of whom each was at a place before; of one at −1 nothing is known."""
    is_new_U = place_U < 0
    return _of_each(tensors, lambda rows: _emptied(rows[place_U.clamp(min=0)], is_new_U))


def _of_each(tensors: Mapping[str, Tensor], change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """The weights, with `change` made to the rows of users."""
    return {name: change(rows) if name in NAMES and "_N" in name else rows for name, rows in tensors.items()}


def _emptied(rows: Tensor, is_new_U: Tensor) -> Tensor:
    return rows.masked_fill(is_new_U.view(-1, *[1] * (rows.dim() - 1)), 0)
