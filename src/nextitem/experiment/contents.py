"""What a sequence model is told of items and users beside their events: made of features, or found among weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items.content import Content
from nextitem.model.items.table import Items
from nextitem.model.prefix import UserPrefix, content_of_users, users_in
from nextitem.model.prefix import without_user as without_known
from nextitem.model.weights import below

USERS = "encoder.users_Ud"
"""What vectors of users are called among a model's tensors."""


@dataclass(frozen=True)
class Contents:
    """Of the items and of the users; None where the model reads nothing of them."""

    of_items: Content | None = None
    of_users: Content | None = None


NOTHING = Contents()


@dataclass(frozen=True)
class Told:
    """Which parts of a model are told something."""

    items: Items
    encoder: Encoder
    prefix: UserPrefix | None

    def contents(
        self,
        features: ItemFeatures,
        users: ItemFeatures | None,
        train: Sequences,
        start: Mapping[str, Tensor] | None = None,
    ) -> Contents:
        """What is known of items and users; of these what weights hold that a training is to `start` at.

        Raises DataError where what is read is missing.
        """
        of_items = Content.of(features, train.counts()) if self.items.reads_features else None
        if self.prefix is None:
            return Contents(of_items)
        return Contents(of_items, content_of_users(users, train) if start is None else self._users_in(start))

    def contents_in(self, tensors: Mapping[str, Tensor]) -> Contents:
        """What the weights of such a model hold. Raises ValueError where it is missing or cannot be."""
        of_items = self.items.content_in(below("items.", tensors))
        return Contents(of_items, None if self.prefix is None else self._users_in(tensors))

    def _users_in(self, tensors: Mapping[str, Tensor]) -> Content:
        return users_in(below("prefix.", tensors))

    def vectors_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users have a vector among weights. Raises ValueError where there should be some and are none."""
        try:
            return self.encoder.users_in(below("encoder.", tensors))
        except (KeyError, TypeError) as error:  # a missing tensor, and one without dimensions
            raise ValueError(f"encoder {self.encoder.name} has no vectors of users: {error}") from error

    def users_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users have numbers of their own among weights. Raises ValueError as `vectors_in`."""
        return self.vectors_in(tensors) if self.prefix is None else len(self._users_in(tensors).has_id_N)

    def without_user(self, tensors: Mapping[str, Tensor], user: int) -> dict[str, Tensor]:
        """The weights without a user's vector, and without what is known of that user."""
        kept = dict(tensors)
        if self.encoder.has_users:
            kept[USERS] = torch.cat([kept[USERS][:user], kept[USERS][user + 1 :]])
        if self.prefix is not None:
            of_users = without_known(below("prefix.", tensors), user)
            kept |= {f"prefix.{name}": tensor for name, tensor in of_users.items()}
        return kept
