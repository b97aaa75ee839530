"""The face of all kinds of models, for whoever makes, restores, plans or describes one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Log
from nextitem.data.prepare import Prepared
from nextitem.data.sequences import Sequences
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.evaluation.scoring import Query
from nextitem.experiment.teacher import Teacher
from nextitem.settings.configuration import Configuration
from nextitem.training.history import History
from nextitem.training.session import Session
from nextitem.training.training import Events, Training


class Stored(Protocol):
    """A scorer that can be stored."""

    def query(self, histories: Sequences) -> Query:
        """Prepare scores for these histories, as any `Scorer`."""

    def tensors(self) -> Mapping[str, Tensor]:
        """All its numbers by name: what `Learner.restore` makes it of again."""


@dataclass(frozen=True)
class Learnt:
    """What was learnt, and what that took."""

    scorer: Stored
    history: History = field(default_factory=History)
    """Epoch by epoch; empty for what has no epochs."""
    parameters: int = 0
    """Numbers that were learnt; 0 where nothing but counts was made."""
    seconds: float = 0.0
    """Of optimisation, or of counting."""
    notes: tuple[str, ...] = ()
    """What is to know of how it was learnt, beside its epochs."""


class Learner(Protocol):
    """What learns from events, as a recipe describes it: a sequence model, a baseline, or what is made of such."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of what it is made of: encoder, objective and loss, or the baseline alone."""

    @property
    def training(self) -> Training:
        """How weights are found, and by which metric of how many users anything is chosen.

        A baseline, which is not trained by `fit_model`, has the defaults.
        """

    @property
    def unplanned(self) -> str | None:
        """Why there are no steps whose memory and time could be planned, in words; None where there are."""

    @property
    def learns_validation(self) -> bool:
        """Whether validation events are learnt too, so that metrics of validation say nothing."""

    @property
    def depends_on_seed(self) -> bool:
        """Whether another seed learns anything else; of a model that only counts all seeds are one."""

    @property
    def has_users(self) -> bool:
        """Whether the encoder has a vector for each user, and can answer nobody else."""

    @property
    def reads_times(self) -> bool:
        """Whether it has to be told when events were, to learn as to be asked."""

    @property
    def reads_target_times(self) -> bool:
        """Whether it is told when targets happened, which nobody knows who recommends."""

    @property
    def reads_features(self) -> bool:
        """Whether it learns from what is known of the items beside their ids."""

    @property
    def reads_users(self) -> bool:
        """Whether it learns from what is known of the users beside their histories."""

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Whom it, or any model of it, learns from beside its targets; the session has to hold them."""

    def untaught(self) -> Configuration:
        """The recipe's model without teachers."""

    def described(self, parameters: int, epochs: int) -> str:
        """Of what the model is made and how it was trained, in one sentence."""

    def check(self, prepared: Prepared) -> None:
        """Raises DataError, with what to do about it, where the data lack what it has to be told."""

    def learn(
        self,
        prepared: Prepared,
        session: Session,
        ranking: Ranking = FULL,
        start: Mapping[str, Tensor] | None = None,
    ) -> Learnt:
        """What the training part of the events teaches, the epoch chosen by validation; no test case is looked at.

        `ranking` is what validation targets are ranked against. Weights begin at `start`, None: drawn anew; what counts
        begins at nothing in any case.
        """

    def learn_all(
        self, log: Log, features: ItemFeatures, session: Session, users: ItemFeatures | None = None
    ) -> Learnt:
        """What all events of a log teach, nothing being held out: a sequence model takes all its epochs.

        `features` are what is known of its items, and `users` of its users.
        """

    def as_chosen(self, epochs: int, tensors: Mapping[str, Tensor], events: Events = "train") -> Configuration:
        """The recipe's model with what validation chose laid down: exactly so many epochs of these events.

        Of what has none, or several of its own, the stored `tensors` say what was chosen. Raises ConfigurationError for
        what cannot be told to learn the validation events.
        """

    def restore(self, tensors: Mapping[str, Tensor], number_of_items: int) -> Stored:
        """The scorer that gave `tensors`. Raises ValueError for those of others."""

    def users_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users have numbers of their own in `tensors`; 0 of a model that goes by histories."""

    def without_user(self, tensors: Mapping[str, Tensor], user: int, history: Tensor) -> dict[str, Tensor]:
        """The tensors without what is kept of one user alone, whose number and history these are.

        Users after it move up by one. Numbers that all users shaped together stay as they are.
        """
