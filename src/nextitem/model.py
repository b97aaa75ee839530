"""A sequence model: an item table, an encoder and an objective.

B rows, L length, M read columns, T targets, C cases, e output width.
"""

from dataclasses import replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from nextitem.batches import Batch, Drawn
from nextitem.errors import DataError
from nextitem.items import TiedItems
from nextitem.sequences import Sequences

GROUP_ROWS = 32
_QUERY_ROWS = 512


class Objective(Protocol):
    """What is asked of the model: how windows become inputs and targets."""

    needs_mask: ClassVar[bool]

    @property
    def maximum_length(self) -> int:
        """The most items that are encoded."""

    def windows(self, train: Sequences) -> Sequences:
        """The training windows."""

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Some windows as one step's batch."""

    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """Histories as a batch with one position each: what comes next?"""


class Loss(Protocol):
    """A sum over positions that falls as the targets' scores rise above the others'."""

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: TiedItems,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """The summed loss, a scalar."""


class SequenceModel(nn.Module):
    """Scores every item after a history; a `Scorer`, and what `fit` trains."""

    def __init__(self, items: TiedItems, encoder: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.items = items
        self.encoder = encoder
        self.objective = objective

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.items.weight_Nd.device

    def windows(self, train: Sequences) -> Sequences:
        """The training windows of the objective."""
        return self.objective.windows(train)

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Some windows as one step's batch."""
        return self.objective.batch(windows, generator)

    def loss(self, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        """Summed loss of a batch, a scalar."""
        return self.loss_of_states(self.states(batch), batch, loss, drawn)

    def loss_of_states(self, states_Te: Tensor, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        """Summed loss of a batch whose states are known, a scalar."""
        return loss(states_Te, batch.targets_T, self.items, drawn, batch.weights_T)

    def narrowed(self, batch: Batch, drawn: Drawn | None) -> "tuple[SequenceModel, Batch, Drawn | None, Tensor]":
        """The model on the R rows of the item table that a step touches, the step in their numbers, and their ids (R,).

        Encoder and mask are shared; the rows are weights of their own. The loss is the same, and so are its gradients.
        """
        is_item_BL = batch.inputs_BL >= 0
        parts = [batch.inputs_BL[is_item_BL], batch.targets_T, *([] if drawn is None else [drawn.ids.flatten()])]
        items, ids_R, rows = self.items.narrowed(torch.cat(parts))
        inputs, targets_T, *others = rows.split([len(part) for part in parts])
        inputs_BL = batch.inputs_BL.masked_scatter(is_item_BL, inputs)
        if drawn is not None:
            drawn = replace(drawn, ids=others[0].view_as(drawn.ids))
        batch = replace(batch, inputs_BL=inputs_BL, targets_T=targets_T)
        return SequenceModel(items, self.encoder, self.objective), batch, drawn, ids_R

    def states(self, batch: Batch) -> Tensor:
        """The encoder's states at the batch's target positions, shape (T, e).

        On the CPU rows are encoded in groups of like length, each cut to its longest row, and the encoder is told
        where its states are read: they are the same, and most of what nobody reads is never computed.
        """
        places = _Places(batch)
        order_B = batch.lengths_B.argsort(stable=True)
        group_rows = GROUP_ROWS if self.device.type == "cpu" else len(order_B)
        # One look-up for all groups: each would fill a gradient of the whole table.
        embeddings_BLd = self.items.embed(batch.inputs_BL[order_B])
        flat, starts_B, start = [], torch.empty_like(order_B), 0
        for rows, embeddings in zip(order_B.split(group_rows), embeddings_BLd.split(group_rows), strict=True):
            longest = int(batch.lengths_B[rows[-1]])
            read = places.read(rows)
            states = self.encoder(embeddings[:, :longest], batch.lengths_B[rows], batch.users_B[rows], read)
            flat.append(states.flatten(0, 1))
            starts_B[rows] = start + torch.arange(len(rows), device=rows.device) * states.shape[1]
            start += len(rows) * states.shape[1]
        return torch.cat(flat).index_select(0, starts_B[batch.rows_T] + places.offsets_T)

    @torch.no_grad()
    def query_states(self, histories: Sequences) -> Tensor:
        """The state that foresees what follows each history, in evaluation mode, shape (C, e).

        Raises DataError for an empty history: a sequence model has nothing to say about it.
        """
        if bool((histories.lengths_U == 0).any()):
            raise DataError(
                f"{int((histories.lengths_U == 0).sum()):,} of {len(histories):,} histories are empty; a sequence "
                f"model needs at least one known item, use a popularity ranking for the others"
            )
        histories = histories.to(self.device)
        was_training = self.training
        self.eval()
        try:
            parts = [
                self.states(self.objective.query(histories.select(rows)))
                for rows in torch.arange(len(histories), device=self.device).split(_QUERY_ROWS)
                if len(rows)  # nothing is split into one empty part
            ]
        finally:
            self.train(was_training)
        return torch.cat(parts) if parts else self.items.weight_Nd.new_zeros(0, self.items.weight_Nd.shape[1])

    def query(self, histories: Sequences) -> "StateQuery":
        """Scores after each history, in evaluation mode and without gradients."""
        return StateQuery(self.query_states(histories), self.items)


class _Places:
    """Where the states of a batch are read: at all columns of its rows, or at few of them (queries, masked items)."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.counts_B = torch.bincount(batch.rows_T, minlength=len(batch.lengths_B))
        self.starts_B = self.counts_B.cumsum(0) - self.counts_B
        self.are_few = 2 * len(batch.rows_T) <= int(batch.lengths_B.sum())
        ranks_T = torch.arange(len(batch.rows_T), device=batch.rows_T.device) - self.starts_B[batch.rows_T]
        self.offsets_T = ranks_T if self.are_few else batch.columns_T
        """Per target position, which of its row's read states it is."""

    def read(self, rows: Tensor) -> Tensor | None:
        """The columns that are read in each of `rows`, shape (B, M), filled up with column 0; None for all."""
        if not self.are_few:
            return None
        ranks_M = torch.arange(int(self.counts_B[rows].max()), device=rows.device)
        places_BM = (self.starts_B[rows, None] + ranks_M).clamp_(max=len(self.batch.rows_T) - 1)
        return self.batch.columns_T[places_BM].where(ranks_M < self.counts_B[rows, None], 0)


class StateQuery:
    """Scores as products of C states with the item table."""

    def __init__(self, states_Ce: Tensor, items: TiedItems) -> None:
        self.states_Ce = states_Ce
        self.items = items
        self.number_of_items = items.number_of_items

    def __len__(self) -> int:
        return len(self.states_Ce)

    @torch.no_grad()
    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start)."""
        return self.items.scores(self.states_Ce, start, stop)

    @torch.no_grad()
    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""
        rows_C = torch.arange(len(self), device=self.states_Ce.device)
        return self.items.candidate_scores(self.states_Ce, ids_CK.to(rows_C.device), "position", rows_C)

    def select(self, rows: Tensor) -> "StateQuery":
        """The query for some of the histories."""
        return StateQuery(self.states_Ce[rows.to(self.states_Ce.device)], self.items)
