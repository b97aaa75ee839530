"""A sequence model of whose item table each of several processes keeps a share, as it is trained.

N items, R rows that a step reads, T targets of this process, e width.

A step fetches the rows that its inputs, targets and negatives read, each once. A loss over drawn items needs no others;
that over the whole catalogue is summed up from what each process has of its own rows (`losses/vocabulary.py`).
"""

from typing import cast

import torch
from torch import Tensor, nn

from nextitem.compute.processes import Processes
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.batches import Batch, Drawn, ids_of, renumbered
from nextitem.model.items.shard import Shard
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses.loss import Loss, WholeLoss
from nextitem.model.model import SequenceModel

TABLE = "items.weight_Nd"
"""What the table is called among a model's weights."""


class ShardedModel(nn.Module):
    """What is trained in place of a model whose items are `TiedItems`; its weights have the same names."""

    def __init__(self, model: SequenceModel, processes: Processes) -> None:
        """Of the rows of `model` none but this process's own are held on; its encoder and MASK are trained.

        Raises ConfigurationError for fewer items than processes.
        """
        super().__init__()
        items = cast(TiedItems, model.items)
        if items.number_of_items < processes.size:
            raise ConfigurationError(
                f"{processes.size} processes cannot share {items.number_of_items} items; start fewer, or set "
                f"training.item_rows=all"
            )
        self.shard = Shard.of(items.weight_Nd, processes)
        self.items = _Rows(self.shard.rows_nd, items.mask_d)
        self.encoder, self.prefix = model.encoder, model.prefix
        none_Nd = items.weight_Nd.detach()[:0].clone()  # a view would keep all of them
        # Its modules are those above; as a submodule it would name them twice.
        self._rowless = (model.with_items(self.items.as_table(none_Nd, self.shard)),)

    def windows(self, train: Sequences) -> Sequences:
        """The training windows, with what is read of their events."""
        return self._rowless[0].windows(train)

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Some windows as one step's batch."""
        return self._rowless[0].batch(windows, generator)

    def narrowed(self, batch: Batch, drawn: Drawn | None) -> "tuple[StepModel, Batch, Drawn | None, Tensor]":
        """(the model on the R rows that a step reads, whose values are still to be fetched, the step in their numbers,
        their ids); all processes ask it of the same step.
        """
        ids_R, numbers = ids_of(batch, drawn).unique(return_inverse=True)
        rows_Rd = self.shard.rows_nd.new_empty(len(ids_R), self.shard.rows_nd.shape[1])
        model = self._rowless[0].with_items(self.items.as_table(rows_Rd, self.shard))
        model.training = self.training
        return StepModel(model, self.shard, ids_R), *renumbered(batch, drawn, numbers), ids_R

    def whole(self) -> SequenceModel:
        """The model with the rows of all processes, which all of them ask for together; the rest is shared."""
        rows_Nd = self.shard.whole(self.shard.rows_nd)
        return self._rowless[0].with_items(self.items.as_table(rows_Nd, self.shard))


class _Rows(nn.Module):
    """What of an item table is trained here, by the names that it has in a whole one."""

    def __init__(self, weight_Nd: nn.Parameter, mask_d: nn.Parameter | None) -> None:
        super().__init__()
        self.weight_Nd, self.mask_d = weight_Nd, mask_d

    def as_table(self, rows_Rd: Tensor, shard: Shard) -> TiedItems:
        """A table of these rows as weights; MASK is shared."""
        table = TiedItems(0, rows_Rd.shape[1])
        table.number_of_items, table.mask_d, table.weight_Nd = shard.number_of_items, self.mask_d, nn.Parameter(rows_Rd)
        return table


class StepModel:
    """The model as one step reads it, on the R rows that the step fetches."""

    def __init__(self, narrow: SequenceModel, shard: Shard, ids_R: Tensor) -> None:
        self.narrow, self.shard, self.ids_R = narrow, shard, ids_R
        self.items = narrow.items

    def made(self) -> "StepModel":
        """Itself: rows of a tied table are made of nothing."""
        return self

    def states(self, batch: Batch) -> Tensor:
        """The encoder's states at this process's target positions, shape (T, e); none without a position."""
        if not len(batch.targets_T):
            return self.items.weight_Nd.new_zeros(0, self.items.state_width).requires_grad_()
        return self.narrow.states(batch)

    def loss_of_states(self, states_Te: Tensor, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        """Summed loss of this process's positions, a scalar; all processes ask for it together."""
        if not isinstance(loss, WholeLoss):
            return self.narrow.loss_of_states(states_Te, batch, loss, drawn) if len(states_Te) else states_Te.sum()
        weights_T = None if batch.weights_T is None else batch.weights_T.to(states_Te.dtype)
        return loss.of_shards(states_Te, self.ids_R[batch.targets_T], self.shard, weights_T)
