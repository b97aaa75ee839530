"""What reproducing the paper would take: on this machine by its own steps, on a GPU by an estimate.

FLOPs are counted from shapes: 6·T·N·d for a softmax over N items at T targets (three products), K in place of N for K
negatives, and 6 for each weight of the encoder and each of its positions, with 12·blocks·L·d more for attention over L
positions. What the published runs took tells at which rate such trainings went on their GPU.
"""

from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from nextitem.compute.memory import held
from nextitem.compute.processes import Processes
from nextitem.data import acquisition
from nextitem.data.datasets import DATASETS
from nextitem.data.prepare import Prepared, prepare
from nextitem.data.stand_in import stand_in
from nextitem.engine.entries import Entry
from nextitem.errors import ConfigurationError
from nextitem.experiment.plan.flops import flops_per_epoch
from nextitem.experiment.plan.memory import Work, needed
from nextitem.experiment.plan.plan import Plan, plan
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.studies.reproduction import PUBLISHED_VALUES, PublishedValues
from nextitem.training.session import Session
from nextitem.words import counted


@dataclass(frozen=True)
class Line:
    """One training of a reproduction."""

    label: str
    plan: Plan | None
    """None for a model that only counts."""
    problem: str = ""
    """Why there is no plan, where the training would not fit."""
    epochs: int = 0
    """Those that the paper's run took: its best epoch and its patience; where it tells none, the most there may be."""
    flops: float = 0.0
    """Of all these epochs."""
    published_seconds: int | None = None
    gpu_bytes: int = 0
    """What the tensors of the training take on a GPU, from shapes."""

    @property
    def seconds(self) -> float | None:
        """On this machine, all epochs with their validation."""
        return None if self.plan is None else self.epochs * self.plan.seconds_per_epoch


@dataclass(frozen=True)
class ReproductionPlan:
    """All trainings of one dataset."""

    data: str
    lines: tuple[Line, ...]
    is_stand_in: bool
    """Whether shapes come from random events with the dataset's counts, because its file is not there."""

    @property
    def rate(self) -> float | None:
        """FLOP per second at which the published trainings went on their unnamed GPU, the median over recipes."""
        rates = [line.flops / line.published_seconds for line in self.lines if line.published_seconds and line.flops]
        return median(rates) if rates else None

    def gpu_seconds(self, line: Line) -> float | None:
        """An estimate: what the paper states for the recipe, or else its FLOPs at the rate of those that are stated."""
        if line.published_seconds is not None:
            return float(line.published_seconds)
        return None if self.rate is None or not line.flops else line.flops / self.rate

    @property
    def explained(self) -> str:
        """Where the numbers come from, in words."""
        shapes = "random events with the dataset's counts" if self.is_stand_in else "the dataset"
        rate = "" if self.rate is None else f", here {self.rate / 1e12:.2g} TFLOP/s"
        threads = counted(torch.get_num_threads(), "thread")
        return (
            f"epochs: best epoch and patience of the published run, else the most there may be; s/epoch and memory: "
            f"predicted on this machine with {threads}, shapes of {shapes}; on a GPU, an "
            f"estimate and no measurement: the published training time, else the FLOPs at the median rate of the "
            f"published ones{rate}; GPU memory: what the training's tensors take; not planned: what is not trained by "
            f"steps"
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "data": self.data,
            "is_stand_in": self.is_stand_in,
            "explained": self.explained,
            "lines": [
                {
                    "recipe": line.label,
                    "problem": line.problem,
                    "epochs": line.epochs,
                    "seconds": line.seconds,
                    "flops": line.flops,
                    "gpu_seconds_estimated": self.gpu_seconds(line),
                    "gpu_bytes_estimated": line.gpu_bytes or None,
                    "plan": None if line.plan is None else line.plan.as_dict(),
                }
                for line in self.lines
            ],
        }


def plan_reproduction(data: str, entries: list[Entry], seed: int, processes: Processes) -> ReproductionPlan:
    """Plan every entry on the dataset, or on events of its shape where its file is not there: nothing is downloaded."""
    is_stand_in = data in DATASETS and acquisition.local(DATASETS[data]) is None
    prepared = stand_in(DATASETS[data], entries[0].recipe) if is_stand_in else prepare(entries[0].recipe)
    published, (_, most) = PUBLISHED_VALUES.get(data, {}), held()  # each row is trained in a process of its own
    lines = [_line(entry, prepared, seed, processes, most, published.get(entry.label)) for entry in entries]
    return ReproductionPlan(data, tuple(lines), is_stand_in)


def _line(
    entry: Entry, prepared: Prepared, seed: int, processes: Processes, most_held: int, published: PublishedValues | None
) -> Line:
    recipe = entry.recipe
    if recipe.learner.unplanned is not None:
        return Line(entry.label, None)
    parts, training = recipe.sequence, recipe.sequence.training
    best = None if published is None else published.best_epoch
    epochs = training.epochs if best is None else min(training.epochs, best + (training.patience or 0))
    try:
        found = plan(recipe, prepared, Session(seed, processes), most_held=most_held)
    except ConfigurationError as error:
        return Line(entry.label, None, str(error))
    epochs = min(epochs, training.most_epochs(len(parts.objective.windows(prepared.split.train))))
    flops = epochs * flops_per_epoch(parts, found.work, len(prepared.log.items), _encoded(parts, prepared))
    seconds = None if published is None else published.train_seconds
    return Line(entry.label, found, "", epochs, flops, seconds, _on_gpu(parts, prepared, seed))


def _on_gpu(recipe: SequenceRecipe, prepared: Prepared, seed: int) -> int:
    """Bytes of a training's tensors on a GPU, which need not be there."""
    gpu = torch.device("cuda")
    work = Work.of(recipe, prepared, gpu, seed)
    parts = needed(recipe, work, len(prepared.log.items), gpu, number_of_users=len(prepared.log.users))
    return sum(size for part, size in parts.items() if part != "libraries")


def _encoded(recipe: SequenceRecipe, prepared: Prepared) -> int:
    """Positions that an epoch encodes."""
    return int(recipe.objective.windows(prepared.split.train).lengths_U.sum())
