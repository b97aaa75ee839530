"""Ragged histories: views into one flat tensor of item indices. U users, L length."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    """U ragged views into `items`: view u is items[starts_U[u]:stops_U[u]], the history of user users_U[u].

    Histories, training windows and seen items are all of this type; cutting one never copies an event.
    """

    items: Tensor  # (events,) int64, indices 0…N−1, oldest first within a view
    starts_U: Tensor
    stops_U: Tensor
    users_U: Tensor
    number_of_items: int

    @classmethod
    def of(cls, histories: list[list[int]], number_of_items: int) -> "Sequences":
        """Views over the given lists.

        >>> Sequences.of([[3, 1], [2]], number_of_items=4).lengths_U
        tensor([2, 1])
        """
        lengths_U = torch.tensor([len(history) for history in histories], dtype=torch.int64)
        stops_U = lengths_U.cumsum(0)
        flat = torch.tensor([item for history in histories for item in history], dtype=torch.int64)
        return cls(flat, stops_U - lengths_U, stops_U, torch.arange(len(histories)), number_of_items)

    def __len__(self) -> int:
        return len(self.starts_U)

    @property
    def lengths_U(self) -> Tensor:
        return self.stops_U - self.starts_U

    def select(self, rows: Tensor) -> "Sequences":
        """The views `rows` (indices or a mask), in that order."""
        return replace(self, starts_U=self.starts_U[rows], stops_U=self.stops_U[rows], users_U=self.users_U[rows])

    def to(self, device: torch.device | str) -> "Sequences":
        """The same views on another device."""
        return replace(
            self,
            items=self.items.to(device),
            starts_U=self.starts_U.to(device),
            stops_U=self.stops_U.to(device),
            users_U=self.users_U.to(device),
        )

    def last(self, length: int) -> "Sequences":
        """The latest `length` events of each view."""
        return replace(self, starts_U=torch.maximum(self.starts_U, self.stops_U - length))

    def without_last(self, events: int) -> "Sequences":
        """Each view without its latest `events` events; a shorter one becomes empty."""
        return replace(self, stops_U=torch.maximum(self.starts_U, self.stops_U - events))

    def flatten(self) -> tuple[Tensor, Tensor]:
        """(rows, items) of all events of all views, shape (events,) each; rows ascend."""
        lengths_U = self.lengths_U
        rows = torch.repeat_interleave(torch.arange(len(self), device=lengths_U.device), lengths_U)
        offsets = torch.arange(len(rows), device=rows.device) - (lengths_U.cumsum(0) - lengths_U)[rows]
        return rows, self.items[self.starts_U[rows] + offsets]

    def counts(self) -> Tensor:
        """How often each item occurs in the views, shape (N,) int64."""
        return torch.bincount(self.flatten()[1], minlength=self.number_of_items)

    def tolist(self) -> list[list[int]]:
        """The views as lists, for small examples and output."""
        pairs = zip(self.starts_U.tolist(), self.stops_U.tolist(), strict=True)
        return [self.items[start:stop].tolist() for start, stop in pairs]
