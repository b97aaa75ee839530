"""A blend: a sequence model, or an ensemble, with what counting says added, as much as validation asks for."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Log
from nextitem.data.prepare import Prepared
from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.experiment.combined.blending import BlendScorer, Chosen, Counted
from nextitem.experiment.combined.choosing import METRIC, Candidates, choose
from nextitem.experiment.combined.counts import Timed
from nextitem.experiment.combined.ensemble import Ensemble
from nextitem.experiment.combined.named import at
from nextitem.experiment.learner import Learnt
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.teacher import Teacher
from nextitem.model.baselines.co_occurrence import CoOccurrence
from nextitem.model.weights import stored
from nextitem.settings.configuration import Configuration
from nextitem.training.session import Session
from nextitem.training.training import Events, Training
from nextitem.training.validation import validation_cases

AnyBlended = Annotated[SequenceRecipe | Ensemble, Field(discriminator="name")]


class Blend(Configuration):
    """score + w₁ · log(1 + co-occurrence) + w₂ · log(1 + recent popularity); `nextitem blend` makes it of a run.

    Counts are of what is learnt: training events alone, unless the model learns validation events too. Which of the
    values below are taken is chosen by NDCG@10 on validation cases, one number after another, and stored with all that
    was tried.
    """

    name: Literal["blend"] = "blend"
    model: AnyBlended = SequenceRecipe()
    """What the counts are added to: a sequence model, or an ensemble."""
    co_occurrence: tuple[float, ...] = Field((0.0, 0.125, 0.25, 0.5, 1.0), min_length=1)
    """Weights of what followed the last items in training, of which one is chosen."""
    window: int = Field(1, ge=1)
    """How many events after an item count as following it; 1 is the very next event."""
    last: int = Field(5, ge=1)
    """How many items at the end of a history are looked up, where the decay is above 0."""
    decay: tuple[float, ...] = Field((0.0, 0.25, 0.5, 0.75), min_length=1)
    """What each older one of them counts for, as a share of the next newer one, of which one is chosen."""
    recent: tuple[float, ...] = Field((0.0,), min_length=1)
    """Weights of recent popularity, of which one is chosen; only 0: the model is not told of times for it."""
    days: tuple[float, ...] = Field((30.0,), min_length=1)
    """How many days before a history's newest event are recent, of which one is chosen."""

    @model_validator(mode="after")
    def _has_values_to_try(self) -> Self:
        if min(*self.co_occurrence, *self.decay, *self.recent) < 0 or max(self.decay) > 1 or min(self.days) <= 0:
            raise ValueError("weights should be at least 0, decay from 0 to 1, and days above 0")
        for name in ("co_occurrence", "decay", "recent", "days"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} has a value twice among {', '.join(f'{value:g}' for value in values)}")
        if self.learns_validation and self.candidates.settled() is None:
            raise ValueError(
                "the model learns validation events (training.events=train_and_validation), which could not choose the "
                "weights of a blend then; give one value of each, such as co_occurrence=[0.5], or blend the run of "
                "before, and refit that by `nextitem refit RUN --keep-test`"
            )
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """Its name, and those of the model."""
        return (self.name, *self.model.parts)

    @property
    def training(self) -> Training:
        """The model's."""
        return self.model.training

    @property
    def unplanned(self) -> str:
        """Why there is no plan of it."""
        return "is a blend of a model, whose training is planned by itself"

    @property
    def learns_validation(self) -> bool:
        """Whether the model does; then the weights were chosen before, and the counts are of those events too."""
        return self.model.learns_validation

    @property
    def depends_on_seed(self) -> bool:
        """Whether the model does."""
        return self.model.depends_on_seed

    @property
    def has_users(self) -> bool:
        """Whether the model has a vector for each user."""
        return self.model.has_users

    @property
    def reads_times(self) -> bool:
        """Whether the model, or recent popularity, has to be told when events were."""
        return self.model.reads_times or max(self.recent) > 0

    @property
    def reads_target_times(self) -> bool:
        """Whether the model is told when targets happened."""
        return self.model.reads_target_times

    @property
    def reads_features(self) -> bool:
        """Whether the model makes its items of what is known of them."""
        return self.model.reads_features

    @property
    def reads_users(self) -> bool:
        """Whether the model reads what is known of users."""
        return self.model.reads_users

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Those of the model."""
        return self.model.teachers

    def untaught(self) -> Self:
        """The blend whose model learns from nobody."""
        return self.model_copy(update={"model": self.model.untaught()})

    def described(self, parameters: int, epochs: int) -> str:
        """The model, and what is counted beside it."""
        recent = "" if max(self.recent) == 0 else " and recent popularity"
        model = self.model.described(parameters, epochs)
        return f"Blend with co-occurrence{recent}, weighed by validation. {model}"

    def check(self, prepared: Prepared) -> None:
        """Raises DataError where the events lack what is asked for."""
        self.model.check(prepared)
        if max(self.recent) > 0 and not prepared.split.train.has_times:
            raise DataError(
                "the log has no times, so nobody knows what was popular lately; give events with a column of times, or "
                "set model.recent=[0.0]"
            )

    def learn(
        self,
        prepared: Prepared,
        session: Session,
        ranking: Ranking = FULL,
        start: Mapping[str, Tensor] | None = None,
    ) -> Learnt:
        """The model learnt, and how much counting is to weigh beside it, both chosen by validation."""
        self.check(prepared)
        learnt = self.model.learn(prepared, session, ranking, start and at("model", start))
        cases = prepared.split.validation
        cases = cases.telling_times() if self.reads_target_times else cases
        cases = validation_cases(cases, self.training.validation_users, session.seed)
        return self.blended(learnt, prepared.split.train, cases, ranking)

    def learn_all(
        self, log: Log, features: ItemFeatures, session: Session, users: ItemFeatures | None = None
    ) -> Learnt:
        """The model and the counts of all events. Raises ConfigurationError where several values are left open."""
        if self.candidates.settled() is None:
            raise ConfigurationError(
                "nothing is held out that could choose the weights of a blend; give one value of each, such as "
                "model.co_occurrence=[0.5]"
            )
        return self.blended(self.model.learn_all(log, features, session, users), log.sequences, None)

    @property
    def candidates(self) -> Candidates:
        """What is chosen from."""
        return Candidates(self.co_occurrence, self.decay, self.recent, self.days)

    def blended(self, learnt: Learnt, train: Sequences, cases: Cases | None, ranking: Ranking = FULL) -> Learnt:
        """What was learnt, with the counts of `train` in the weights that `cases` choose."""
        began, model = time.perf_counter(), learnt.scorer
        timed = Timed.of(train) if max(self.recent) > 0 else None
        counted = Counted(CoOccurrence(window=self.window).learn(train), self.last, timed)
        settled = self.candidates.settled()
        if settled is not None or cases is None:
            chosen, tried_G5 = settled or Chosen(), torch.zeros(0, 5, dtype=torch.float64)
        else:
            chosen, tried_G5 = choose(model, counted, self.candidates, cases, ranking)  # type: ignore[arg-type]
        scorer = BlendScorer(model, counted, chosen, tried_G5)  # type: ignore[arg-type]
        seconds = learnt.seconds + time.perf_counter() - began
        return Learnt(scorer, learnt.history, learnt.parameters, seconds, _said(chosen, tried_G5))

    def as_chosen(self, epochs: int, tensors: Mapping[str, Tensor], events: Events = "train") -> Self:
        """The blend with the weights that `tensors` say were chosen, of a model with its own epochs."""
        names = ("co_occurrence", "decay", "recent", "days")
        exact: dict[str, Any] = {name: (value,) for name, value in zip(names, tensors["chosen"].tolist(), strict=True)}
        return self.model_copy(update={**exact, "model": self.model.as_chosen(epochs, at("model", tensors), events)})

    def as_needed(self, tensors: Mapping[str, Tensor]) -> Self:
        """The blend that is not told of times where the recent popularity that was tried is not what was chosen."""
        return self if tensors["chosen"][2] else self.model_copy(update={"recent": (0.0,)})

    def restore(self, tensors: Mapping[str, Tensor], number_of_items: int) -> BlendScorer:
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        for name in tensors:
            if name not in ("chosen", "tried") and name.partition(".")[0] not in ("model", "pairs", "timed"):
                raise ValueError(f"{name} is of no blend")
        model = self.model.restore(at("model", tensors), number_of_items)
        pairs = CoOccurrence(window=self.window).restore(at("pairs", tensors))
        if len(pairs.popularity_N) != number_of_items:
            raise ValueError(
                f"pairs.popularity has {len(pairs.popularity_N):,} numbers, one of each of {number_of_items:,} items"
            )
        numbers = stored(tensors, "chosen", like=torch.empty(0, dtype=torch.float64))
        tried_G5 = stored(tensors, "tried", like=torch.empty(0, 0, dtype=torch.float64))
        if len(numbers) != 4 or tried_G5.shape[1] != 5 or bool((numbers < 0).any()):
            raise ValueError("chosen should be 4 numbers of at least 0, and tried have 5 columns")
        timed = self._timed(at("timed", tensors), number_of_items) if max(self.recent) > 0 else None
        return BlendScorer(model, Counted(pairs, self.last, timed), Chosen(*numbers.tolist()), tried_G5)

    def _timed(self, tensors: Mapping[str, Tensor], number_of_items: int) -> Timed:
        items_H = stored(tensors, "items", like=torch.empty(0, dtype=torch.int64))
        times_H = stored(tensors, "times", like=torch.empty(0, dtype=torch.float64))
        if len(items_H) != len(times_H) or bool((times_H[1:] < times_H[:-1]).any()):
            raise ValueError("timed.times should ascend, one of each of timed.items")
        if len(items_H) and not 0 <= int(items_H.min()) <= int(items_H.max()) < number_of_items:
            raise ValueError(f"timed.items should be below {number_of_items:,}")
        return Timed(items_H, times_H, number_of_items)

    def users_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users the model has vectors of."""
        return self.model.users_in(at("model", tensors))

    def without_user(self, tensors: Mapping[str, Tensor], user: int, history: Tensor) -> dict[str, Tensor]:
        """The tensors without the model's numbers of a user; counts, which many users made together, stay."""
        kept = self.model.without_user(at("model", tensors), user, history)
        others = {name: tensor for name, tensor in tensors.items() if not name.startswith("model.")}
        return {**others, **{f"model.{name}": tensor for name, tensor in kept.items()}}


def _said(chosen: Chosen, tried_G5: Tensor) -> tuple[str, ...]:
    """What was chosen, and what the model alone reached, in words."""
    if not len(tried_G5):
        return ()
    alone = [row[4] for row in tried_G5.tolist() if row[0] == row[2] == 0]
    beside = f", and {alone[0]:.4f} for the model alone" if alone else ""
    recent = "" if chosen.recent == 0 else f", recent popularity {chosen.recent:g} of {chosen.days:g} days"
    if 0 < chosen.co_occurrence == float(tried_G5[:, 0].max()):
        beside += "; no larger weight of co-occurrence was tried: ask for some"
    return (
        f"of {len(tried_G5)} blends validation chose co-occurrence {chosen.co_occurrence:g} with decay "
        f"{chosen.decay:g}{recent}: {METRIC} {float(tried_G5[:, 4].max()):.4f} there{beside}",
    )
