"""What counting adds to a model's scores, of each history: what followed its last items, and what was popular lately.

E entries, N items, T events of all histories, H training events.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.baselines.co_occurrence import CoOccurrenceScorer
from nextitem.model.baselines.sparse import Entries

_SECONDS_OF_A_DAY = 86_400.0


def followers(pairs: CoOccurrenceScorer, histories: Sequences, last: int, decay: float) -> Entries:
    """Σ decay^a · (how often the item followed the history's a-th item from its end) over a = 0 … last − 1.

    A decay of 0 is the last item alone. Items that followed none of them have no entry.
    """
    number, recent = len(pairs.popularity_N), histories.last(1 if decay == 0 else last)
    rows_T, items_T = recent.flatten()
    ends_U = recent.lengths_U.cumsum(0)
    ages_T = ends_U[rows_T] - 1 - torch.arange(len(rows_T))
    first_T = torch.searchsorted(pairs.keys_P, items_T * number)
    found_T = torch.searchsorted(pairs.keys_P, (items_T + 1) * number) - first_T
    asked_E = torch.repeat_interleave(torch.arange(len(rows_T)), found_T)
    places_E = torch.arange(len(asked_E)) + (first_T - found_T.cumsum(0) + found_T)[asked_E]
    items_E = pairs.keys_P[places_E] - items_T[asked_E] * number
    weighed_E = pairs.counts_P[places_E] * torch.tensor(decay, dtype=torch.float64).pow(ages_T[asked_E])
    return _added(rows_T[asked_E], items_E, weighed_E, number)


@dataclass(frozen=True)
class Timed:
    """The H training events in order of time: what was popular before any moment."""

    items_H: Tensor
    """int64."""
    times_H: Tensor
    """Unix seconds, float64, ascending."""
    number_of_items: int

    @classmethod
    def of(cls, train: Sequences) -> "Timed":
        """The events of `train` that may be targets. Raises DataError where nobody knows when they were."""
        times_H, (_, items_H) = train.times().double(), train.flatten()
        order_H = times_H.argsort(stable=True)
        is_target_H = (train.weights() > 0)[order_H]
        return cls(items_H[order_H][is_target_H], times_H[order_H][is_target_H], train.number_of_items)

    def before(self, histories: Sequences, days: float) -> Entries:
        """How often each item occurs in the `days` up to the newest event of each history, which is all that is known.

        A history that is newer than all of training is asked as of the newest training event, when the model was made.
        """
        ends_U = histories.last(1).times().double()
        if len(self.times_H):
            ends_U = ends_U.clamp(max=float(self.times_H[-1]))
        stops_U = torch.searchsorted(self.times_H, ends_U, right=True)
        starts_U = torch.searchsorted(self.times_H, ends_U - days * _SECONDS_OF_A_DAY, right=True)
        windows_W2, windows_U = torch.stack([starts_U, stops_U], 1).unique(dim=0, return_inverse=True)
        counted = [self.items_H[start:stop].unique(return_counts=True) for start, stop in windows_W2.tolist()]
        parts = [counted[window] for window in windows_U.tolist()]  # histories of one moment share one count
        rows_E = torch.repeat_interleave(
            torch.arange(len(parts)), torch.tensor([len(items) for items, _ in parts], dtype=torch.int64)
        )
        if not parts:
            return Entries(rows_E, rows_E, torch.zeros(0, dtype=torch.float64))
        return Entries(rows_E, torch.cat([items for items, _ in parts]), torch.cat([n for _, n in parts]).double())


def _added(rows_E: Tensor, items_E: Tensor, values_E: Tensor, number_of_items: int) -> Entries:
    """The entries with those of one row and item added up, in order of both."""
    keys, places_E = torch.unique(rows_E * number_of_items + items_E, return_inverse=True)
    sums = torch.zeros(len(keys), dtype=torch.float64).index_add_(0, places_E, values_E)
    return Entries(keys // number_of_items, keys % number_of_items, sums)
