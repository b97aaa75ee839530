"""The other targets of a step as negatives. B rows, T positions, K negatives."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Drawn, Sharing
from nextitem.model.negatives.exclusion import Exclude, TrainedItems
from nextitem.model.negatives.negatives import Negatives, fewer
from nextitem.model.negatives.popularity import ByPopularity
from nextitem.words import counted

_MOST_TARGETS = 1 << 19  # of a step that any machine takes


class InBatch(Negatives):
    """How many of the step's targets all its positions are compared with, and which of them do not count."""

    name: Literal["in_batch"] = "in_batch"
    sharing: ClassVar[Sharing] = "batch"
    """One set for the whole step."""
    count: int | None = Field(None, ge=1)
    """At most so many of the step's targets, chosen at random; none: all of them. Those that are the position's own
    target, at whatever position they stand, never count."""
    exclude: Exclude = "window"
    """Never counted as a negative: the position's own `target` only, any item of the `window`, or any item of the
    user's whole training `history`."""

    def build(self, train: Sequences) -> "InBatchNegatives":
        """The sampler; `train` tells how often each item is a target."""
        return InBatchNegatives(TrainedItems(train, self.exclude, exponent=1.0, of_step=True), self.count)

    def set_size(self, positions: int) -> int:
        """Most negatives of a set in a step of so many positions."""
        return positions if self.count is None else min(self.count, positions)

    def described(self) -> str:
        """Such as `all targets of the step as negatives`."""
        return f"{targets_of_step(self.count)} as negatives"

    def remedies(self) -> list[list[dict[str, object]]]:
        """Fewer of the step's targets."""
        return [fewer(self.count or _MOST_TARGETS)]

    def outside_histories(self) -> ByPopularity:
        """As many draws as `count`, or 1,000, by training frequency, which is how often an item is a target.

        Other cases' targets would be held-out events, and depend on which cases share a step.
        """
        return ByPopularity(count=self.count or 1000, exponent=1.0, sharing="batch", exclude="history")

    def reason_against(self, batch_size: int) -> str | None:
        """That a window alone in its step has only targets that are excluded."""
        if batch_size > 1 or self.exclude == "target":
            return None
        return (
            f"negatives in_batch are the other targets of a step, and training.batch_size=1 leaves those of one "
            f"window, all of which negatives.exclude={self.exclude} leaves out; "
            f"raise training.batch_size, or set negatives.exclude=target"
        )


def targets_of_step(most: int | None) -> str:
    """In words, how many of the step's targets are taken; None: all."""
    return "all targets of the step" if most is None else f"{counted(most, 'target')} of the step"


class InBatchNegatives:
    """Takes the targets of the whole step, which several processes share; an item stands there as often as it occurs.

    q is the item's share of the training events. That is exact where every event is a target equally often, and where
    steps are large. An event beyond the windows is none, nor is the first of a next-item window: among short
    histories the first items are somewhat rarer than q says.
    """

    def __init__(self, items: TrainedItems, count: int | None) -> None:
        self.items, self.count = items, count

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """The negatives of one step."""
        items, ids_K = self.items, batch.targets_T
        if self.count is not None and self.count < len(ids_K):
            order_T = torch.randperm(len(ids_K), generator=generator, device=ids_K.device)
            ids_K = ids_K[order_T[: self.count]]
        numbers_K = items.number_N[ids_K]
        return Drawn(
            ids_K, "batch", batch.rows_T, items.excluded(batch, numbers_K),
            log_q=items.log_q(numbers_K, items.places),
            target_log_q_T=items.log_q(items.number_N[batch.targets_T], items.places),
        )  # fmt: skip
