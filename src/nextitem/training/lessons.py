"""What a teacher foresees at every target of a training, found out once before it. W windows, S targets of all of them.

T targets of a step, M items that are kept of each, N items.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from nextitem.compute import transfer
from nextitem.compute.memory import HEAP
from nextitem.data.sequences import Sequences
from nextitem.evaluation.scoring import Query
from nextitem.model.batches import Batch, Taught
from nextitem.model.objectives.objective import Objective

LESSON_BYTES = 6  # of an item that is kept of a target: its index in 32 bits and its share in 16
_WINDOWS = 128  # that are read at a time, and
_SCORES = 1 << 24  # that are held at a time


class Teacher(Protocol):
    """What foresees, and is not trained."""

    def query_along(self, batch: Batch, prefixes: Sequences) -> Query:
        """Scores at each position of a batch, whose inputs up to there are the `prefixes`, without gradients."""


@dataclass(frozen=True)
class Heard:
    """How a teacher is heard."""

    weight: float
    """λ, of 1 together with the targets."""
    temperature: float
    """τ."""
    top: int
    """M, the most items of each target that are kept."""


@dataclass(frozen=True)
class Lessons:
    """The M items that a teacher scores highest at each target of all windows, and their probabilities among these."""

    heard: Heard
    starts_W: Tensor
    """Where the targets of a window begin, int64; one more at the end."""
    items_SM: Tensor
    """int32."""
    shares_SM: Tensor
    """float16; each row sums to 1, but for rounding."""

    @classmethod
    def of(cls, teacher: Teacher, heard: Heard, objective: Objective, windows: Sequences) -> "Lessons":
        """Those of all windows of an objective that asks the same in every epoch (`asks_what_followed`).

        Windows are read in their order and in blocks of one size, so that a training that goes on has the same bits.
        """
        blocks = [*_asked(teacher, heard, objective, windows)]
        counts_W, items_SM, shares_SM = (torch.cat(parts) for parts in zip(*blocks, strict=True))
        return cls(heard, pad(counts_W.cumsum(0), (1, 0)), items_SM, shares_SM)

    def taught(self, rows: Tensor, device: torch.device) -> Taught:
        """Those of some windows, in the order of the targets of their batch."""
        starts_B, counts_B = self.starts_W[rows], self.starts_W[rows + 1] - self.starts_W[rows]
        rows_T, places_T = transfer.places(counts_B, int(counts_B.sum()))
        chosen_T = starts_B[rows_T] + places_T
        items_TM, shares_TM = (transfer.send(part[chosen_T], device) for part in (self.items_SM, self.shares_SM))
        return Taught(items_TM, shares_TM.float(), self.heard.weight, self.heard.temperature)


def _asked(
    teacher: Teacher, heard: Heard, objective: Objective, windows: Sequences
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Block by block of the windows: how many targets each has, and the items and shares of these."""
    unused = torch.Generator()  # nothing is drawn of what is the same in every epoch
    size = max(1, _SCORES // windows.number_of_items)
    empty = torch.zeros(0, min(heard.top, windows.number_of_items))
    none = empty.int(), empty.half()
    yield empty[:, 0].long(), *none
    for rows in torch.arange(len(windows)).split(_WINDOWS) if len(windows) else ():
        some = windows.select(rows)
        batch = objective.batch(some, unused)
        views = some.select(transfer.fetch(batch.rows_T))
        prefixes = replace(views, stops_U=views.starts_U + batch.columns_T + 1, host_lengths_U=None, host_marks_U=None)
        asked, found = torch.arange(len(prefixes)), [none]
        if len(asked):  # events may weigh nothing as targets
            query = teacher.query_along(batch, prefixes)
            found += [_highest(query.select(part), heard) for part in asked.split(size)]
        items, shares = zip(*found, strict=True)
        yield batch.counts_B, torch.cat(items), torch.cat(shares)
        HEAP.tidy()


def _highest(query: Query, heard: Heard) -> tuple[Tensor, Tensor]:
    """(items, shares) of the highest scores of each history, on the CPU."""
    scores, items = query.scores(0, query.number_of_items).topk(min(heard.top, query.number_of_items), dim=1)
    shares = (scores.float() / heard.temperature).softmax(1)
    return transfer.fetch(items.int()), transfer.fetch(shares.half())
