"""A sequence model: an item table, an encoder and an objective.

B rows, L length, T targets, C cases, e output width.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import cast

import torch
from torch import Tensor, nn

from nextitem.compute import transfer
from nextitem.compute.memory import HEAP
from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.batches import Batch, Drawn, ids_of, renumbered
from nextitem.model.items.shard import Shard
from nextitem.model.items.table import ItemTable, PairTable
from nextitem.model.layers.bfloat16 import products_in_bfloat16
from nextitem.model.layers.kept import Kept
from nextitem.model.layers.twins import Twins
from nextitem.model.losses.loss import Loss
from nextitem.model.losses.taught import taught_loss
from nextitem.model.objectives.objective import Objective
from nextitem.model.prefix import Prefix
from nextitem.model.state_query import StateQuery

_QUERY_POSITIONS = 1 << 14  # of histories that are encoded at a time, as many as stay near a cache
_QUERY_ROWS = 512


def refuse_untimed(sequences: Sequences) -> None:
    """Raises DataError for views of events without times, where an encoder reads them; no views lack nothing."""
    if len(sequences) and not sequences.has_times:
        raise DataError(
            "the encoder reads when events were, and these have no times; give events with a column of times, or "
            "choose an encoder that reads their order alone"
        )


class SequenceModel(nn.Module):
    """Scores every item after a history; a `Scorer`, and what `fit_model` trains."""

    shard: Shard | None = None  # the whole table is here

    def __init__(
        self,
        items: ItemTable,
        encoder: nn.Module,
        objective: Objective,
        *,
        in_bfloat16: bool = False,
        number_of_users: int | None = None,
        reads_times: bool = False,
        reads_target_times: bool = False,
    ) -> None:
        """With `in_bfloat16` the encoder's products are computed so in training; weights stay as they are.

        An encoder that has a vector for each of `number_of_users` users is asked about those only; None: about anyone.
        One that `reads_times` is given `times_BL` besides, and histories must have times then; one that
        `reads_target_times` also `asked_BL`, and histories must say what they are asked for.
        """
        super().__init__()
        self.in_bfloat16, self.number_of_users = in_bfloat16, number_of_users
        self.reads_times, self.reads_target_times = reads_times, reads_target_times
        self.items = items
        self.encoder = encoder
        self.objective = objective
        self.prefix: Prefix | None = None
        self.counts_from_newest = False
        self._kept_twins = Kept[Twins]()

    def tensors(self) -> dict[str, Tensor]:
        """All weights by name: what is stored of it."""
        return self.state_dict()

    def item_vectors(self) -> Tensor:
        """What scores each item, shape (N, e), detached, without biases: the cosine of two says how alike they are."""
        return self.items.item_vectors().detach()

    def product_table(self) -> Tensor | None:
        """The matrix (N, e) whose products with states are scores, detached; None where a network scores pairs."""
        return None if isinstance(self.items, PairTable) else self.items.output_table().detach()

    @property
    def reads_histories(self) -> bool:
        """Whether it answers any history, also of nobody that it knows, and without times."""
        return self.number_of_users is None and not self.reads_times

    def item_rows(self) -> dict[str, Tensor]:
        """What is learnt of each item alone, by its name among `tensors`."""
        return {f"items.{name}": rows for name, rows in self.items.rows().items()}

    def grown(self, more: Mapping[str, Tensor]) -> "SequenceModel":
        """The model with M more items, whose `item_rows` these are, in evaluation mode; all else is shared with it."""
        items = self.items.grown({name.removeprefix("items."): rows for name, rows in more.items()})
        return self.with_items(items).eval()

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> dict[str, Tensor] | None:
        """The `item_rows` of items that were `added`, by what the table has learnt of features; None: nothing.

        `features` and `counts_N` are those of the items that it was learnt with. Raises ValueError for others.
        """
        found = self.items.rows_of(features, counts_N, added)
        return None if found is None else {f"items.{name}": rows for name, rows in found.items()}

    def made(self) -> "SequenceModel":
        """The model as one step reads it: items whose rows are made of parts are made once, any others are its own."""
        items = self.items.made()
        if items is self.items:
            return self
        model = self.with_items(items)
        model.training = self.training
        return model

    def whole(self) -> "SequenceModel":
        """Itself: no other process has any of it."""
        return self

    def with_items(self, items: ItemTable) -> "SequenceModel":
        """The model with other items of the same width; all else is shared with this one."""
        model = SequenceModel(
            items,
            self.encoder,
            self.objective,
            in_bfloat16=self.in_bfloat16,
            number_of_users=self.number_of_users,
            reads_times=self.reads_times,
            reads_target_times=self.reads_target_times,
        )
        model.prefix, model.counts_from_newest = self.prefix, self.counts_from_newest
        return model

    def with_prefix(self, prefix: Prefix) -> "SequenceModel":
        """The model that reads what is known of its users before their histories; all else is shared with this one."""
        model = self.with_items(self.items)
        model.prefix = prefix
        return model

    def telling(self, users: ItemFeatures) -> Callable[[ItemFeatures], "SequenceModel"]:
        """What makes the model that is told of more users, as `Prefix.telling`; without a prefix it is the model."""
        if self.prefix is None:
            return lambda _: self
        told = self.prefix.telling(users)

        def model(more: ItemFeatures) -> SequenceModel:
            found = self.with_prefix(told(more))
            found.training, found._kept_twins = self.training, self._kept_twins
            return found

        return model

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.items.weight_Nd.device

    def as_read(self, sequences: Sequences) -> Sequences:
        """The views with what the model reads of their events: without times, unless the encoder reads them.

        Raises DataError where it does and there are none.
        """
        if not self.reads_times:
            return sequences.without_times()
        refuse_untimed(sequences)
        return sequences

    def count(self, train: Sequences) -> None:
        """Take what scores need to know of how often items occur in training; most need nothing."""
        self.items.count(train.counts())

    def windows(self, train: Sequences) -> Sequences:
        """The training windows of the objective. Raises DataError as `as_read` does."""
        return self.as_read(self.objective.windows(train))  # which windows there are may depend on times

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Some windows as one step's batch."""
        return self.objective.batch(windows, generator)

    def loss(self, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        """Summed loss of a batch, a scalar."""
        made = self.made()
        return made.loss_of_states(made.states(batch), batch, loss, drawn)

    def loss_of_states(self, states_Te: Tensor, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        """Summed loss of a batch whose states are known, a scalar."""
        weights_T = None if batch.weights_T is None else batch.weights_T.to(states_Te.dtype)
        if batch.taught is not None:
            return taught_loss(loss, states_Te, batch.targets_T, self.items, weights_T, batch.taught)
        return loss(states_Te, batch.targets_T, self.items, drawn, weights_T)

    def narrowed(self, batch: Batch, drawn: Drawn | None) -> "tuple[SequenceModel, Batch, Drawn | None, Tensor]":
        """The model on the R rows of the item table that a step touches, the step in their numbers, and their ids (R,).

        Encoder and mask are shared; the rows are weights of their own. The loss is the same, and so are its gradients.
        Raises ConfigurationError for items that a step cannot narrow.
        """
        items, ids_R, rows = self.items.narrowed(ids_of(batch, drawn))
        batch, drawn = renumbered(batch, drawn, rows)
        return self.with_items(items), batch, drawn, ids_R

    def states(self, batch: Batch) -> Tensor:
        """The encoder's states at the batch's target positions, shape (T, e)."""
        embeddings_BLd = self.items.embed(batch.inputs_BL)
        lengths_B, read_T, times = batch.lengths_B, batch.read, self._times_of(batch)
        if self.prefix is not None:
            embeddings_BLd, lengths_B, read_T = self.prefix.before(embeddings_BLd, batch)
            times = self.prefix.before_times(times)
        with products_in_bfloat16(self.device) if self.in_bfloat16 and self.training else nullcontext():
            states: Tensor = self.encoder(embeddings_BLd, lengths_B, batch.users_B, read_T, **times)
        states = states.to(embeddings_BLd.dtype)  # an encoder may end in a product, and the table stays as it is
        states_Te = states if batch.places_B is None else states.index_select(0, batch.rows_T)
        return self.items.to_score(states_Te)

    def _times_of(self, batch: Batch) -> dict[str, Tensor | None]:
        """What the encoder is told of times; raises DataError where it is not known what it reads of targets."""
        if not self.reads_target_times:
            return {"times_BL": batch.times_BL} if self.reads_times else {}
        if batch.asked_BL is None:
            raise DataError(
                "the encoder reads when what it foresees will happen (encoder.times=target_leaks), and nobody knows "
                "that of these histories: such a model can be evaluated on a split, and cannot recommend; train one "
                "with encoder.times=past"
            )
        return {"times_BL": batch.times_BL, "asked_BL": batch.asked_BL}

    @torch.no_grad()
    def query_states(self, histories: Sequences) -> Tensor:
        """The state that foresees what follows each history, in evaluation mode, shape (C, e).

        Raises DataError for an empty history, about which a sequence model has nothing to say; where the encoder has
        user vectors, for one of a user that it has none for; and where it reads times, for histories without them.
        """
        if bool((histories.lengths_U == 0).any()):
            raise DataError(
                f"{int((histories.lengths_U == 0).sum()):,} of {len(histories):,} histories are empty; a sequence "
                f"model needs at least one known item, use a popularity ranking for the others"
            )
        self._check_users(histories.users_U)
        histories = self.as_read(histories).to(self.device)
        was_training = self.training
        if was_training:  # walking through all modules takes as long as a short history does
            self.eval()
        try:
            parts = []
            for rows in torch.arange(len(histories)).split(self._query_rows()):
                if len(rows):  # nothing is split into one empty part
                    parts.append(self.states(self.objective.query(histories.select(rows))))
                    HEAP.tidy()
        finally:
            if was_training:
                self.train()
        # States of no history are as wide as the others.
        return torch.cat(parts) if parts else self.items.weight_Nd.new_zeros(0, self.items.state_width)

    def _query_rows(self) -> int:
        if transfer.is_asynchronous(self.device):
            return _QUERY_ROWS
        return min(_QUERY_ROWS, max(1, _QUERY_POSITIONS // self.objective.maximum_length))

    def _check_users(self, users_C: Tensor) -> None:
        if self.number_of_users is None:
            return
        is_known_C = (users_C >= 0) & (users_C < self.number_of_users)
        if not bool(is_known_C.all()):
            raise DataError(
                f"{int((~is_known_C).sum()):,} of {len(users_C):,} histories are not of a user that the model was "
                f"trained on, and it has a vector for each of those {self.number_of_users:,} only; ask about known "
                f"users by their ids, or train with encoder.user_vectors=false where there is that setting, or another "
                f"encoder"
            )

    @torch.no_grad()
    def query_along(self, batch: Batch, prefixes: Sequences) -> StateQuery:
        """Scores at each position of a batch of any objective, whose inputs up to there are `prefixes`.

        Where the model foresees everywhere in windows as long as these, they are read once, else prefix by prefix; so
        where it counts places from the newest item, which is another one at each position. It has to be in evaluation
        mode.
        """
        is_long = batch.inputs_BL.shape[1] > self.objective.maximum_length
        if is_long or self.counts_from_newest or not self.objective.foresees_everywhere:
            return self.query(prefixes)
        self._check_users(batch.users_B)
        twins = self._kept_twins.of(cast(nn.Module, self.items), self.items.twins)
        return StateQuery(self.states(batch), self.items.made(), twins)

    @torch.no_grad()
    def query(self, histories: Sequences) -> StateQuery:
        """Scores after each history, in evaluation mode and without gradients."""
        twins = self._kept_twins.of(cast(nn.Module, self.items), self.items.twins)
        return StateQuery(self.query_states(histories), self.items.made(), twins)
