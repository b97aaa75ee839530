"""A baseline as what a recipe's model is: it learns in one go, and has no epochs and no plan."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Log
from nextitem.data.prepare import Prepared
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.experiment.learner import Learnt, Stored
from nextitem.experiment.teacher import Teacher
from nextitem.model.baselines import AnyBaseline
from nextitem.settings.configuration import Configuration
from nextitem.training.history import History
from nextitem.training.session import Session
from nextitem.training.training import Events, Training


@dataclass(frozen=True)
class BaselineLearner:
    """Any entry of the shelf of baselines, by the face that sequence models have."""

    baseline: AnyBaseline
    training = Training()

    @property
    def parts(self) -> tuple[str, ...]:
        """The baseline's name."""
        return (self.baseline.name,)

    @property
    def unplanned(self) -> str:
        """Why there is no training to plan."""
        if self.baseline.only_counts:
            return "only counts: there is no training to plan"
        return f"is the baseline {self.baseline.name}: its training is not planned"

    @property
    def has_users(self) -> bool:
        """Whether the baseline knows the users that it was trained on, and no others."""
        return self.baseline.has_users

    @property
    def learns_validation(self) -> bool:
        """Whether the baseline was asked to."""
        return self.baseline.learns_validation

    @property
    def depends_on_seed(self) -> bool:
        """Where the baseline draws anything."""
        return self.baseline.is_drawn

    @property
    def reads_times(self) -> bool:
        """Where the baseline goes by times."""
        return self.baseline.reads_times

    @property
    def reads_target_times(self) -> bool:
        """Never."""
        return False

    @property
    def reads_features(self) -> bool:
        """Never."""
        return False

    @property
    def reads_users(self) -> bool:
        """Never."""
        return False

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Nobody."""
        return ()

    def untaught(self) -> Configuration:
        """The baseline, which nobody teaches."""
        return self.baseline

    def described(self, parameters: int, epochs: int) -> str:
        """What it is and whether anything was trained."""
        how = "trained by a library" if self.baseline.is_drawn else "solved in closed form"
        how = "which only counts" if self.baseline.only_counts else f"{how}; {parameters:,} weights"
        return f"Baseline {self.baseline.name.replace('_', ' ')}, {how}."

    def check(self, prepared: Prepared) -> None:
        """Raises DataError where the training events lack what the baseline goes by."""
        self.baseline.check(prepared.split.train)

    def learn(
        self,
        prepared: Prepared,
        session: Session,
        ranking: Ranking = FULL,
        start: Mapping[str, Tensor] | None = None,
    ) -> Learnt:
        """The scorer that the training events give, in every process alike and on the CPU."""
        return self._learnt(prepared.split.train, session)

    def learn_all(
        self, log: Log, features: ItemFeatures, session: Session, users: ItemFeatures | None = None
    ) -> Learnt:
        """The scorer that all events give."""
        self.baseline.check(log.sequences)
        return self._learnt(log.sequences, session)

    def _learnt(self, train: Sequences, session: Session) -> Learnt:
        started = time.perf_counter()
        scorer = self.baseline.learn(train, session.seed)
        seconds = time.perf_counter() - started
        if self.baseline.only_counts:
            return Learnt(scorer, seconds=seconds)
        numbers = sum(values.numel() for values in scorer.tensors().values())
        return Learnt(scorer, History(), numbers, seconds)

    def as_chosen(self, epochs: int, tensors: Mapping[str, Tensor], events: Events = "train") -> Configuration:
        """The baseline as it is: validation chooses nothing. Raises ConfigurationError for validation events."""
        if events == "train_and_validation":
            raise ConfigurationError(
                f"the baseline {self.baseline.name} has no epochs that validation chose, by which it could learn the "
                f"validation events as well; give a run of a sequence model, an ensemble or a blend"
            )
        return self.baseline

    def restore(self, tensors: Mapping[str, Tensor], number_of_items: int) -> Stored:
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        scorer = self.baseline.restore(tensors)
        if unknown := sorted(tensors.keys() - scorer.tensors().keys()):
            raise ValueError(f"{unknown[0]} is of no {self.baseline.name}")
        return scorer

    def users_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users have numbers of their own in `tensors`."""
        return self.baseline.users_in(tensors)

    def without_user(self, tensors: Mapping[str, Tensor], user: int, history: Tensor) -> dict[str, Tensor]:
        """The tensors without what is kept of one user alone."""
        return self.baseline.without_user(tensors, user, history)
