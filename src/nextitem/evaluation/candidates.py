"""The few items that a target is ranked among where a paper did not rank the whole catalogue.

C cases, K negatives of a case, N items, R rows of a block, M draws of a row.
"""

import re
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nextitem.compute.randomness import Purpose, generator
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError
from nextitem.evaluation.hiding import hidden
from nextitem.settings.given import seed_number, told

_BLOCK_ELEMENTS = 1 << 24  # of the table that says which items a row may not draw: 16 MB


@dataclass(frozen=True)
class Candidates:
    """K negatives for every case, drawn one after another without replacement, in proportion to a weight of each item.

    By `popularity` the weight is the number of training events, so an item that occurs in none is never drawn;
    `uniform` draws from the whole catalogue. The draws follow from cases and seed: every model is asked about the same
    items. BERT4Rec (Sun et al., 2019) draws 100 by popularity, where the popularity counts held-out events as well.
    """

    kind: Literal["popularity", "uniform"]
    count: int
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> "Candidates":
        """Those of a text such as `popularity:100`. Raises ConfigurationError for another form."""
        match = re.fullmatch(r"(popularity|uniform):([1-9][0-9]{0,5})", text) if isinstance(text, str) else None
        if match is None:
            raise ConfigurationError(
                f"candidates {told(text)} are of no known kind; write popularity:K or uniform:K, such as "
                f"popularity:100, with K negatives for each case"
            )
        return cls("popularity" if match[1] == "popularity" else "uniform", int(match[2]), seed_number(seed))

    @property
    def label(self) -> str:
        """What is written behind the name of a metric: `pop100`, `uniform100`."""
        return f"{'pop' if self.kind == 'popularity' else self.kind}{self.count}"

    def __str__(self) -> str:
        return f"{self.kind}:{self.count}, seed {self.seed}"

    def draw(self, cases: Cases, hide: str = "history") -> Tensor:
        """The negatives of every case, shape (C, K): never its target, and nothing of its history that is hidden.

        Raises ConfigurationError where a case has fewer than K such items.
        """
        draws = generator(self.seed, Purpose.CANDIDATES)
        weights_N = self._weights(cases.counts_N)
        blocks = torch.arange(len(cases)).split(max(1, _BLOCK_ELEMENTS // len(weights_N)))
        return torch.cat([self._block(cases, rows_R, weights_N, hide, draws) for rows_R in blocks])

    def _weights(self, counts_N: Tensor) -> Tensor:
        return counts_N if self.kind == "popularity" else torch.ones_like(counts_N)

    def _block(self, cases: Cases, rows_R: Tensor, weights_N: Tensor, hide: str, draws: torch.Generator) -> Tensor:
        is_out_RN = (weights_N == 0).repeat(len(rows_R), 1)
        is_out_RN[torch.arange(len(rows_R)), cases.targets_C[rows_R]] = True
        seen = hidden(hide, cases.histories.select(rows_R))
        if seen is not None:
            is_out_RN[seen.flatten()] = True
        self._check(cases, rows_R, is_out_RN)
        # Drawing with replacement and skipping repeats is drawing without replacement, at a fraction of the work that
        # a draw for each of the N items would be.
        sums_N = weights_N.cumsum(0)
        places_RM = torch.randint(int(sums_N[-1]), (len(rows_R), 4 * self.count), generator=draws)
        ids_RM = torch.searchsorted(sums_N, places_RM, right=True)
        is_out_RM = is_out_RN.gather(1, ids_RM) | _is_repeat(ids_RM)
        first_RK = is_out_RM.to(torch.int8).argsort(dim=1, stable=True)[:, : self.count]
        ids_RK = ids_RM.gather(1, first_RK)
        found_R = (~is_out_RM).sum(1)
        if bool((found_R < self.count).any()):
            short = (found_R < self.count).nonzero()[:, 0]
            ids_RK[short] = self._completed(ids_RK[short], found_R[short], is_out_RN[short], weights_N, draws)
        return ids_RK

    def _completed(
        self, ids_RK: Tensor, found_R: Tensor, is_out_RN: Tensor, weights_N: Tensor, draws: torch.Generator
    ) -> Tensor:
        """The rows whose first found_R ids are drawn, with the others drawn from what is left.

        Of waiting times with rates w the shortest belongs to item i with probability w_i / Σw, and so on without it.
        """
        is_found_RK = torch.arange(self.count) < found_R[:, None]
        rows, columns = is_found_RK.nonzero(as_tuple=True)
        is_out_RN = is_out_RN.index_put((rows, ids_RK[rows, columns]), torch.tensor(True))
        waits_RN = torch.empty(is_out_RN.shape, dtype=torch.float64).exponential_(generator=draws) / weights_N
        following_RK = waits_RN.masked_fill_(is_out_RN, torch.inf).topk(self.count, largest=False).indices
        completed_RK = torch.cat([ids_RK, following_RK], 1)
        order_RK = (
            (~torch.cat([is_found_RK, torch.ones_like(is_found_RK)], 1)).to(torch.int8).argsort(dim=1, stable=True)
        )
        return completed_RK.gather(1, order_RK[:, : self.count])

    def _check(self, cases: Cases, rows_R: Tensor, is_out_RN: Tensor) -> None:
        left_R = (~is_out_RN).sum(1)
        if bool((left_R < self.count).any()):
            row = int(left_R.argmin())
            seen = int(cases.histories.select(rows_R[row : row + 1]).lengths_U[0])
            raise ConfigurationError(
                f"candidates {self.kind}:{self.count} cannot be drawn: case {int(rows_R[row])}, with {seen:,} events, "
                f"leaves {int(left_R[row]):,} of {len(cases.counts_N):,} items; ask for fewer, or rank them all"
            )


def _is_repeat(ids_RM: Tensor) -> Tensor:
    """Where a row has drawn the same id before."""
    sorted_RM, order_RM = ids_RM.sort(dim=1, stable=True)
    is_repeat_RM = torch.zeros_like(ids_RM, dtype=torch.bool)
    return is_repeat_RM.scatter_(1, order_RM[:, 1:], sorted_RM[:, 1:] == sorted_RM[:, :-1])
