"""What a row must not be compared with, left out of the draw exactly. B rows, T positions, M trained items.

Items that occur in training are numbered 0…M−1, and each occupies as many places of a line as it has mass: one place
each where all are equally likely. A draw is a place on what is left of the line when a row's forbidden items are cut
out of it; how much was cut out below tells where it lies on the whole line, and so which item it means. Nothing is
rejected.
"""

from copy import copy
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Sharing

Exclude = Literal["target", "window", "history"]

_PLACES = 1 << 44  # of the whole line, where masses differ: a key, row · (places + 1) + place, fits 63 bits
_KEPT_EVENTS, _KEPT_BYTES = 1 << 22, 24  # the largest log whose histories are kept in order, and of an event


def kept_bytes(train: Sequences, exclude: Exclude, sharing: Sharing) -> int:
    """What is held of all histories in order, so that no step has to sort those of its rows; 0 where nothing is.

    Nothing is held of a log that is mapped into memory, or large, nor where the whole batch shares a set.
    """
    events, by_row = int(train.sizes_U.sum()), exclude == "history" and sharing != "batch"
    return events * _KEPT_BYTES if by_row and not train.events.is_mapped and events <= _KEPT_EVENTS else 0


class TrainedItems:
    """The items that may be drawn, with the mass of each, and what the rows of a batch exclude of them.

    Masses are the training counts (what targets weigh together or, of the targets `of_step`, how often each item is
    one) to the power `exponent`, as whole numbers of 2⁻⁴⁴ of their sum, and at least one:
    probabilities are exactly those of `masses_M`, which differ from the power by less than that.
    """

    def __init__(
        self,
        train: Sequences,
        exclude: Exclude,
        exponent: float = 0.0,
        sharing: Sharing = "batch",
        *,
        of_step: bool = False,
    ) -> None:
        counts_N = train.counts()
        self.exclude, self.train = exclude, train
        self.trained_ids = counts_N.nonzero()[:, 0]
        # Number of each item among the trained ones; that of an item that is not trained stands for nothing.
        self.number_N = ((counts_N > 0).cumsum(0) - 1).masked_fill(counts_N == 0, len(self.trained_ids))
        self.is_even = exponent == 0.0
        counts_M = counts_N[self.trained_ids].double()
        if train.has_weights and not self.is_even:
            counts_M = (train.target_counts() if of_step else train.weighted_counts())[self.trained_ids].double()
        # Of the largest count, not of 1: a power of counts leaves the range of numbers, one of shares does not.
        powers_M = (counts_M / counts_M.amax()) ** exponent if len(counts_M) else counts_M
        shares_M = powers_M if self.is_even else (powers_M / powers_M.sum() * _PLACES).round().clamp_(min=1)
        self.masses_M = shares_M.long()
        self.ends_M = self.masses_M.cumsum(0)
        self.places = int(self.ends_M[-1]) if len(self.ends_M) else 0
        """Length of the whole line."""
        self._longest = int(train.sizes_U.max())
        device = train.users_U.device
        self._row_of_user = torch.full((int(train.users_U.max()) + 1,), -1, device=device).scatter_(
            0, train.users_U, torch.arange(len(train), device=device)
        )
        self._by_user = self._histories() if kept_bytes(train, exclude, sharing) else None

    def __len__(self) -> int:
        return len(self.trained_ids)

    def at(self, places: Tensor) -> Tensor:
        """The number of the item at each place of the whole line."""
        numbers = places if self.is_even else torch.searchsorted(self.ends_M, places, right=True)
        # Where a row forbids everything any number will do: such a set is excluded as a whole.
        return numbers.clamp(max=len(self) - 1)

    def mass(self, numbers: Tensor) -> Tensor:
        """How many places each item has: none where a number stands for nothing."""
        return pad(self.masses_M, (0, 1))[numbers]

    def log_q(self, numbers: Tensor, places: Tensor | int) -> Tensor:
        """Logarithm of the probability that a draw from so many places gives the item; −inf for nothing."""
        return (self.mass(numbers) / places).log()

    def forbidden_pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(row, number of the item) of everything that no set of the row may contain; repeats allowed.

        The number M stands for nothing.
        """
        if self.exclude == "target":
            nothing = batch.rows_T[:0]
            return nothing, nothing
        if self.exclude == "history":
            rows, items = self.train.select(self._row_of_user[batch.users_B]).flatten()
            return rows, self.number_N[items]
        rows, columns = transfer.places(batch.lengths_B, int(batch.sizes_B.sum()))
        inputs, rows = batch.inputs_BL[rows, columns], torch.cat([rows, batch.rows_T])
        # A hidden place holds no item; the one it hides is a target.
        numbers = self.number_N[inputs.clamp_min(0)].masked_fill(inputs < 0, len(self))
        return rows, torch.cat([numbers, self.number_N[batch.targets_T]])

    def most_forbidden(self, batch: Batch) -> int:
        """At least as many items as any row of the batch excludes, without asking the device."""
        if self.exclude == "target":
            return 0
        return self._longest if self.exclude == "history" else int((batch.sizes_B + batch.counts_B).max())

    def forbidden(self, batch: Batch) -> "Forbidden":
        """What the rows of a batch leave of the line."""
        if self._by_user is not None:
            return self._by_user.select(self._row_of_user[batch.users_B])
        return Forbidden(self, *self.forbidden_pairs(batch), len(batch.lengths_B))

    def _histories(self) -> "Forbidden | None":
        """What each user's history leaves of the line; None where there are too many users for its keys."""
        if len(self.train) * (self.places + 1) >= 1 << 63:
            return None
        rows, ids = self.train.flatten()
        return Forbidden(self, rows, self.number_N[ids], len(self.train))

    def nothing_forbidden(self) -> "Forbidden":
        """The whole line, as what one row leaves of it."""
        nothing = self.trained_ids[:0]
        return Forbidden(self, nothing, nothing, 1)

    def excluded(self, batch: Batch, numbers_K: Tensor) -> Tensor | None:
        """Where a set that the whole batch shares holds what a row excludes, shape (B, K); None: nowhere."""
        if self.exclude == "target":
            return None
        rows, numbers = self.forbidden_pairs(batch)
        return _contains(rows, numbers, numbers_K, len(batch.lengths_B))


