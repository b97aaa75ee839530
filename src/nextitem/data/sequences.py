"""Ragged histories: views into the flat columns of a log. U users, L length."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.events import Events
from nextitem.errors import DataError
from nextitem.settings.given import listed, of_kind, real_number, whole_number

T = TypeVar("T")
_NEAR = 16  # events at the end of a history among which its last targets are looked for first
NOBODY = -1  # among users: of no user of the log


@dataclass(frozen=True)
class Sequences:
    """U ragged views into `events`: view u is events starts_U[u] to before stops_U[u], the history of user users_U[u].

    Histories, training windows and seen items are all of this type; cutting one never copies an event.
    """

    events: Events
    starts_U: Tensor
    stops_U: Tensor
    users_U: Tensor
    known_counts_N: Tensor | None = None
    """What `counts` returns, where that is known without reading all events."""
    host_lengths_U: Tensor | None = None
    """`lengths_U` on the CPU, where the views are on a GPU: to ask that for a shape is to wait for it."""
    host_marks_U: Tensor | None = None
    """Something about each view that whoever cut them wants to find again, on the CPU."""
    asked_U: Tensor | None = None
    """Where in `events` that is which each view is asked for, for whoever may know when it happened; None: nobody."""

    @classmethod
    def of(
        cls, histories: list[list[int]], number_of_items: int, times: list[list[float]] | None = None
    ) -> "Sequences":
        """Views over the given lists of items and, in lists of the same lengths, unix seconds.

        Raises ConfigurationError for what are no lists of numbers, and DataError for an item beyond the catalogue.

        >>> Sequences.of([[3, 1], [2]], number_of_items=4).lengths_U
        tensor([2, 1])
        """
        histories = _checked(histories, "histories", partial(whole_number, meaning="the index of an item"), {int})
        number_of_items = whole_number(number_of_items, "number_of_items", "the size of a catalogue")
        lengths_U = torch.tensor([len(history) for history in histories], dtype=torch.int64)
        stops_U = lengths_U.cumsum(0)
        flat = torch.tensor([item for history in histories for item in history], dtype=torch.int64)
        if len(flat) and not 0 <= int(flat.min()) <= int(flat.max()) < number_of_items:
            worst = int(flat.max()) if int(flat.min()) >= 0 else int(flat.min())
            raise DataError(f"item {worst} is none of the {number_of_items:,} items, which are counted from 0")
        events = Events(flat, number_of_items, None if times is None else _flat_times(times))
        return cls(events, stops_U - lengths_U, stops_U, torch.arange(len(histories)))

    @classmethod
    def required(cls, sequences: object) -> "Sequences":
        """The sequences, where they are. Raises ConfigurationError."""
        return of_kind(sequences, cls, "sequences", "index(interactions).sequences are the histories of a log")

    def __len__(self) -> int:
        return len(self.starts_U)

    @property
    def number_of_items(self) -> int:
        """N, of the catalogue: also items that occur in no view."""
        return self.events.number_of_items

    @property
    def has_times(self) -> bool:
        """Whether it is known when the events happened."""
        return self.events.times is not None

    @property
    def has_weights(self) -> bool:
        """Whether events differ in what they weigh as targets, or some are never one."""
        return self.events.weights is not None

    @property
    def lengths_U(self) -> Tensor:
        return self.stops_U - self.starts_U

    @property
    def sizes_U(self) -> Tensor:
        """`lengths_U` on the CPU."""
        return transfer.fetch(self.lengths_U) if self.host_lengths_U is None else self.host_lengths_U

    def select(self, rows: Tensor | slice) -> "Sequences":
        """The views `rows` (indices, a mask or a slice), in that order; indices may stay on the CPU."""
        sizes_U, marks_U = self.host_lengths_U, self.host_marks_U
        if sizes_U is not None or marks_U is not None:
            host_rows = transfer.fetch(rows) if isinstance(rows, Tensor) else rows
            sizes_U = None if sizes_U is None else sizes_U[host_rows]
            marks_U = None if marks_U is None else marks_U[host_rows]
        rows = transfer.send(rows, self.starts_U.device) if isinstance(rows, Tensor) else rows
        return replace(
            self,
            starts_U=self.starts_U[rows],
            stops_U=self.stops_U[rows],
            users_U=self.users_U[rows],
            known_counts_N=None,
            host_lengths_U=sizes_U,
            host_marks_U=marks_U,
            asked_U=None if self.asked_U is None else self.asked_U[rows],
        )

    def parts(self, events: int = 1 << 20) -> Iterator["Sequences"]:
        """The views in order, some at a time: together at most `events` events, or one view that is longer."""
        stops_U = self.lengths_U.cumsum(0)
        start = 0
        while start < len(self):
            before = int(stops_U[start - 1]) if start else 0
            stop = max(start + 1, int(torch.searchsorted(stops_U, before + events, right=True)))
            yield self.select(slice(start, stop))
            start = stop

    def to(self, device: torch.device | str) -> "Sequences":
        """The same views on another device."""
        return replace(
            self,
            events=self.events.to(device),
            starts_U=self.starts_U.to(device),
            stops_U=self.stops_U.to(device),
            users_U=self.users_U.to(device),
            known_counts_N=None if self.known_counts_N is None else self.known_counts_N.to(device),
            host_lengths_U=None if torch.device(device).type == "cpu" else self.sizes_U,
            asked_U=None if self.asked_U is None else self.asked_U.to(device),
        )

    def last(self, length: int) -> "Sequences":
        """The latest `length` events of each view."""
        starts_U = torch.maximum(self.starts_U, self.stops_U - length)
        sizes_U = None if self.host_lengths_U is None else self.host_lengths_U.clamp(max=length)
        return replace(self, starts_U=starts_U, known_counts_N=None, host_lengths_U=sizes_U)

    def sliding(self, length: int, stride: int) -> "Sequences":
        """Stretches of `length` events, each `stride` events before the next one; a shorter view stays whole.

        The latest stretch of a view ends at its newest event. The earliest begins at its oldest one, whatever is left.

        >>> Sequences.of([[0, 1, 2, 3, 4, 5], [6]], number_of_items=7).sliding(3, stride=2).tolist()
        [[0, 1, 2], [1, 2, 3], [3, 4, 5], [6]]
        """
        counts_U = 1 - (length - self.sizes_U).clamp(max=0) // stride
        numbers_U = transfer.send(counts_U, self.starts_U.device)
        rows, places = transfer.places(numbers_U, int(counts_U.sum()))
        views = self.select(transfer.fetch(rows))
        later = numbers_U[rows] - 1 - places
        starts = torch.maximum(views.starts_U, views.stops_U - length - later * stride)
        stops = torch.minimum(views.stops_U, starts + length)
        sizes = None if views.host_lengths_U is None else views.host_lengths_U.clamp(max=length)
        return replace(views, starts_U=starts, stops_U=stops, host_lengths_U=sizes)

    def prefixes(self, length: int) -> "Sequences":
        """What ends at each event of each view but its first: the latest `length` events up to there, oldest first.

        >>> Sequences.of([[0, 1, 2, 3], [6]], number_of_items=7).prefixes(3).tolist()
        [[0, 1], [0, 1, 2], [1, 2, 3]]
        """
        counts_U = (self.sizes_U - 1).clamp(min=0)
        rows, places = transfer.places(transfer.send(counts_U, self.starts_U.device), int(counts_U.sum()))
        views = self.select(transfer.fetch(rows))
        stops = views.starts_U + places + 2
        starts = torch.maximum(views.starts_U, stops - length)
        sizes = None if views.host_lengths_U is None else transfer.fetch(stops - starts)
        return replace(views, starts_U=starts, stops_U=stops, host_lengths_U=sizes)

    def without_last(self, events: int) -> "Sequences":
        """Each view without its latest `events` events; a shorter one becomes empty."""
        stops_U = torch.maximum(self.starts_U, self.stops_U - events)
        sizes_U = None if self.host_lengths_U is None else (self.host_lengths_U - events).clamp(min=0)
        return replace(self, stops_U=stops_U, known_counts_N=None, host_lengths_U=sizes_U)

    def without_times(self) -> "Sequences":
        """The same views for whoever does not ask when."""
        return replace(self, events=self.events.without_times())

    def at(self, places: Tensor) -> Tensor:
        """The items at `places` (any shape) of the flat columns, int64."""
        return self.events.items_at(places)

    def flatten(self) -> tuple[Tensor, Tensor]:
        """(rows, items) of all events of all views, shape (events,) each; rows ascend."""
        rows, offsets = transfer.places(self.lengths_U, int(self.sizes_U.sum()))
        return rows, self.at(self.starts_U[rows] + offsets)

    def times(self) -> Tensor:
        """When all events of all views were, in unix seconds, shape (events,). Raises DataError where nobody knows."""
        rows, offsets = transfer.places(self.lengths_U, int(self.sizes_U.sum()))
        return self.events.times_at(self.starts_U[rows] + offsets)

    def weights(self) -> Tensor:
        """What all events of all views weigh as targets, shape (events,) float32; 0 of what is never one."""
        rows, offsets = transfer.places(self.lengths_U, int(self.sizes_U.sum()))
        return self.events.weights_at(self.starts_U[rows] + offsets)

    def disliked(self) -> "Sequences | None":
        """Per view the items that its user had said no to by its end; None where nobody ever did."""
        dislikes = self.events.dislikes
        if dislikes is None:
            return None
        starts_U, stops_U = dislikes.known(self.users_U, self.stops_U)
        return Sequences(Events(dislikes.items_D, self.number_of_items), starts_U, stops_U, self.users_U)

    def last_targets(self, count: int) -> Tensor:
        """Where in the flat columns the latest `count` targets of each view are, the newest last; shape (U, count).

        −1 stands in place of those that a view has not. An event that is never a target is passed over.

        >>> Sequences.of([[3, 1, 2], [0]], number_of_items=4).last_targets(2)
        tensor([[ 1,  2],
                [-1,  3]])
        """
        back_k = torch.arange(count, 0, -1, device=self.stops_U.device)
        if not self.has_weights:
            places_Uk = self.stops_U[:, None] - back_k
            return places_Uk.where(places_Uk >= self.starts_U[:, None], -1)
        none = torch.full((0, count), -1, device=self.stops_U.device)
        # Nearly all are found near the end, and of a mapped log nothing else has to be read.
        ends = self.last(_NEAR)
        found_Uk = torch.cat([none, *(_latest(part, count) for part in ends.parts())])
        open_U = ((found_Uk[:, 0] < 0) & (ends.starts_U > self.starts_U)).nonzero()[:, 0]
        if len(open_U):
            whole = self.select(open_U)
            found_Uk[open_U] = torch.cat([none, *(_latest(part, count) for part in whole.parts())])
        return found_Uk

    def counts(self) -> Tensor:
        """How often each item occurs in the views, shape (N,) int64."""
        if self.known_counts_N is not None:
            return self.known_counts_N
        counts_N = torch.zeros(self.number_of_items, dtype=torch.int64, device=self.users_U.device)
        for part in self.parts():
            counts_N += torch.bincount(part.flatten()[1], minlength=self.number_of_items)
        return counts_N

    def target_counts(self) -> Tensor:
        """How often each item is a target in the views, shape (N,) int64."""
        if not self.has_weights:
            return self.counts()
        counts_N = torch.zeros(self.number_of_items, dtype=torch.int64, device=self.users_U.device)
        for part in self.parts():
            counts_N += torch.bincount(part.flatten()[1][part.weights() > 0], minlength=self.number_of_items)
        return counts_N

    def weighted_counts(self) -> Tensor:
        """What the targets of each item in the views weigh together, shape (N,) float64."""
        if not self.has_weights:
            return self.counts().double()
        sums_N = torch.zeros(self.number_of_items, dtype=torch.float64, device=self.users_U.device)
        for part in self.parts():
            sums_N.index_add_(0, part.flatten()[1], part.weights().double())
        return sums_N

    def tolist(self) -> list[list[int]]:
        """The views as lists, for small examples and output."""
        return [part.tolist() for part in self.flatten()[1].split(self.lengths_U.tolist())] if len(self) else []


def _latest(part: Sequences, count: int) -> Tensor:
    """Where the latest `count` targets of each view are, shape (U, count); −1 for those that it has not."""
    rows, offsets = transfer.places(part.lengths_U, int(part.sizes_U.sum()))
    places = part.starts_U[rows] + offsets
    is_target = part.events.weights_at(places) > 0
    rows, places = rows[is_target], places[is_target]
    edges_U = torch.searchsorted(rows, torch.arange(len(part) + 1, device=rows.device))
    at_Uk = edges_U[1:, None] - torch.arange(count, 0, -1, device=rows.device)
    found_Uk = places[at_Uk.clamp(min=0)] if len(places) else torch.full_like(at_Uk, -1)
    return found_Uk.where(at_Uk >= edges_U[:-1, None], -1)


def _checked(rows: object, name: str, number: Callable[[object, str], T], plain: set[type]) -> list[list[T]]:
    """Lists of numbers, as Python's own; those that all are of `plain` types need no look at each."""
    lists = [listed(row, f"{name}[{place}]") for place, row in enumerate(listed(rows, name))]
    if {type(one) for row in lists for one in row} <= plain:
        return lists
    return [[number(one, f"{name}[{at}][{n}]") for n, one in enumerate(row)] for at, row in enumerate(lists)]


def _flat_times(times: object) -> Tensor:
    moments = _checked(times, "times", partial(real_number, meaning="a time, in unix seconds,"), {int, float})
    seconds = [second for history in moments for second in history]
    return torch.tensor(seconds, dtype=torch.int64 if all(isinstance(one, int) for one in seconds) else torch.float64)
