"""Negatives drawn by popularity. B rows, T positions, R sets, K negatives, M items that occur in training."""

from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor
from torch.nn.functional import pad

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Drawn, Sharing
from nextitem.model.negatives.disliked import with_disliked
from nextitem.model.negatives.exclusion import Exclude, Forbidden, TrainedItems
from nextitem.model.negatives.negatives import Negatives, Sampler, disliked_in_words, fewer

_MOST_CLOCKS = 1 << 24  # that exist at a time, 128 MB


class ByPopularity(Negatives):
    """How many negatives, how strongly popular items are preferred, who shares a set, and what it must not hold."""

    name: Literal["popularity"] = "popularity"
    count: int = Field(1, ge=1)
    """Number of negatives K in a set."""
    exponent: float = Field(0.75, ge=0.0)
    """α: an item is drawn in proportion to its training count to this power; 0 is uniform."""
    sharing: Sharing = "position"
    """A fresh set per `position`, one per `sequence` shared by its positions, or one for the whole `batch`."""
    replacement: bool = True
    """Whether an item may be drawn twice into one set; without, each set costs a number per trained item."""
    exclude: Exclude = "window"
    """Never counted as a negative: the position's own `target` only, any item of the `window`, or any item of the
    user's whole training `history`."""
    disliked: int = Field(0, ge=0)
    """How many more items a set has, drawn among those that the user said no to in training (kinds); not for a set that
    the batch shares."""

    @field_validator("disliked")
    @classmethod
    def _has_a_user(cls, disliked: int, others: ValidationInfo) -> int:
        if disliked and others.data.get("sharing") == "batch":
            raise ValueError("should be 0, or sharing=position or sequence: a set of the whole batch is of no user")
        return disliked

    def build(self, train: Sequences) -> Sampler:
        """The sampler over the items of `train`. Raises ConfigurationError where nobody `disliked` anything."""
        items = TrainedItems(train, self.exclude, self.exponent, self.sharing)
        sampler = PopularityNegatives(items, self.count, self.sharing, self.replacement)
        return with_disliked(sampler, train, self.disliked)

    def set_size(self, positions: int) -> int:
        """Most negatives of a set in a step of so many positions."""
        return self.count + self.disliked

    def described(self) -> str:
        """Such as `20 negatives (popularity)`."""
        return self._in_words(self.count) + disliked_in_words(self.disliked)

    def remedies(self) -> list[list[dict[str, object]]]:
        """One set for the whole step, or smaller ones."""
        return [[{"sharing": "batch"}], fewer(self.count)]


