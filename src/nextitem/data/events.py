"""Events as flat columns: which item, and when, where that is known. E events, N items."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nextitem.data.dislikes import Dislikes
from nextitem.errors import ArtefactError, DataError

_AT_ONCE = 1 << 20  # places of a mapped log that are read before they are released


@dataclass(frozen=True)
class Events:
    """E events side by side, one history after another, oldest first within each; in memory, or mapped from files.

    Columns are read through `items_at` and its like, which keep a mapped log out of the memory.
    """

    items: Tensor
    """(E,) int64 or int32: indices 0…N−1."""
    number_of_items: int
    times: Tensor | None = None
    """(E,) unix seconds, as exact as they were read: int64 where all are whole, else float64; None: not known."""
    release: Callable[[], object] | None = None
    """Called after each reading of mapped columns; otherwise all that was read would stay in memory."""
    folder: str = ""
    """Where mapped columns lie, for whoever is told that they are damaged."""
    weights: Tensor | None = None
    """(E,) float32: what each event weighs as a target, 0 where it is in histories and never one; None: all weigh 1."""
    kinds: Mapping[str, float | str] = field(default_factory=dict)
    """What the kinds of events meant that these came of; empty where there were no kinds."""
    dislikes: Dislikes | None = None
    """What users said no to, beside these events; None: nothing."""

    def __len__(self) -> int:
        return len(self.items)

    @property
    def is_mapped(self) -> bool:
        """Whether the columns lie in files, so that a reading of all of them takes a disk's time."""
        return self.release is not None

    def items_at(self, places: Tensor) -> Tensor:
        """The items at `places` (any shape), int64. Raises ArtefactError where a mapped file holds what is no item."""
        return self._read(self.items, places, torch.int64)

    def times_at(self, places: Tensor) -> Tensor:
        """The unix seconds at `places` (any shape), int64 or float64. Raises DataError where times are not known."""
        if self.times is None:
            raise DataError("the log has no times; give events with a column of times, or do without what reads them")
        return self._read(self.times, places, self.times.dtype)

    def weights_at(self, places: Tensor) -> Tensor:
        """The weights of the events at `places` (any shape) as targets, float32; 0 of what is never one."""
        if self.weights is None:
            return torch.ones(places.shape, device=places.device)
        return self._read(self.weights, places, torch.float32)

    def _read(self, column: Tensor, places: Tensor, kind: torch.dtype) -> Tensor:
        if self.release is None:
            return column[places].to(kind)
        found = torch.empty(places.shape, dtype=kind, device=places.device)
        for wanted, part in zip(places.flatten().split(_AT_ONCE), found.view(-1).split(_AT_ONCE), strict=True):
            part.copy_(column[wanted])
            self.release()
            if column is self.items:
                self._check(part)
        return found

    def _check(self, items: Tensor) -> None:
        """Raises ArtefactError for what is no item: a mapped file may be too large to be compared at the start."""
        if len(items) and not 0 <= int(items.min()) <= int(items.max()) < self.number_of_items:
            worst = int(items.max()) if int(items.min()) >= 0 else int(items.min())
            raise ArtefactError(
                f"{self.folder}: the events have item {worst:,} of {self.number_of_items:,}: event_items.npy "
                f"was altered; restore it or prepare the log anew"
            )

    def without_times(self) -> "Events":
        """The same events for whoever does not ask when."""
        return self if self.times is None else replace(self, times=None)

    def to(self, device: torch.device | str) -> "Events":
        """The same columns on another device."""
        times, weights = (None if column is None else column.to(device) for column in (self.times, self.weights))
        dislikes = None if self.dislikes is None else self.dislikes.to(device)
        return replace(self, items=self.items.to(device), times=times, weights=weights, dislikes=dislikes)
