"""An ensemble: several sequence models that learnt the same events, asked together. M members."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Log
from nextitem.data.prepare import Prepared
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.experiment.combined.mean import Average, MeanScorer
from nextitem.experiment.combined.named import at, below
from nextitem.experiment.learner import Learnt
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.teacher import Teacher
from nextitem.model.weights import stored
from nextitem.settings.configuration import Configuration
from nextitem.training.history import History
from nextitem.training.session import Session
from nextitem.training.training import Events, Training


class Member(Configuration):
    """One model of an ensemble."""

    seed: int = Field(0, ge=0, lt=2**64)
    """Under which it learns."""
    model: SequenceRecipe = SequenceRecipe()
    """What it is, and how it is trained."""


class Ensemble(Configuration):
    """The mean of what several sequence models say, learnt one after another; `nextitem ensemble` makes it of runs.

    Deep ensembles (Lakshminarayanan et al., NeurIPS 2017, section 2.4) average probabilities, which is `probability`
    here; the default is the mean of their logarithms, which orders items as the mean of scores does, without a sweep.
    """

    name: Literal["ensemble"] = "ensemble"
    members: tuple[Member, ...] = Field(min_length=2)
    """The models, each with its `seed` and its `model`, a sequence model; the seed of a run decides nothing."""
    average: Average = "log_probability"
    """What is averaged: members' log-probabilities, in effect their scores, or their probabilities, which takes one
    more sweep over the catalogue."""

    @model_validator(mode="after")
    def _has_different_members(self) -> Self:
        for place, member in enumerate(self.members):
            if member in self.members[:place]:
                raise ValueError(
                    f"members {self.members.index(member)} and {place} are the same model with the same seed, "
                    f"{member.seed}: leave one out, or give it another seed"
                )
        return self

    @model_validator(mode="after")
    def _learns_the_same_events(self) -> Self:
        learning = [place for place, member in enumerate(self.members) if member.model.learns_validation]
        if 0 < len(learning) < len(self.members):
            raise ValueError(
                f"member {learning[0]} learns validation events (training.events=train_and_validation) and others do "
                f"not, so nobody could say what validation shows of them together; give members of one kind"
            )
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    @property
    def training(self) -> Training:
        """That of the first member: by what all of it is looked at."""
        return self.members[0].model.training

    @property
    def unplanned(self) -> str:
        """Why there is no one training to plan."""
        return f"is an ensemble of {len(self.members)} models, whose trainings are planned one by one"

    @property
    def learns_validation(self) -> bool:
        """Whether all members were told to; else each one's epoch is chosen by validation."""
        return self.members[0].model.learns_validation

    @property
    def depends_on_seed(self) -> bool:
        """Never: the members have seeds of their own."""
        return False

    @property
    def has_users(self) -> bool:
        """Whether a member has a vector for each user."""
        return any(member.model.has_users for member in self.members)

    @property
    def reads_times(self) -> bool:
        """Whether a member has to be told when events were."""
        return any(member.model.reads_times for member in self.members)

    @property
    def reads_target_times(self) -> bool:
        """Whether a member's encoder is told when targets happened."""
        return any(member.model.reads_target_times for member in self.members)

    @property
    def reads_features(self) -> bool:
        """Whether a member makes its items of what is known of them."""
        return any(member.model.reads_features for member in self.members)

    @property
    def reads_users(self) -> bool:
        """Whether a member reads what is known of users."""
        return any(member.model.reads_users for member in self.members)

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Those of the members."""
        return tuple(teacher for member in self.members for teacher in member.model.teachers)

    def untaught(self) -> Self:
        """The ensemble whose members learn from nobody."""
        members = [one.model_copy(update={"model": one.model.untaught()}) for one in self.members]
        return self.model_copy(update={"members": tuple(members)})

    def described(self, parameters: int, epochs: int) -> str:
        """How many models of which kinds, their seeds and their size, in one sentence."""
        kinds = dict[str, list[str]]()
        for member in self.members:
            kinds.setdefault(", ".join(member.model.parts).replace("_", " "), []).append(str(member.seed))
        models = "; ".join(f"{kind} (seed {', '.join(seeds)})" for kind, seeds in kinds.items())
        average = "log-probabilities" if self.average == "log_probability" else "probabilities"
        return f"Ensemble of {len(self.members)} models, mean of {average}: {models}; {parameters:,} weights."

    def check(self, prepared: Prepared) -> None:
        """Raises DataError where the events lack what a member has to be told."""
        for member in self.members:
            member.model.check(prepared)

    def learn(
        self,
        prepared: Prepared,
        session: Session,
        ranking: Ranking = FULL,
        start: Mapping[str, Tensor] | None = None,
    ) -> Learnt:
        """The members, learnt one after another under their own seeds, each with the epoch that validation chose."""
        return self.joined(
            [
                member.model.learn(
                    prepared, _session_of(session, place, member), ranking, start and at(str(place), start)
                )
                for place, member in enumerate(self.members)
            ]
        )

    def learn_all(
        self, log: Log, features: ItemFeatures, session: Session, users: ItemFeatures | None = None
    ) -> Learnt:
        """The members, each of all events for as many epochs as its training has."""
        return self.joined(
            [
                member.model.learn_all(log, features, _session_of(session, place, member), users)
                for place, member in enumerate(self.members)
            ]
        )

    def joined(self, members: Sequence[Learnt]) -> Learnt:
        """What the members learnt as one; parameters and seconds are added up."""
        epochs_M = torch.tensor([one.history.best_epoch for one in members])
        scorer = MeanScorer([one.scorer for one in members], epochs_M, self.average)  # type: ignore[misc]
        return Learnt(scorer, History(), sum(one.parameters for one in members), sum(one.seconds for one in members))

    def as_chosen(self, epochs: int, tensors: Mapping[str, Tensor], events: Events = "train") -> Self:
        """The ensemble whose members are trained for exactly as many epochs as `tensors` say that they were."""
        members = [
            member.model_copy(update={"model": member.model.as_chosen(epochs, {}, events)})
            for member, epochs in zip(self.members, tensors["epochs"].tolist(), strict=True)
        ]
        return self.model_copy(update={"members": tuple(members)})

    def restore(self, tensors: Mapping[str, Tensor], number_of_items: int) -> MeanScorer:
        """The scorer that gave `tensors`. Raises ValueError, with the place of the member, for those of others."""
        epochs_M = stored(tensors, "epochs", like=torch.empty(0, dtype=torch.int64))
        if len(epochs_M) != len(self.members) or bool((epochs_M < 1).any()):
            raise ValueError(f"epochs should be {len(self.members)} numbers from 1, one of each member")
        places = {str(place) for place in range(len(self.members))}
        if unknown := sorted(name for name in tensors if name.partition(".")[0] not in places and name != "epochs"):
            raise ValueError(f"{unknown[0]} is of none of {len(self.members)} members")
        self.users_in(tensors)
        restored = []
        for place, member in enumerate(self.members):
            try:
                restored.append(member.model.restore(at(str(place), tensors), number_of_items))
            except ValueError as error:
                raise ValueError(f"member {place}: {error}") from error
        return MeanScorer(restored, epochs_M, self.average)

    def users_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users the members have vectors of. Raises ValueError where they differ in that."""
        counts = {
            member.model.users_in(at(str(place), tensors))
            for place, member in enumerate(self.members)
            if member.model.has_users or member.model.reads_users
        }
        if len(counts) > 1:
            raise ValueError(f"the members know {' and '.join(f'{count:,}' for count in sorted(counts))} users")
        return counts.pop() if counts else 0

    def without_user(self, tensors: Mapping[str, Tensor], user: int, history: Tensor) -> dict[str, Tensor]:
        """The tensors without the user's vectors, of each member that has one."""
        kept = {"epochs": tensors["epochs"]}
        for place, member in enumerate(self.members):
            kept |= below(str(place), member.model.without_user(at(str(place), tensors), user, history))
        return kept


def _session_of(session: Session, place: int, member: Member) -> Session:
    """The session of one member: its seed, and a checkpoint of its own."""
    checkpoint = session.checkpoint and session.checkpoint.part(place)
    return replace(session, seed=member.seed, checkpoint=checkpoint)
