"""A recipe trained into a folder: what `nextitem train` does between its options and its output.

Of several processes all train and the first one writes; the others read its checkpoint and wait for its files.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nextitem.candidates import Candidates
from nextitem.checkpoint import FileCheckpoint, machine
from nextitem.errors import ConfigurationError
from nextitem.evaluation import SAMPLED_METRICS, Report, evaluate
from nextitem.experiment import Outcome, Prepared, prepare, run
from nextitem.history import Watcher
from nextitem.plan import plan_together
from nextitem.processes import Processes
from nextitem.recipe import Recipe
from nextitem.runs import Workplace, metrics_of, provenance, write_run


def settle_earlier(workplace: Workplace, device: torch.device, *, resume: bool, fresh: bool) -> bool:
    """Whether there is an interrupted training to go on with.

    Hours of training are neither lost nor continued by accident: raises ConfigurationError where it was not said what
    to do with them, and where they cannot be continued exactly.
    """
    if resume and fresh:
        raise ConfigurationError("--resume goes on with an interrupted training and --fresh discards it: give one")
    if resume and device.type != "cpu":
        raise ConfigurationError(f"--resume: on {device} a continued training would end elsewhere; train anew")
    if fresh:
        workplace.clear()
    if workplace.checkpoint.exists() and not resume:
        remedy = (
            "go on with it by --resume, or discard it by --fresh" if device.type == "cpu" else "discard it by --fresh"
        )
        raise ConfigurationError(
            f"{workplace.checkpoint} holds an interrupted training of {workplace.name} with seed {workplace.seed}; "
            f"{remedy}"
        )
    return workplace.checkpoint.exists()


def train_into(
    workplace: Workplace,
    recipe: Recipe,
    seed: int,
    processes: Processes,
    watcher: Watcher,
    say: Callable[[str], None],
    *,
    with_users: bool,
    candidates: str | None = None,
) -> tuple[Path | None, dict[str, Any]]:
    """Train (on from a checkpoint that is there), evaluate and store; the folder of the run, and its metrics.

    `say` is told the notes on the data before training: who reads there that most users are too short can stop. Only
    the first process writes; to the others there is no folder. With `candidates`, such as `popularity:100`, the metrics
    have a block of sampled ones.
    """
    started, device, is_first = datetime.now(UTC), processes.device, processes.rank == 0

    def checkpoint(prepared: Prepared) -> FileCheckpoint:
        settings = dict(_leaves("recipe", recipe.model_dump(mode="json")))
        identity = {"data": prepared.log.sha256(), "seed": str(seed), "nextitem": version("nextitem")}
        together = {"processes": str(processes.size)}
        return FileCheckpoint(workplace.checkpoint, settings | identity | together | machine(device))

    # Only on the CPU can a training be continued to the same bits, so elsewhere nothing is kept of it.
    keep = checkpoint if device.type == "cpu" else None
    with workplace.alone() if is_first else nullcontext():
        prepared = prepare(recipe)
        for note in prepared.notes:
            say(f"note: {note}")
        drawn = None if candidates is None else _checked(candidates, prepared)
        if recipe.baseline is None:
            recipe, planned = plan_together(recipe, prepared, seed, processes)
            say(f"plan: {planned}")
        outcome = run(
            recipe, seed, device=device, checkpoint=keep, watcher=watcher, prepared=prepared, processes=processes
        )
        sampled = None if drawn is None else _sampled(outcome, drawn, processes)
        metrics = metrics_of(outcome, provenance(seed, device, started, processes.size), sampled)
        folder = write_run(workplace, recipe, outcome, metrics, with_users=with_users) if is_first else None
        processes.wait()  # whoever ends successfully says that the run is stored
        return folder, metrics


def _checked(candidates: str, prepared: Prepared) -> Candidates:
    """The candidates of the test cases; what cannot be drawn is refused before hours of training."""
    drawn = Candidates.parse(candidates, prepared.split.train.counts())
    drawn.draw(prepared.split.test)
    return drawn


def _sampled(outcome: Outcome, candidates: Candidates, processes: Processes) -> Report:
    """The test metrics among these candidates."""
    dataset, test = outcome.prepared.source.name, outcome.prepared.split.test
    return evaluate(outcome.model, test, SAMPLED_METRICS, candidates=candidates, dataset=dataset, processes=processes)


def _leaves(key: str, value: object) -> Iterator[tuple[str, str]]:
    """Every setting as (dotted key, value as JSON), so that a difference can be named."""
    if isinstance(value, dict):
        for word, below in value.items():
            yield from _leaves(f"{key}.{word}", below)
    else:
        yield key, json.dumps(value)
