"""Targets of the step and fresh draws together as negatives. B rows, T positions, K negatives."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Drawn, Sharing
from nextitem.model.negatives.exclusion import Exclude, TrainedItems
from nextitem.model.negatives.in_batch import targets_of_step
from nextitem.model.negatives.negatives import Negatives, fewer
from nextitem.model.negatives.popularity import ByPopularity


class Mixed(Negatives):
    """How many negatives of either kind all positions of a step are compared with, and which of them do not count."""

    name: Literal["mixed"] = "mixed"
    sharing: ClassVar[Sharing] = "batch"
    """One set for the whole step."""
    count: int = Field(1, ge=1)
    """Number of fresh draws, with replacement, besides the step's targets."""
    exponent: float = Field(0.0, ge=0.0)
    """α of the fresh draws: an item is drawn in proportion to its training count to this power; 0 is uniform."""
    in_batch: int | None = Field(None, ge=1)
    """At most so many of the step's targets, chosen at random; none: all of them."""
    exclude: Exclude = "window"
    """Never counted as a negative: the position's own `target` only, any item of the `window`, or any item of the
    user's whole training `history`."""

    def build(self, train: Sequences) -> "MixedNegatives":
        """The sampler over the items of `train`."""
        targets = TrainedItems(train, self.exclude, 1.0, of_step=True)
        fresh = TrainedItems(train, self.exclude, self.exponent)
        return MixedNegatives(targets, fresh, self.count, self.in_batch)

    def set_size(self, positions: int) -> int:
        """Most negatives of a set in a step of so many positions."""
        return self.count + (positions if self.in_batch is None else min(self.in_batch, positions))

    def described(self) -> str:
        """Such as `2,048 negatives (mixed) and all targets of the step`."""
        return f"{self._in_words(self.count)} and {targets_of_step(self.in_batch)}"

    def remedies(self) -> list[list[dict[str, object]]]:
        """Fewer fresh draws."""
        return [fewer(self.count)]

    def outside_histories(self) -> ByPopularity:
        """The fresh draws alone: other cases' targets would be held-out events."""
        return ByPopularity(count=self.count, exponent=self.exponent, sharing="batch", exclude="history")


class MixedNegatives:
    """Mixed negative sampling (Yang et al., WWW 2020): fresh draws reach the items that are rarely a target.

    q is that of a draw from the mixture: the shares of both kinds, weighted by how many of each there are. It is exact
    for the fresh draws; of the targets it is the item's share of the training events, exact where every event is a
    target equally often.
    """

    def __init__(self, targets: TrainedItems, fresh: TrainedItems, count: int, in_batch: int | None) -> None:
        self.targets, self.fresh, self.count, self.in_batch = targets, fresh, count, in_batch

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """The negatives of one step: the targets first."""
        ids_K, fresh = batch.targets_T, self.fresh
        if self.in_batch is not None and self.in_batch < len(ids_K):
            order_T = torch.randperm(len(ids_K), generator=generator, device=ids_K.device)
            ids_K = ids_K[order_T[: self.in_batch]]
        draws_K = torch.rand(self.count, generator=generator, device=ids_K.device, dtype=torch.float64)
        share = len(ids_K) / (len(ids_K) + self.count)
        numbers_K = torch.cat([fresh.number_N[ids_K], fresh.at((draws_K * fresh.places).long())])
        return Drawn(
            fresh.trained_ids[numbers_K], "batch", batch.rows_T, fresh.excluded(batch, numbers_K),
            log_q=self._log_q(numbers_K, share),
            target_log_q_T=self._log_q(fresh.number_N[batch.targets_T], share),
        )  # fmt: skip

    def _log_q(self, numbers: Tensor, share: float) -> Tensor:
        of_targets = self.targets.log_q(numbers, self.targets.places).exp()
        return (share * of_targets + (1 - share) * self.fresh.log_q(numbers, self.fresh.places).exp()).log()
