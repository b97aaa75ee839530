"""Negatives drawn uniformly from the items that occur in training. B rows, T positions, R sets, K negatives, N items.

Exclusion is exact and needs no rejection: an allowed item is drawn by its number among the allowed ones.
"""

from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Drawn, Sharing
from nextitem.model.negatives.disliked import with_disliked
from nextitem.model.negatives.exclusion import Exclude, TrainedItems
from nextitem.model.negatives.negatives import Negatives, Sampler, disliked_in_words, fewer


class Uniform(Negatives):
    """How many negatives, who shares them, and what they must not be."""

    name: Literal["uniform"] = "uniform"
    count: int = Field(1, ge=1)
    """Number of negatives K in a set."""
    sharing: Sharing = "position"
    """A fresh set per `position`, one per `sequence` shared by its positions, or one for the whole `batch`."""
    replacement: bool = True
    """Whether an item may be drawn twice into one set."""
    exclude: Exclude = "window"
    """Never counted as a negative: the position's own `target` only, any item of the `window` (2023 code), or any item
    of the user's whole training `history`."""
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
        sampler = UniformNegatives(train, self.count, self.sharing, self.replacement, self.exclude)
        return with_disliked(sampler, train, self.disliked)

    def set_size(self, positions: int) -> int:
        """Most negatives of a set in a step of so many positions."""
        return self.count + self.disliked

    def described(self) -> str:
        """Such as `20 negatives (uniform)`."""
        return self._in_words(self.count) + disliked_in_words(self.disliked)

    def remedies(self) -> list[list[dict[str, object]]]:
        """One set for the whole step, or smaller ones."""
        return [[{"sharing": "batch"}], fewer(self.count)]


class UniformNegatives:
    """Draws sets of negatives; where fewer items are allowed than asked for, the set is filled with excluded ids.

    Each of the A items that a set may hold has probability 1/A in every draw. K·q is the expected number of times
    exactly: with replacement K/A, and without it the probability of being in the set, min(K, A)/A.
    """

    def __init__(self, train: Sequences, count: int, sharing: Sharing, replacement: bool, exclude: Exclude) -> None:
        self.items = TrainedItems(train, exclude, sharing=sharing)
        self.count, self.sharing, self.replacement = count, sharing, replacement

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """The negatives of one step."""
        items, device = self.items, self.items.trained_ids.device
        trained = len(items)
        if self.sharing == "batch":
            numbers_1K, _ = self._draw(torch.full((1,), trained, device=device), (trained, trained), generator)
            numbers_K = numbers_1K[0] if self.replacement and trained else numbers_1K[0, :trained]
            return Drawn(
                items.trained_ids[numbers_K], "batch", batch.rows_T, items.excluded(batch, numbers_K),
                log_q=items.log_q(numbers_K, items.places),
                target_log_q_T=items.log_q(items.number_N[batch.targets_T], items.places),
            )  # fmt: skip
        forbidden = items.forbidden(batch)
        rows = batch.rows_T if self.sharing == "position" else torch.arange(len(batch.lengths_B), device=device)
        # On a GPU how many are allowed is not waited for: it is known that they are no fewer than these.
        bounds = None if not transfer.is_asynchronous(device) else (trained - items.most_forbidden(batch), trained)
        allowed_R = forbidden.left_B[rows]
        numbers_RK, excluded_RK = self._draw(allowed_R, bounds, generator)
        log_q_RK = -allowed_R[:, None].float().log().expand(numbers_RK.shape)
        return Drawn(
            items.trained_ids[forbidden.numbers_at(numbers_RK, rows)], self.sharing, batch.rows_T, excluded_RK,
            batch.counts_B, log_q_RK if excluded_RK is None else log_q_RK.masked_fill(excluded_RK, -torch.inf),
            forbidden.log_q(batch.rows_T, items.number_N[batch.targets_T]),
        )  # fmt: skip

    def _draw(
        self, allowed_R: Tensor, bounds: tuple[int, int] | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """(numbers below allowed_R as (R, K), where a row has run out of items as (R, K) or None).

        `bounds` enclose allowed_R; None: they are read from it, and so is whether a row has run out.
        """
        shape = (len(allowed_R), self.count)
        if self.replacement:
            draws_RK = torch.rand(shape, generator=generator, device=allowed_R.device, dtype=torch.float64)
            numbers_RK = (draws_RK * allowed_R[:, None]).long()
            is_out_RK = (allowed_R == 0)[:, None].expand(shape)
        else:
            numbers_RK, is_repeat_RK = _draw_distinct(allowed_R, self.count, bounds, generator)
            is_out_RK = is_repeat_RK | (torch.arange(self.count, device=allowed_R.device) >= allowed_R[:, None])
        has_run_out = transfer.is_asynchronous(allowed_R.device) or bool(is_out_RK.any())
        return numbers_RK.masked_fill(is_out_RK, 0), is_out_RK if has_run_out else None


def _draw_distinct(
    allowed_R: Tensor, count: int, bounds: tuple[int, int] | None, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(a uniformly random subset per row of the numbers below allowed_R, where it is not one), shape (R, K) each.

    Places beyond allowed_R are arbitrary. `bounds` are those of allowed_R; None: they are read from it.

    Few out of many: numbers are drawn one after another and repeats skipped, which favours none of them (sorting the
    draws and cutting would favour small ones). Many out of few, or too many repeats: a random order of all is cut.
    """
    device = allowed_R.device
    least, most = bounds or (int(allowed_R.min()), int(allowed_R.max()))
    surplus = count + count // 4 + 64
    if surplus * 4 <= least:
        draws_RM = torch.rand((len(allowed_R), surplus), generator=generator, device=device, dtype=torch.float64)
        numbers_RM = (draws_RM * allowed_R[:, None]).long()
        sorted_RM, order_RM = numbers_RM.sort(dim=1, stable=True)
        is_repeat_RM = torch.zeros_like(numbers_RM, dtype=torch.bool)
        is_repeat_RM.scatter_(1, order_RM[:, 1:], sorted_RM[:, 1:] == sorted_RM[:, :-1])
        # The surplus is over ten standard deviations more than the repeats to be expected: where it would have to be
        # waited for to see that they were not too many, those left are excluded instead.
        if bounds is not None or bool(((~is_repeat_RM).sum(1) >= count).all()):
            first_RK = is_repeat_RM.to(torch.int8).argsort(dim=1, stable=True)[:, :count]
            return numbers_RM.gather(1, first_RK), is_repeat_RM.gather(1, first_RK)
    keys_RM = torch.rand((len(allowed_R), max(most, count)), generator=generator, device=device, dtype=torch.float64)
    keys_RM.masked_fill_(torch.arange(keys_RM.shape[1], device=device) >= allowed_R[:, None], 2.0)
    numbers_RK = keys_RM.argsort(dim=1)[:, :count]
    return numbers_RK, torch.zeros_like(numbers_RK, dtype=torch.bool)
