"""What the settings of every baseline have, and what is asked of what it learnt."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.settings.configuration import Configuration


class Learned(Protocol):
    """What a baseline learnt: it scores items, and is stored as tensors."""

    def query(self, histories: Sequences) -> Any:
        """Scores after these histories, as a `Scorer` gives them."""

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `restore` needs."""


class Baseline(Configuration):
    """Settings of a model that counts, or that a library trains; an entry of the shelf states what is not so."""

    name: str
    """By which the baseline is chosen."""
    only_counts: ClassVar[bool] = True
    """Whether its numbers are counts; else they are learnt, and told as parameters with the seconds that they took."""
    has_users: ClassVar[bool] = False
    """Whether it knows the users that it was trained on, and can answer nobody else."""
    is_drawn: ClassVar[bool] = False
    """Whether another seed learns anything else."""
    is_yardstick: ClassVar[bool] = False
    """Whether every model is shown beside it: it takes seconds, and what is no better than it has learnt nothing."""

    @property
    def learns_validation(self) -> bool:
        """Whether it is to learn validation events too; metrics of validation then say nothing."""
        return False

    @property
    def reads_times(self) -> bool:
        """Whether it has to know when events were, to learn."""
        return False

    def check(self, train: Sequences) -> None:
        """Raises DataError where `train` lacks what has to be known of events, with what to do about it."""

    @abstractmethod
    def learn(self, train: Sequences, seed: int = 0) -> Learned:
        """What `train` teaches; equal seeds teach the same."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor]) -> Learned:
        """What gave `tensors`. Raises ValueError for those of others."""

    def users_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users have numbers of their own in `tensors`; 0 of a baseline that goes by histories."""
        return 0

    def without_user(self, tensors: Mapping[str, Tensor], user: int, history: Tensor) -> dict[str, Tensor]:
        """The tensors without what is kept of one user alone, by number and history; all of them where nothing is."""
        return dict(tensors)
