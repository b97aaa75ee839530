"""A sequence model: one choice from each shelf and a training, checked against each other, learnt and restored."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from nextitem.compute.randomness import Purpose, seeded_globally
from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Log
from nextitem.data.prepare import Prepared
from nextitem.data.sequences import Sequences
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.metrics import DEFAULT_METRICS
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.experiment.assembled import Assembled
from nextitem.experiment.contents import NOTHING, Contents, Told
from nextitem.experiment.fitting import against_items, against_negatives, against_prefix, against_rows
from nextitem.experiment.learner import Learnt
from nextitem.experiment.teacher import Teacher
from nextitem.model.assemble import assemble, reason_against
from nextitem.model.encoders import AnyEncoder, SASRec
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import AnyItems, Tied
from nextitem.model.items.content import refuse_featureless
from nextitem.model.losses import AnyLoss, CrossEntropy
from nextitem.model.model import SequenceModel, refuse_untimed
from nextitem.model.negatives import AnyNegatives
from nextitem.model.objectives import AnyObjective, NextItem
from nextitem.model.prefix import UserPrefix, read_by_prefix
from nextitem.model.sharded import ShardedModel
from nextitem.model.weights import check_alike, shapes_alone
from nextitem.settings.configuration import Configuration
from nextitem.settings.suggestion import suggest
from nextitem.training.fit import fit_model
from nextitem.training.history import History
from nextitem.training.session import Session
from nextitem.training.training import Events, Training
from nextitem.training.validation import outside_sampler, validation_cases, validation_loss
from nextitem.words import counted


def _items_of(encoder: Encoder | None) -> AnyItems:
    """The items that go with an encoder; any will do for None, an encoder that was refused itself."""
    return Tied() if encoder is None else encoder.default_items


class SequenceRecipe(Configuration):
    """One choice from each shelf, and the training that goes with it."""

    name: Literal["sequence"] = "sequence"
    encoder: AnyEncoder = SASRec()
    """What turns a history into states; one of your own is registered before, by `register_encoder`."""
    items: AnyItems = Field(default_factory=lambda others: _items_of(others.get("encoder")))
    """What items are read from and scored by; where nothing is said, what goes with the encoder."""
    objective: AnyObjective = NextItem()
    """What is asked in training."""
    loss: AnyLoss = CrossEntropy()
    """How the answers are judged."""
    negatives: AnyNegatives | None = None
    """Where a sampled loss gets its negatives; none for a loss over the whole catalogue."""
    training: Training = Training()
    """How the weights are found."""
    teacher: Teacher | None = None
    """Whom it learns from beside its targets, a finished run or several; none: nobody."""
    prefix: UserPrefix | None = None
    """`users`: what is known of a user (`users=users.csv`) is read before the history; none: the history alone."""

    @classmethod
    def sections(cls) -> tuple[str, ...]:
        """The names of the parts, by which users write their settings: `encoder.dim`."""
        return tuple(name for name in cls.model_fields if name != "name")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        monitor = self.training.monitor
        if monitor not in DEFAULT_METRICS:
            known = suggest(monitor, DEFAULT_METRICS)
            raise ValueError(f"training.monitor='{monitor}' is no validation metric; {known}")
        if reason := reason_against(self.encoder, self.objective):
            raise ValueError(reason)
        if self.loss.needs_negatives and self.negatives is None:
            raise ValueError(f"loss {self.loss.name} needs negatives; add negatives=uniform (and negatives.count=…)")
        if not self.loss.needs_negatives and self.negatives is not None:
            raise ValueError(f"loss {self.loss.name} uses the whole catalogue and no negatives; add negatives=none")
        for reason in (
            None if self.teacher is None else self.teacher.reason_against(self.loss, self.items, self.objective),
            against_items(self.items, self.encoder, self.loss, self.negatives),
            against_prefix(self.encoder, self.prefix),
            against_negatives(self.loss, self.negatives, self.training.batch_size),
            against_rows(self.items, self.loss, self.training.item_rows, is_taught=self.teacher is not None),
        ):
            if reason is not None:
                raise ValueError(reason)
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of encoder, objective and loss."""
        return (self.encoder.name, self.objective.name, self.loss.name)

    @property
    def unplanned(self) -> str | None:
        """None: memory and time of its steps can be planned."""
        return None

    @property
    def learns_validation(self) -> bool:
        """Whether the training was told to, for a number of epochs that was chosen before."""
        return self.training.events == "train_and_validation"

    @property
    def depends_on_seed(self) -> bool:
        """Always: weights, order and negatives are drawn."""
        return True

    @property
    def has_users(self) -> bool:
        """Whether each user of the training log has a vector."""
        return self.encoder.has_users

    @property
    def reads_times(self) -> bool:
        """Whether states depend on when the events were."""
        return self.encoder.reads_times

    @property
    def reads_target_times(self) -> bool:
        """Whether states depend on when targets happened."""
        return self.encoder.reads_target_times

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Its own, where it has one."""
        return () if self.teacher is None else (self.teacher,)

    def untaught(self) -> Self:
        """The model without its teacher."""
        return self.model_copy(update={"teacher": None})

    def described(self, parameters: int, epochs: int) -> str:
        """Its parts, its size and its training, in one sentence."""
        encoder, objective, loss = (name.replace("_", " ") for name in self.parts)
        negatives = "" if self.negatives is None else f", {self.negatives.described()}"
        model = f"Encoder {encoder}, objective {objective}, loss {loss}{negatives}"
        taught = "" if self.teacher is None else f", taught by {counted(len(self.teacher.runs), 'run')}"
        return f"{model}{taught}; {parameters:,} weights, {counted(epochs, 'epoch')}."

    @property
    def reads_features(self) -> bool:
        """Whether rows of items are made of what is known of them."""
        return self.items.reads_features

    @property
    def reads_users(self) -> bool:
        """Whether what is known of users stands before their histories."""
        return self.prefix is not None

    @property
    def told(self) -> Told:
        """Its parts that are told of items or users."""
        return Told(self.items, self.encoder, self.prefix)

    def build(
        self, number_of_items: int, seed: int, number_of_users: int = 0, contents: Contents = NOTHING
    ) -> SequenceModel:
        """The untrained model; equal seeds give equal weights. Users and contents count where they are read."""
        encoder = self.encoder if self.prefix is None else self.encoder.with_room()
        sizes, in_bfloat16 = (number_of_items, number_of_users), self.training.precision == "bfloat16"
        with seeded_globally(seed, Purpose.WEIGHTS):
            parts = (self.items, encoder, self.objective, *sizes)
            model = assemble(*parts, in_bfloat16=in_bfloat16, content=contents.of_items)
            if self.prefix is None:
                return model
            return model.with_prefix(self.prefix.build(encoder.dim, contents.of_users))

    def check(self, prepared: Prepared) -> None:
        """Raises DataError for events without times, and items and users without features, where these are read."""
        if self.reads_times:
            refuse_untimed(prepared.split.train)
        if self.reads_features:
            refuse_featureless(prepared.features)
        if self.reads_users:
            read_by_prefix(prepared.user_features)

    def learn(
        self,
        prepared: Prepared,
        session: Session,
        ranking: Ranking = FULL,
        start: Mapping[str, Tensor] | None = None,
    ) -> Learnt:
        """The model trained by `fit_model`, which raises, with the weights of the epoch that validation chose."""
        built, train = self.assembled(prepared, session, start), prepared.split.train
        session = self._taught(session, train)
        if start is not None:
            built.model.load_state_dict(dict(start))
            if self.items.reads_counts:
                built.model.whole().count(train)
        loss, negatives, outside, cases = built.loss, built.negatives, built.outside, built.cases
        model = self.shared_out(built.model, session)
        del built  # of a table that is shared out nobody holds the whole any longer

        def validate() -> dict[str, float]:
            known, size = model.whole(), self.training.batch_size
            means = evaluate(known, cases, ranking=ranking, intervals=False, processes=session.processes).means
            return {**means, "validation_loss": validation_loss(known, loss, outside, cases, size, session)}

        seen = None if self.learns_validation else validate
        history = fit_model(model, train, loss, self.training, session, seen, negatives=negatives)
        return self._learnt(model, history)

    def learn_all(
        self, log: Log, features: ItemFeatures, session: Session, users: ItemFeatures | None = None
    ) -> Learnt:
        """The model trained on all events for as many epochs as the training has; raises as `fit` does."""
        contents = self.told.contents(features, users, log.sequences)
        model = self.shared_out(self._begun(log, log.sequences, contents, session), session)
        session = self._taught(session, log.sequences)
        read = log.sequences.without_times().to(session.device)
        negatives = None if self.negatives is None else self.negatives.build(read)
        training = self.training.model_copy(update={"patience": None})
        history = fit_model(model, log.sequences, self.loss.build(), training, session, None, negatives=negatives)
        return self._learnt(model, history)

    def shared_out(self, model: SequenceModel | ShardedModel, session: Session) -> SequenceModel | ShardedModel:
        """The model as it is trained: where its item table is to be, shared out to several processes."""
        if self.training.item_rows != "sharded" or session.processes.size == 1 or isinstance(model, ShardedModel):
            return model
        return ShardedModel(model, session.processes)

    def _learnt(self, trained: SequenceModel | ShardedModel, history: History) -> Learnt:
        model = trained.whole()
        return Learnt(model, history, sum(weight.numel() for weight in model.parameters()), history.train_seconds)

    def as_chosen(self, epochs: int, tensors: Mapping[str, Tensor], events: Events = "train") -> Self:
        """The model that is trained for exactly so many epochs."""
        return self.model_copy(update={"training": self.training.exactly(epochs, events)})

    def assembled(self, prepared: Prepared, session: Session, start: Mapping[str, Tensor] | None = None) -> "Assembled":
        """What a training begins with, on the session's device; equal seeds give equal weights and cases.

        What is known of users is that of the weights which it is going to `start` at, where there are some.
        """
        train = prepared.split.train
        contents = self.told.contents(prepared.features, prepared.user_features, train, start)
        model = self._begun(prepared.log, train, contents, session)
        train = train.without_times().to(model.device)
        negatives = outside = None
        if self.negatives is not None:
            negatives = self.negatives.build(train)
            outside = outside_sampler(self.negatives, train, negatives)
        cases = prepared.split.validation
        cases = cases.telling_times() if self.reads_target_times else cases
        cases = validation_cases(cases, self.training.validation_users, session.seed)
        return Assembled(model, self.loss.build(), negatives, outside, cases, self.training.batch_size)

    def _taught(self, session: Session, train: Sequences) -> Session:
        """The session with what the teacher foresees in `train`, where there is one."""
        lessons = None if self.teacher is None else self.teacher.lessons(session, self.objective, train)
        return replace(session, lessons=lessons)

    def _begun(self, log: Log, train: Sequences, contents: Contents, session: Session) -> SequenceModel:
        """The untrained model on the device, told what it reads of items and users."""
        model = self.build(len(log.items), session.seed, len(log.users), contents).to(session.device)
        if self.items.reads_counts:
            model.count(train)
        return model

    def restore(self, tensors: Mapping[str, Tensor], number_of_items: int) -> SequenceModel:
        """The model that gave `tensors`, in evaluation mode. Raises ValueError where they do not fit."""
        sizes = number_of_items, 0, self.told.vectors_in(tensors), self.told.contents_in(tensors)
        # A recipe that was altered may ask for more numbers than fit anywhere: shapes and types come first.
        with suppress(RuntimeError, TypeError):  # an encoder from elsewhere may need numbers, and is compared below
            with shapes_alone():
                known = self.build(*sizes).state_dict()
            check_alike(tensors, known)
        model = self.build(*sizes)
        check_alike(tensors, model.state_dict())
        model.load_state_dict(dict(tensors))
        return model.eval()

    def users_in(self, tensors: Mapping[str, Tensor]) -> int:
        """How many users have numbers of their own. Raises ValueError where there should be some and are none."""
        return self.told.users_in(tensors)

    def without_user(self, tensors: Mapping[str, Tensor], user: int, history: Tensor) -> dict[str, Tensor]:
        """The tensors without the vector of a user and what is known of them, where users have any."""
        return self.told.without_user(tensors, user)
