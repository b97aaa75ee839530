"""Scores of a block of positions against all items, a tile at a time: their exponentials, and what these add up to.

R positions of a block, I items of a tile, e width. A tile of exponentials is laid out (I, R), items first: then all
three matrix products read and write memory in the order it lies. Exponentials are powers of two, which are three times
as fast on the CPU: the states carry the factor log₂ e.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from nextitem.compute import transfer
from nextitem.compute.processes import Processes

Precision = Literal["float32", "bfloat16"]

TILE_ITEMS = 2048
ALIGNED = 16  # rows of a tile that begin at odd places of memory cost the products a fifth


class Block:
    """What a block of positions learns in the first sweep: Σ exp(score) and Σ exp(score) · vector.

    Both are kept relative to a running maximum per position, so that nothing overflows; it stays 0 where the scores
    are known to be small. R counts the block's positions and some of weight 0 that make the rows of a tile aligned.
    """

    def __init__(self, states_Be: Tensor, weights_B: Tensor, is_bounded: bool) -> None:
        self.positions, self.is_bounded = len(states_Be), is_bounded
        self.padded_rows = aligned(self.positions)
        self.states_Re = pad(states_Be, (0, 0, 0, self.padded_rows - self.positions))
        self.weights_R = pad(weights_B, (0, self.padded_rows - self.positions))
        self.binary_eR = self.states_Re.T * math.log2(math.e)
        self.sums_R = torch.zeros_like(self.weights_R)
        self.pull_eR = torch.zeros_like(self.binary_eR)
        self.highest_R = torch.full_like(self.sums_R, 0.0 if is_bounded else -torch.inf)
        self._shifts: list[Tensor] = []
        self._joined_R: Tensor | None = None  # log₂ Σ exp(score) over the items of several processes

    def fill(self, tile: Tensor, vectors_Ie: Tensor, *, wants_pull: bool) -> None:
        """Fill `tile` with 2^(score · log₂ e − running maximum) and add it to the sums."""
        torch.mm(vectors_Ie, self.binary_eR.to(tile.dtype), out=tile)
        if not self.is_bounded:
            higher_R = torch.maximum(self.highest_R, tile.amax(0))
            fade_R = torch.exp2(self.highest_R - higher_R)
            self.sums_R *= fade_R
            self.pull_eR *= fade_R
            self.highest_R = higher_R
            tile.sub_(higher_R)
        tile.exp2_()
        self.sums_R += tile.sum(0, dtype=self.sums_R.dtype)
        if wants_pull:
            _add_product(self.pull_eR, vectors_Ie.T, tile)
            self._shifts.append(self.highest_R)

    def join(self, processes: Processes) -> None:
        """Take in the sums of all processes, each of which has filled tiles of items of its own."""
        logs_PR = self.sums_R.new_zeros(processes.size, self.padded_rows)
        logs_PR[processes.rank] = self.sums_R.log2() + self.highest_R
        logs_PR = processes.sum(logs_PR)
        most_R = logs_PR.amax(0)
        log_R = torch.exp2(logs_PR - most_R).sum(0).log2() + most_R
        # Infinite where all that was filled here is nothing beside the others' items: it then has a share of 0.
        self.sums_R = torch.exp2(log_R - self.highest_R)
        self._joined_R = log_R

    def log_sums(self) -> Tensor:
        """Log Σ exp(score) of each position."""
        log_R = self.sums_R.log2() + self.highest_R if self._joined_R is None else self._joined_R
        return (log_R * math.log(2))[: self.positions]

    def states_gradient(self) -> Tensor:
        """Weighted probabilities · table, a row for each position."""
        return (self.pull_eR * (self.weights_R / self.sums_R)).T[: self.positions]

    def add_table_gradient(self, gradient_Ie: Tensor, tile: Tensor, number: int) -> None:
        """Add weighted probabilitiesᵀ · states; one factor per position makes them of the tile's exponentials."""
        factors_R = torch.exp2(self._shifts[number] - self.highest_R) * (self.weights_R / self.sums_R)
        _add_product(gradient_Ie, tile, (self.states_Re * factors_R[:, None]).to(tile.dtype))


def aligned(rows: int) -> int:
    """So many rows, and those that make them aligned."""
    return -(-rows // ALIGNED) * ALIGNED


def is_bounded(states_Te: Tensor, table_Ne: Tensor) -> bool:
    """Whether no score can leave ±50 (Cauchy-Schwarz): e⁵⁰ times any catalogue is far from the end of the exponents."""
    if transfer.is_asynchronous(states_Te.device) or not len(states_Te):
        return False  # elsewhere the answer would have to be waited for, which costs more than the maxima
    return bool(states_Te.norm(dim=1).amax() * table_Ne.norm(dim=1).amax() < 50.0)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left · right; a product in bfloat16 is added in the precision of `total`."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