class Forbidden:
    """Forbidden numbers per row, sorted, as one flat list of keys row · (M + 1) + number; repeats count once.

    No shape depends on how many repeats there are: a GPU would have to be waited for.
    """

    def __init__(self, items: TrainedItems, rows: Tensor, numbers: Tensor, number_of_rows: int) -> None:
        self.items, self._stride = items, len(items) + 1
        self._lines_B = torch.arange(number_of_rows, device=rows.device)
        self._keys, order = (rows * self._stride + numbers).sort()
        rows, numbers = rows[order], numbers[order]
        is_first = torch.ones_like(self._keys, dtype=torch.bool)
        is_first[1:] = self._keys[1:] != self._keys[:-1]
        masses = items.mass(numbers)
        cut = pad((masses * is_first).cumsum(0), (1, 0))  # places cut out by the keys before
        edges = torch.searchsorted(self._keys, pad(self._lines_B, (0, 1), value=number_of_rows) * self._stride)
        self._cut, self._starts_B = cut, cut[edges[:-1]]
        self.left_B = items.places - cut[edges].diff()
        """How many places each row leaves."""
        self.left_items_B = len(items) - pad((is_first & (masses > 0)).cumsum(0), (1, 0))[edges].diff()
        """How many items each row leaves."""
        # Places left below a forbidden item: those of the whole line, less what is cut out of them.
        below = pad(items.ends_M - items.masses_M, (0, 1), value=items.places)[numbers]
        self._below = rows * (items.places + 1) + below - (cut[1:] - masses - self._starts_B[rows])

    def select(self, rows_B: Tensor) -> "Forbidden":
        """These rows, in that order; what is known of the others is shared with this object."""
        chosen = copy(self)
        chosen._lines_B = self._lines_B[rows_B]
        chosen._starts_B, chosen.left_B, chosen.left_items_B = (
            values[rows_B] for values in (self._starts_B, self.left_B, self.left_items_B)
        )
        return chosen

    def numbers_at(self, left_RK: Tensor, rows_R: Tensor) -> Tensor:
        """The number of the item at each of the places that its row leaves, shape (R, K)."""
        wanted_RK = left_RK + (self._lines_B[rows_R] * (self.items.places + 1))[:, None]
        found_RK: Tensor = self._cut[torch.searchsorted(self._below, wanted_RK, right=True)]
        return self.items.at(left_RK + found_RK - self._starts_B[rows_R][:, None])

    def contains(self, rows: Tensor, numbers: Tensor) -> Tensor:
        """Whether each number is forbidden in its row; both of any shape, and alike."""
        keys = self._lines_B[rows] * self._stride + numbers
        return pad(self._keys, (0, 1), value=-1)[torch.searchsorted(self._keys, keys)] == keys

    def mask(self, rows_R: Tensor) -> Tensor:
        """Where an item is forbidden, shape (R, M)."""
        numbers_M = torch.arange(len(self.items), device=rows_R.device)
        return self.contains(rows_R[:, None].expand(-1, len(numbers_M)), numbers_M)

    def log_q(self, rows_T: Tensor, numbers_T: Tensor) -> Tensor:
        """Logarithm of the probability that a draw of the row gives the item, shape (T,); −inf where it cannot."""
        log_q_T = self.items.log_q(numbers_T, self.left_B[rows_T])
        return log_q_T.masked_fill(self.contains(rows_T, numbers_T), -torch.inf)


def _contains(rows: Tensor, numbers: Tensor, drawn_K: Tensor, number_of_rows: int) -> Tensor:
    """Whether each of the drawn numbers is among the forbidden pairs (row, number) of each row, shape (B, K)."""
    sorted_K = drawn_K.sort().values
    # There are far fewer forbidden pairs than rows times drawn numbers, so each of the pairs is looked for. A number
    # that was drawn twice is found at its first place; the column after the last takes what is not found at all.
    first = torch.searchsorted(sorted_K, numbers)
    is_found = sorted_K[first.clamp(max=len(drawn_K) - 1)] == numbers
    is_in_BK = torch.zeros(number_of_rows, len(drawn_K) + 1, dtype=torch.bool, device=drawn_K.device)
    is_in_BK[rows, first.where(is_found, len(drawn_K))] = True
    return is_in_BK.index_select(1, torch.searchsorted(sorted_K, drawn_K))
