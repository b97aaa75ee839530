"""One measurement in a process of its own: training steps of a setting, as `fit_model` takes them. Prints JSON.

    python benchmarks/steps.py '{"log": "beauty", "recipe": "sasrec-ce"}'

Other keys and their defaults are the fields of `Asked`. Random users make windows for `warmup` + `steps` steps; the
warm-up is not timed. The machine's rates are measured in the same process right before.
"""

import json
import math
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from logs import histories
from machine import floor_rates, floor_seconds
from padded import PaddedModel, inputs_and_labels, step

from nextitem.data.sequences import Sequences
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranks import top_k
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.model.model import SequenceModel
from nextitem.training.fit import fit_model
from nextitem.training.history import Epoch, History
from nextitem.training.session import Session
from nextitem.training.validation import validation_cases


@dataclass(frozen=True)
class Asked:
    """What to measure."""

    log: str
    recipe: str
    overrides: list[str] = field(default_factory=list)
    is_padded: bool = False
    """Take the steps of padded.py instead."""
    steps: int = 20
    warmup: int = 3
    epochs: int = 1
    """How often the same steps are taken; memory is noted after each."""
    threads: int = 1
    seed: int = 0
    top_users: int = 0
    """Users whose ten best items are timed afterwards."""
    quick: bool = False
    validates: bool = False
    """Whether each epoch ends with the validation of a training: 10,000 users over the full catalogue."""


class Clock:
    """Told of steps and epochs by `fit_model`: when each step ended, and the memory after each epoch."""

    def __init__(self) -> None:
        self.ends = [time.perf_counter()]
        self.memory_mb: list[float] = []

    def step(self, epoch: int, step: int, steps: int) -> None:
        self.ends.append(time.perf_counter())

    def epoch(self, epoch: Epoch, history: History) -> None:
        self.memory_mb.append(resident_mb())

    def seconds(self, warmup: int) -> list[float]:
        """Of each step after the warm-up."""
        return [end - start for start, end in zip(self.ends[warmup:], self.ends[warmup + 1 :], strict=False)]


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # Linux counts in KiB


def resolved(asked: Asked) -> Recipe:
    """The recipe with its profile for the log, and without what a benchmark does not need."""
    profile = [f"data={asked.log}"] if asked.log in ("beauty", "ml-1m") else []
    lasting = [f"training.epochs={asked.epochs}", "training.patience=none"]
    return load_recipe(asked.recipe, *profile, *lasting, *asked.overrides)


def targets(model: SequenceModel, train: Sequences) -> int:
    """Positions that a pass over `train` learns from."""
    draws, windows = torch.Generator().manual_seed(0), model.windows(train)
    rows = torch.arange(len(windows)).split(1024)
    return sum(len(model.batch(windows.select(part), draws).targets_T) for part in rows)


def needed_flops(model: SequenceModel, recipe: Recipe, train: Sequences) -> float:
    """Floating-point operations of products that a pass over `train` cannot do without, forward and backward.

    Those of the encoder's matrices, of attention, of which a causal one needs half, and of the scores that the loss
    looks at. Products alone: what else is done is what the share of their rate tells.
    """
    parts, windows = recipe.sequence, model.windows(train)
    matrices = [
        weight for name, weight in model.encoder.named_parameters() if weight.ndim == 2 and "positions" not in name
    ]
    lengths_U = (windows.sizes_U - 1 if parts.objective.needs_causal else windows.sizes_U).double()
    of_pairs = parts.encoder.flops(1) - parts.encoder.flops(0)  # attention, by each place of the window
    pairs = float(lengths_U.square().sum()) * (0.5 if parts.encoder.is_causal else 1.0)
    scored = train.number_of_items if parts.negatives is None else 1 + parts.negatives.set_size(1)
    scores = targets(model, train) * scored * 6 * parts.encoder.output_width
    return 6 * sum(weight.numel() for weight in matrices) * float(lengths_U.sum()) + of_pairs * pairs + scores


def take_steps(asked: Asked, recipe: Recipe, model: SequenceModel, some: Sequences, train: Sequences) -> Clock:
    """`fit_model` over the users in `some`; negatives are those of all."""
    clock, validate = Clock(), None
    if asked.validates:
        cases = validation_cases(
            LeaveOneOut().split(train).validation, recipe.sequence.training.validation_users, asked.seed
        )
        validate = lambda: evaluate(model, cases, intervals=False).means  # noqa: E731
    negatives = None if recipe.sequence.negatives is None else recipe.sequence.negatives.build(train)
    fit_model(
        model,
        some,
        recipe.sequence.loss.build(),
        recipe.sequence.training,
        Session(asked.seed, watcher=clock),
        validate,
        negatives=negatives,
    )
    return clock


def take_padded_steps(recipe: Recipe, some: Sequences) -> Clock:
    """The textbook's steps over the same users."""
    is_causal, length = recipe.sequence.encoder.is_causal, recipe.sequence.objective.maximum_length
    model = PaddedModel(some.number_of_items, recipe.sequence.encoder.dim, length, is_causal=is_causal)
    optimiser = torch.optim.Adam(model.parameters(), recipe.sequence.training.learning_rate)
    windows = recipe.sequence.objective.windows(some).tolist()
    clock, rows = Clock(), recipe.sequence.training.batch_size
    for start in range(0, len(windows), rows):
        chosen = windows[start : start + rows]
        step(model, optimiser, *inputs_and_labels(chosen, length, some.number_of_items, is_causal=is_causal))
        clock.step(1, 0, 0)
    return clock


def ten_best_seconds(model: SequenceModel, some: Sequences) -> float:
    started = time.perf_counter()
    top_k(model.query(some), 10, some)
    return time.perf_counter() - started


def measure(asked: Asked) -> dict[str, Any]:
    torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    recipe, train = resolved(asked), histories(asked.log)
    rates, batch = floor_rates(quick=asked.quick), recipe.sequence.training.batch_size
    users = (asked.warmup + asked.steps) * batch
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(asked.seed))
    some = train.select(order.repeat(math.ceil(users / len(order)))[:users])  # a small log is gone through again
    model = recipe.sequence.build(train.number_of_items, asked.seed, int(train.users_U.max()) + 1)
    clock = take_padded_steps(recipe, some) if asked.is_padded else take_steps(asked, recipe, model, some, train)
    peak, seconds = peak_mb(), clock.seconds(asked.warmup)
    taken = (len(clock.ends) - 1) / asked.epochs  # more than were asked for where a user has several windows
    per_step, whole = targets(model, some) / taken, targets(model, train)
    epoch_seconds = sum(seconds) / len(seconds) * whole / per_step
    needed = needed_flops(model, recipe, some) / taken
    floor = floor_seconds(whole, train.number_of_items, recipe.sequence.encoder.dim, rates)
    found = {
        "step_seconds": seconds,
        "positions_per_step": per_step,
        "epoch_positions": whole,
        "epoch_seconds": epoch_seconds,
        "floor_seconds": floor,
        "gflops": rates[0] / 1e9,
        "needed_gflop_per_step": needed / 1e9,
        "share": needed / (sum(seconds) / len(seconds)) / rates[0],
        "peak_mb": peak,
        "memory_mb": clock.memory_mb,
    }
    if asked.top_users:
        found["top_seconds"] = ten_best_seconds(model, train.select(slice(0, asked.top_users)))
    return found


if __name__ == "__main__":
    print(json.dumps(measure(Asked(**json.loads(sys.argv[1])))))
