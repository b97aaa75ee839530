"""Scorers that can be given items that nobody has met yet, and told of users."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences


@runtime_checkable
class Growing(Protocol):
    """A scorer with rows that are learnt of each item alone; one that counts pairs of items has none."""

    @property
    def reads_histories(self) -> bool:
        """Whether it answers any history, also of nobody that it knows."""

    def query(self, histories: Sequences) -> Any:
        """Scores after these histories, as a `Scorer` gives them."""

    def item_rows(self) -> dict[str, Tensor]:
        """What is learnt of each item alone, by its name among all tensors: the first dimension counts items, N."""

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> dict[str, Tensor] | None:
        """The `item_rows` of M items that were `added` to those of `features`, by the model's own map from features.

        `counts_N` are the training events of the latter. None where it has no such map.
        """

    def grown(self, more: Mapping[str, Tensor]) -> "Growing":
        """The scorer with M more items, N…N + M − 1, whose `item_rows` these are."""


@runtime_checkable
class Telling(Protocol):
    """A scorer that may read what is known of a user, and can be told it of users that were in no training."""

    def telling(self, users: ItemFeatures) -> Callable[[ItemFeatures], Any]:
        """What makes the scorer that is told of more users by their features; their numbers follow on those of `users`.

        `users` are those of the training. Raises ValueError where the scorer is of others.
        """