class PopularityNegatives:
    """Draws sets of negatives; where fewer items are allowed than asked for, the set is filled with excluded ids.

    With replacement q is exact: the item's mass over that of all items that the set may hold. Without it items come
    one after another in proportion to their masses. That is the order in which clocks of exponential law ring, with
    the masses as rates; given the time τ of the first that came too late, an item is in the set with probability
    1 − exp(−mass·τ), independently of the others. This over K is q, so that sums weighted by 1/(K·q) have the
    expectation of the sum over all items that the set may hold (Kool et al., ICML 2019).
    """

    def __init__(self, items: TrainedItems, count: int, sharing: Sharing, replacement: bool) -> None:
        self.items, self.count, self.sharing, self.replacement = items, count, sharing, replacement

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """The negatives of one step."""
        items, device = self.items, self.items.trained_ids.device
        forbidden = items.nothing_forbidden() if self.sharing == "batch" else items.forbidden(batch)
        rows = {
            "position": batch.rows_T,
            "sequence": torch.arange(len(batch.lengths_B), device=device),
            "batch": torch.zeros(1, dtype=torch.int64, device=device),
        }[self.sharing]
        rows_T = torch.zeros_like(batch.rows_T) if self.sharing == "batch" else batch.rows_T
        if self.replacement:
            numbers_RK, log_q_RK = self._draw(forbidden, rows, generator)
            target_log_q_T = forbidden.log_q(rows_T, items.number_N[batch.targets_T])
        else:
            numbers_RK, log_q_RK, taus_R2 = self._draw_distinct(forbidden, rows, generator)
            sets_T = torch.arange(len(rows_T), device=device) if self.sharing == "position" else rows_T
            numbers_T = items.number_N[batch.targets_T]
            # The clock that a target has to be ahead of is the last of K others, which its own presence shifts by one.
            taus_T = taus_R2[sets_T, _is_member(numbers_RK, sets_T, numbers_T).long()]
            target_log_q_T = self._log_inclusion(forbidden, rows_T, numbers_T, taus_T)
        ids_RK = items.trained_ids[numbers_RK]
        if self.sharing == "batch":
            excluded_BK = items.excluded(batch, numbers_RK[0])
            return Drawn(
                ids_RK[0], "batch", batch.rows_T, excluded_BK, log_q=log_q_RK[0], target_log_q_T=target_log_q_T
            )
        is_out_RK = log_q_RK == -torch.inf
        has_run_out = transfer.is_asynchronous(device) or bool(is_out_RK.any())
        excluded_RK = is_out_RK if has_run_out else None
        return Drawn(ids_RK, self.sharing, batch.rows_T, excluded_RK, batch.counts_B, log_q_RK, target_log_q_T)

    def _draw(self, forbidden: Forbidden, rows_R: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(numbers of items, their log q) with replacement, shape (R, K) each."""
        left_R1 = forbidden.left_B[rows_R][:, None]
        shape = (len(rows_R), self.count)
        draws_RK = torch.rand(shape, generator=generator, device=rows_R.device, dtype=torch.float64)
        numbers_RK = forbidden.numbers_at((draws_RK * left_R1).long(), rows_R)
        log_q_RK = self.items.log_q(numbers_RK, left_R1)
        return numbers_RK, log_q_RK.masked_fill(left_R1 == 0, -torch.inf)

    def _draw_distinct(
        self, forbidden: Forbidden, rows_R: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(numbers of items (R, K), their log q (R, K), the clocks of the last in time and the next (R, 2)).

        Without replacement; log q is −inf where no item was left.
        """
        parts = []
        count = min(self.count, len(self.items))
        for rows_G in rows_R.split(max(1, _MOST_CLOCKS // max(1, len(self.items)))):
            clocks_GM = torch.empty(len(rows_G), len(self.items), dtype=torch.float64, device=rows_R.device)
            clocks_GM.exponential_(generator=generator).div_(self.items.masses_M)
            clocks_GM.masked_fill_(forbidden.mask(rows_G), torch.inf)
            late_G1 = clocks_GM.new_full((len(rows_G), 1), torch.inf)
            rung = torch.cat([clocks_GM, late_G1], 1).topk(count + 1, largest=False)
            numbers_GK = rung.indices[:, :count].clamp(max=len(self.items) - 1)
            log_q_GK = self._log_inclusion(forbidden, rows_G[:, None], numbers_GK, rung.values[:, count:])
            log_q_GK = log_q_GK.masked_fill(rung.values[:, :count] == torch.inf, -torch.inf)
            parts.append((numbers_GK, log_q_GK, rung.values[:, count - 1 :]))
        numbers_RK, log_q_RK, taus_R2 = (torch.cat(part) for part in zip(*parts, strict=True))
        if self.sharing != "batch":  # such a set is as long as was asked for
            numbers_RK = pad(numbers_RK, (0, self.count - count))
            log_q_RK = pad(log_q_RK, (0, self.count - count), value=-torch.inf)
        return numbers_RK, log_q_RK, taus_R2

    def _log_inclusion(self, forbidden: Forbidden, rows: Tensor, numbers: Tensor, taus: Tensor) -> Tensor:
        """Logarithm of q = (1 − exp(−mass·τ)) / (number of items in the set); −inf where an item is forbidden.

        Of equal masses all A items that are left are as likely, and q = 1/A needs no clock, which would only scatter.
        """
        if self.items.is_even:
            return forbidden.log_q(rows.expand(numbers.shape), numbers)
        sizes = forbidden.left_items_B[rows].clamp(1, self.count)
        rung = -torch.expm1(
            -forbidden.items.mass(numbers) * taus.clamp(max=1e30)
        )  # no item has mass 0, and 0 · ∞ is none
        log_q = (rung / sizes).log().float()
        return log_q.masked_fill(forbidden.contains(rows.expand(numbers.shape), numbers), -torch.inf)


def _is_member(numbers_RK: Tensor, sets_T: Tensor, numbers_T: Tensor) -> Tensor:
    """Whether each number is in its set, shape (T,)."""
    stride = 1 << 32  # more than there are items
    starts_R1 = torch.arange(len(numbers_RK), device=numbers_RK.device)[:, None] * stride
    keys = (starts_R1 + numbers_RK).flatten().sort().values
    wanted_T = sets_T * stride + numbers_T
    return pad(keys, (0, 1), value=-1)[torch.searchsorted(keys, wanted_T)] == wanted_T
