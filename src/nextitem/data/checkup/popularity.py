"""How much of a log the most popular items make up. N items."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.words import counted, percent

_POINTS = 50


@dataclass(frozen=True)
class Popularity:
    """Shares of all events, but where items are counted."""

    items: int
    gini: float
    """Gini's coefficient of the events of each item: 0 where all have equally many, near 1 where few have all."""
    top_1_percent: float
    """Of the most popular hundredth of the items, at least one."""
    top_10_percent: float
    half: int
    """The fewest items that make up half of the events."""
    once: int
    """Items with one event."""
    under_5: int
    """Items with fewer than five events."""
    share_under_5: float
    curve: tuple[tuple[float, float], ...]
    """(share of the items, most popular first; share of the events that these have)."""

    @classmethod
    def of(cls, counts_N: Tensor) -> "Popularity":
        """That of the events of each item, all at least one."""
        ordered_N = counts_N.sort(descending=True).values.double()
        shares_N = ordered_N.cumsum(0) / ordered_N.sum()
        items, is_rare_N = len(counts_N), counts_N < 5
        places = [round(step * items / _POINTS) for step in range(1, _POINTS + 1)]
        points = {0: 0.0} | {place: float(shares_N[place - 1]) for place in places if place}
        return cls(
            items=items,
            gini=gini(counts_N),
            top_1_percent=float(shares_N[max(1, round(0.01 * items)) - 1]),
            top_10_percent=float(shares_N[max(1, round(0.1 * items)) - 1]),
            half=int(torch.searchsorted(shares_N, 0.5)) + 1,
            once=int((counts_N == 1).sum()),
            under_5=int(is_rare_N.sum()),
            share_under_5=int(counts_N[is_rare_N].sum()) / int(counts_N.sum()),
            curve=tuple((place / items, share) for place, share in points.items()),
        )

    @property
    def finding(self) -> Finding:
        """How concentrated events are, and how many items are too rare to be learnt."""
        sentence = (
            f"the first 1 % of the items have {percent(self.top_1_percent)} of the events, the first 10 % "
            f"{percent(self.top_10_percent)} (Gini {self.gini:.2f}); "
            f"{counted(self.half, 'item has', 'items have')} half"
        )
        if not self.under_5:
            return Finding(sentence)
        rare = counted(self.under_5, "item has", "items have")
        share = f"{percent(self.under_5 / self.items)} of the items, {percent(self.share_under_5, 1)} of the events"
        return Finding(f"{sentence}; {rare} fewer than 5 events ({share})", Severity.NOTE)


def gini(counts_N: Tensor) -> float:
    """Gini's coefficient: the mean difference of two drawn counts, as a share of twice their mean (C. Gini 1912).

    >>> gini(torch.tensor([5, 5, 5])), gini(torch.tensor([0, 0, 0, 1]))
    (0.0, 0.75)
    """
    ordered_N, items = counts_N.sort().values.double(), len(counts_N)
    ranks_N = torch.arange(1, items + 1, dtype=torch.float64)
    return float(((2 * ranks_N - items - 1) * ordered_N).sum() / (items * ordered_N.sum()))
