"""What a model reads in one step. B rows, L length, T target positions, K candidates.

Padding dies here: a loss sees the T real target positions only, never a mask, a pad or a label of −100.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nextitem.compute import transfer

PAD = -1
MASK = -2

Sharing = Literal["position", "sequence", "batch"]

FLOAT_BYTES, ID_BYTES = 4, 8  # of a number, and of an item's index

_FEW = 8  # negatives of a set, of which one nearly always counts


@dataclass(frozen=True)
class StepShapes:
    """How large a step is, as far as what it takes depends on it; of a training, its largest step."""

    positions: int  # T
    rows: int  # B
    longest: int  # L of the longest row
    width: int  # e, numbers of a state as it is scored
    number_of_items: int  # N
    count: int = 0  # K, most negatives of a set
    sharing: Sharing | None = None  # who shares such a set; None: there are none
    lookup_bytes: int = 0  # what a position takes to score its target and K negatives of its own (`Items`)
    pair_bytes: int = 0  # what a pair of a state and an item takes where scores are no products (`Items`)

    @property
    def states_bytes(self) -> int:
        """What any loss holds of states: themselves, as they are scored, and both gradients."""
        return 4 * self.positions * self.width * FLOAT_BYTES

    @property
    def sets(self) -> int:
        """How many sets of negatives are drawn."""
        return 0 if self.sharing is None else number_of_sets(self.sharing, self.positions, self.rows)


def number_of_sets(sharing: Sharing, positions: int, rows: int) -> int:
    """How many sets of negatives a step of so many positions and rows draws."""
    return {"position": positions, "sequence": rows, "batch": 1}[sharing]


@dataclass(frozen=True)
class Taught:
    """What a teacher foresees at each of T positions: of the M items that it scores highest, how likely each is."""

    items_TM: Tensor  # int32
    shares_TM: Tensor  # float, of the M items alone: each row sums to 1
    weight: float  # λ, by how much the teacher is heard beside the targets
    temperature: float  # τ, by which scores were divided before they became probabilities

    def select(self, positions: slice) -> "Taught":
        """That of some of the positions."""
        return replace(self, items_TM=self.items_TM[positions], shares_TM=self.shares_TM[positions])


@dataclass(frozen=True)
class Batch:
    """B right-padded rows and the T positions at which an item is to be foreseen."""

    inputs_BL: Tensor  # item indices, PAD after the row's end, MASK where the item is hidden
    lengths_B: Tensor
    positions_T: Tensor  # flat indices into B·L, ascending; the same one for targets that share it
    targets_T: Tensor
    rows_T: Tensor  # the row of each position, ascending
    users_B: Tensor
    weights_T: Tensor | None = None  # factor of each position's loss; None is 1
    host_lengths_B: Tensor | None = None  # lengths_B on the CPU, and
    host_counts_B: Tensor | None = None  # the targets of each row there; None: not known without asking the device
    places_B: Tensor | None = None  # where all targets of a row share one position: that one, flat; None: they do not
    times_BL: Tensor | None = None  # unix seconds of the inputs, where the model reads them; see `pad_times`
    asked_BL: Tensor | None = None  # unix seconds of what is asked for at each input, for who may know; `asked_times`
    taught: Taught | None = None  # what a teacher foresees at the positions; None: there is none

    @property
    def read(self) -> Tensor:
        """The flat indices at which states are needed, each once."""
        return self.positions_T if self.places_B is None else self.places_B

    @property
    def columns_T(self) -> Tensor:
        """The place of each position in its row, 0 for the oldest item."""
        return self.positions_T - self.rows_T * self.inputs_BL.shape[1]

    @property
    def sizes_B(self) -> Tensor:
        """`lengths_B` on the CPU."""
        return transfer.fetch(self.lengths_B) if self.host_lengths_B is None else self.host_lengths_B

    @property
    def counts_B(self) -> Tensor:
        """How many targets each row has, on the CPU."""
        if self.host_counts_B is not None:
            return self.host_counts_B
        return torch.bincount(transfer.fetch(self.rows_T), minlength=len(self.lengths_B))


@dataclass(frozen=True)
class Drawn:
    """Negative items of one step.

    `sharing` tells the shape of `ids`: "position" (T, K), "sequence" (B, K), "batch" (K,). `excluded` says where an
    id must not count, in the shape (T, K), (B, K) and (B, K); None means nowhere. That an id equals the target of a
    position is for the loss to mask, which all of them do by `is_out`, or by `is_out_of` a set at a time.

    `log_q`, in the shape of `ids`, is the logarithm of the probability that one draw of the set gives this id: K·q is
    the number of times that it is to be expected there. −inf marks a place that was filled for want of items.
    `target_log_q_T` is the same for the targets, −inf where the set cannot hold them.
    """

    ids: Tensor
    sharing: Sharing
    rows_T: Tensor
    excluded: Tensor | None = None
    host_counts_B: Tensor | None = None  # how many positions each row has, on the CPU; None: not known there
    log_q: Tensor | None = None
    target_log_q_T: Tensor | None = None

    @property
    def counts_B(self) -> Tensor:
        """How many positions each row has, on the CPU; only for sets that a sequence shares."""
        if self.host_counts_B is not None:
            return self.host_counts_B
        return torch.bincount(transfer.fetch(self.rows_T), minlength=len(self.ids))

    def is_empty(self, targets_T: Tensor) -> Tensor:
        """Where none of a position's negatives counts, since all are excluded or its target, shape (T,).

        Found by the least and the greatest id that a set may hold: no score of every position is looked at.
        """
        size = self.ids.shape[-1]
        if not size:
            return torch.ones_like(targets_T, dtype=torch.bool)
        if size > _FEW and not transfer.is_asynchronous(self.ids.device):
            excluded = None if self.excluded is None else self.excluded[..., :_FEW]
            is_empty_T = replace(self, ids=self.ids[..., :_FEW], excluded=excluded).is_empty(targets_T)
            if not bool(is_empty_T.any()):  # so that the others need not be looked at
                return is_empty_T
        least = most = self.ids
        if self.excluded is not None:
            ids = self.ids.expand_as(self.excluded)
            least = ids.masked_fill(self.excluded, torch.iinfo(ids.dtype).max)
            most = ids.masked_fill(self.excluded, -1)
        lowest, highest = least.amin(-1), most.amax(-1)
        if lowest.dim() and self.sharing != "position":
            lowest, highest = lowest[self.rows_T], highest[self.rows_T]
        return (lowest > highest) | ((lowest == highest) & (lowest == targets_T))

    def is_out(self, targets_T: Tensor) -> Tensor:
        """Where an id is excluded or is the target of its position, shape (T, K)."""
        ids = self.ids[self.rows_T] if self.sharing == "sequence" else self.ids
        return self.is_out_of(ids, targets_T[:, None], slice(None) if self.sharing == "position" else self.rows_T)

    def is_out_of(self, ids: Tensor, targets: Tensor, sets: int | slice | Tensor | tuple[slice, None]) -> Tensor:
        """Where some of the ids are excluded or are the target, in the shape that `ids` and `targets` broadcast to.

        `sets` finds what belongs to these ids in `excluded`.
        """
        is_target = ids == targets
        return is_target if self.excluded is None else is_target | self.excluded[sets]


def cut(batch: Batch, drawn: Drawn | None, rows: slice) -> tuple[Batch, Drawn | None]:
    """Adjacent rows of a step as a batch of their own, with the negatives that belong to them; there may be none.

    Rows keep their width, and a set that the whole batch shares stays whole.
    """
    start, stop, _ = rows.indices(len(batch.lengths_B))
    if stop - start == len(batch.lengths_B):
        return batch, drawn
    counts_B = batch.counts_B
    positions = slice(int(counts_B[:start].sum()), int(counts_B[:stop].sum()))
    part = Batch(
        batch.inputs_BL[rows],
        batch.lengths_B[rows],
        batch.positions_T[positions] - start * batch.inputs_BL.shape[1],
        batch.targets_T[positions],
        batch.rows_T[positions] - start,
        batch.users_B[rows],
        None if batch.weights_T is None else batch.weights_T[positions],
        batch.sizes_B[rows],
        counts_B[rows],
        None if batch.places_B is None else batch.places_B[rows] - start * batch.inputs_BL.shape[1],
        None if batch.times_BL is None else batch.times_BL[rows],
        None if batch.asked_BL is None else batch.asked_BL[rows],
        None if batch.taught is None else batch.taught.select(positions),
    )
    if drawn is None:
        return part, None
    own = positions if drawn.sharing == "position" else rows
    of_set = slice(None) if drawn.sharing == "batch" else own
    return part, Drawn(
        drawn.ids[of_set],
        drawn.sharing,
        part.rows_T,
        None if drawn.excluded is None else drawn.excluded[own],
        part.host_counts_B,
        None if drawn.log_q is None else drawn.log_q[of_set],
        None if drawn.target_log_q_T is None else drawn.target_log_q_T[positions],
    )


def ids_of(batch: Batch, drawn: Drawn | None) -> Tensor:
    """All items that a step reads, one after the other: its inputs, targets and negatives."""
    negatives = [] if drawn is None else [drawn.ids.flatten()]
    return torch.cat([batch.inputs_BL[batch.inputs_BL >= 0], batch.targets_T, *negatives])


def renumbered(batch: Batch, drawn: Drawn | None, numbers: Tensor) -> tuple[Batch, Drawn | None]:
    """The step with these in place of `ids_of` it."""
    is_item_BL = batch.inputs_BL >= 0
    negatives = 0 if drawn is None else drawn.ids.numel()
    sizes = [len(numbers) - len(batch.targets_T) - negatives, len(batch.targets_T), negatives]
    inputs, targets_T, ids = numbers.split(sizes)
    renamed = replace(batch, inputs_BL=batch.inputs_BL.masked_scatter(is_item_BL, inputs), targets_T=targets_T)
    return renamed, None if drawn is None else replace(drawn, ids=ids.view_as(drawn.ids))


def stack(upper: Batch, lower: Batch) -> Batch:
    """The rows of both as one batch, padded to the wider; positions without a weight weigh 1."""
    width, rows = max(upper.inputs_BL.shape[1], lower.inputs_BL.shape[1]), len(upper.lengths_B)
    padded = [F.pad(one.inputs_BL, (0, width - one.inputs_BL.shape[1]), value=PAD) for one in (upper, lower)]
    rows_T = torch.cat([upper.rows_T, lower.rows_T + rows])
    weights = [
        torch.ones(len(one.targets_T), device=rows_T.device) if one.weights_T is None else one.weights_T
        for one in (upper, lower)
    ]
    return Batch(
        torch.cat(padded),
        torch.cat([upper.lengths_B, lower.lengths_B]),
        rows_T * width + torch.cat([upper.columns_T, lower.columns_T]),
        torch.cat([upper.targets_T, lower.targets_T]),
        rows_T,
        torch.cat([upper.users_B, lower.users_B]),
        torch.cat(weights),
        torch.cat([upper.sizes_B, lower.sizes_B]),
        torch.cat([upper.counts_B, lower.counts_B]),
        times_BL=_stacked_times(upper, lower, width),
    )


def _stacked_times(upper: Batch, lower: Batch, width: int) -> Tensor | None:
    if upper.times_BL is None or lower.times_BL is None:
        return None
    columns_L = torch.arange(width, device=upper.times_BL.device)
    return torch.cat([times[:, columns_L.clamp(max=times.shape[1] - 1)] for times in (upper.times_BL, lower.times_BL)])


def weighed(batch: Batch, weights_T: Tensor) -> Batch:
    """The batch whose positions weigh so much, whatever they weighed before; those of weight 0 are none any more.

    They have no loss and do not count in T. Their items are still read where they are inputs.
    """
    kept_T = transfer.fetch(weights_T > 0).nonzero()[:, 0]  # it decides T, which the host has to know
    counts_B = torch.bincount(transfer.fetch(batch.rows_T)[kept_T], minlength=len(batch.lengths_B))
    kept_T = transfer.send(kept_T, weights_T.device)
    weights_T = weights_T if batch.weights_T is None else weights_T * batch.weights_T
    return replace(
        batch,
        positions_T=batch.positions_T[kept_T],
        targets_T=batch.targets_T[kept_T],
        rows_T=batch.rows_T[kept_T],
        weights_T=weights_T[kept_T],
        host_counts_B=counts_B,
    )
