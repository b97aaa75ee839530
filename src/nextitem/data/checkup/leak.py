"""How much of what is learnt happened after what is foretold. C cases, E training events, N items."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.checkup.held_out import FEWEST_CASES
from nextitem.data.splits.split import Split
from nextitem.words import percent

_MUCH = 0.1


@dataclass(frozen=True)
class Leak:
    """Overlap in time of training and test under leave-one-out: a target is foretold at the time of its event."""

    targets_before: float
    """Share of the test targets that lie before some training event."""
    median_later: float
    """Share of the training events that lie after a test target, the median over targets."""
    mean_later: float
    median_item_later: float
    """The same of the training events of the target's own item, the median over targets that occur in training."""
    only_later: float
    """Share of the targets whose item occurs in training after them alone: without the future it would be cold."""

    can_be_avoided: bool = True
    """Whether a split by time holds enough test cases."""

    @classmethod
    def of(cls, split: Split, *, can_be_avoided: bool = True) -> "Leak | None":
        """That of a split whose test targets are the events right after their histories; None without times."""
        cases, train = split.test, split.train
        if not train.has_times or not len(cases) or not int(train.sizes_U.sum()):
            return None
        when_C = cases.histories.events.times_at(cases.histories.stops_U)
        times_E, (_, items_E) = train.times(), train.flatten()
        ordered_E = times_E.sort().values
        later_C = 1 - torch.searchsorted(ordered_E, when_C, right=True).double() / len(ordered_E)
        of_item_C, counts_C = _of_items(items_E, times_E, cases.targets_C, when_C)
        is_warm_C = counts_C > 0
        item_share = of_item_C[is_warm_C].double() / counts_C[is_warm_C]
        return cls(
            targets_before=float((when_C < ordered_E[-1]).double().mean()),
            median_later=float(later_C.median()),
            mean_later=float(later_C.mean()),
            median_item_later=float(item_share.median()) if len(item_share) else 0.0,
            only_later=float((is_warm_C & (of_item_C == counts_C)).double().mean()),
            can_be_avoided=can_be_avoided,
        )

    @property
    def is_large(self) -> bool:
        """Whether a model learns from much that happened after what it foretells."""
        return self.median_later > _MUCH

    @property
    def finding(self) -> Finding:
        """How much of training lies after a test target."""
        sentence = (
            f"under leave-one-out {percent(self.median_later)} of the training events happened after a test target "
            f"(median), {percent(self.median_item_later)} of those of its own item; "
            f"{percent(self.only_later, 1)} of the targets are items that training knows from later alone"
        )
        if not self.is_large:
            return Finding(sentence, Severity.NOTE if self.median_later else Severity.FINE)
        remedy = "a number that learnt from the future says little about production"
        if self.can_be_avoided:
            remedy = f"split by time: {remedy}"
        else:
            remedy += f"; no split by time holds {FEWEST_CASES} test cases here, a longer log would"
        return Finding(sentence, Severity.WARNING, remedy)


def _of_items(items_E: Tensor, times_E: Tensor, targets_C: Tensor, when_C: Tensor) -> tuple[Tensor, Tensor]:
    """Of each target's item the training events after the target, and all of them, shapes (C,)."""
    moments, ranks = torch.unique(torch.cat([times_E, when_C]), return_inverse=True)
    width = len(moments)
    line_E = (items_E * width + ranks[: len(times_E)]).sort().values
    after_C = torch.searchsorted(line_E, targets_C * width + ranks[len(times_E) :], right=True)
    first_C, last_C = (torch.searchsorted(line_E, (targets_C + more) * width) for more in (0, 1))
    return last_C - after_C, last_C - first_C
