"""Finished runs on disk as what they measured: found again by what decides their result, read without their weights."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from nextitem.errors import ArtefactError, NextitemError, StorageError
from nextitem.evaluation.values import values
from nextitem.experiment.recipe import Recipe
from nextitem.settings.keys import settings_of
from nextitem.storage import MANIFEST

# Where data lie and what they are called decides nothing once their fingerprints are equal, nor does what only rounds.
_ABOUT_THE_DATA = ("name", "data", "columns", "preparation")
_CHUNKS = ("loss.block_rows", "loss.tile_items")
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError)


def deciding(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide a result on given events: equal ones with equal seeds make one run."""
    decided = {key: value for key, value in settings_of(recipe).items() if key not in _CHUNKS}
    return {key: value for key, value in decided.items() if key.partition(".")[0] not in _ABOUT_THE_DATA}


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder and what it says of itself; ranks and history are read when they are asked for."""

    folder: Path
    recipe: Recipe
    metrics: dict[str, Any]
    """metrics.json."""

    @property
    def seed(self) -> int:
        return int(self.metrics["provenance"]["seed"])

    @property
    def certificate(self) -> dict[str, Any]:
        """What was measured on, without the list of metrics: any can be computed from the ranks."""
        return {key: value for key, value in self.metrics["certificate"].items() if key != "metrics"}

    def values(self, metrics: Sequence[str]) -> Tensor:
        """Each metric of each test case, shape (C, M) float64. Raises ArtefactError, and as `values`."""
        ranks = self.ranks().filter(pl.col("part") == "test")
        above_C, tied_C = (torch.tensor(ranks[name].to_numpy()) for name in ("above", "tied"))
        found = values(above_C, tied_C, metrics, int(self.metrics["certificate"]["candidates"]))
        return torch.stack([found[name] for name in metrics], 1)

    def ranks(self) -> pl.DataFrame:
        """Per part and case: user, target, how many items scored above it and how many the same."""
        try:
            return pl.read_parquet(_verified(self.folder, "ranks.parquet"))
        except _UNUSABLE as error:
            raise _unreadable(self.folder, error) from error

    def history(self) -> list[dict[str, Any]]:
        """The epochs, as history.jsonl has them; none of a model that only counts."""
        try:
            lines = _verified(self.folder, "history.jsonl").read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except _UNUSABLE as error:
            raise _unreadable(self.folder, error) from error

    def seconds_to(self, share: float) -> float | None:
        """Seconds of optimisation until the monitored metric first reached `share` of its best validation value."""
        monitor, seconds = self.recipe.learner.training.monitor, 0.0
        epochs = self.history()
        best = max((float(epoch["validation"][monitor]) for epoch in epochs), default=0.0)
        for epoch in epochs:
            seconds += float(epoch["train_seconds"])
            if epoch["validation"][monitor] >= share * best:
                return seconds
        return None


def read_finished(folder: Path) -> FinishedRun:
    """A finished run. Raises ArtefactError for a folder that is none, or that was altered."""
    if not is_run(folder):
        raise ArtefactError(f"{folder} is not a run: it has no {MANIFEST}; give a folder that `nextitem train` printed")
    try:
        recipe = Recipe.model_validate_json(_verified(folder, "recipe.json").read_text(encoding="utf-8"))
        metrics = json.loads(_verified(folder, "metrics.json").read_text(encoding="utf-8"))
        run = FinishedRun(folder, recipe, metrics)
        for name in ("ranks.parquet", "history.jsonl"):  # before anything is trained to stand beside it
            _verified(folder, name)
        if run.seed < 0 or not run.certificate["split"]:
            raise ValueError("metrics.json names no seed or split")
        return run
    except _UNUSABLE as error:
        raise _unreadable(folder, error) from error


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a finished run."""
    return (folder / MANIFEST).is_file() and (folder / "metrics.json").is_file()


def find_runs(roots: Iterable[Path], say: Callable[[str], None]) -> list[FinishedRun]:
    """The finished runs in `roots` (folders of runs, or runs themselves); `say` is told of runs that cannot be read.

    Raises StorageError for a root that cannot be.
    """
    found = []
    for root in roots:
        try:
            folders = [root] if is_run(root) else sorted(root.iterdir()) if root.is_dir() else []
        except OSError as error:
            raise StorageError(f"cannot read {root}: {error}; correct its permissions") from error
        for folder in (folder for folder in folders if is_run(folder)):
            try:
                found.append(read_finished(folder))
            except NextitemError as error:
                say(f"not reused: {error}")
    return found


def _verified(folder: Path, name: str) -> Path:
    """A file of the run, which is as the manifest says."""
    expected = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"][name]
    with (folder / name).open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != expected:
            raise ArtefactError(f"{folder / name} was altered: its sha256 is not the one in {MANIFEST}; train anew")
    return folder / name


def _unreadable(folder: Path, error: Exception) -> ArtefactError:
    fact = f"there is no {error} in it" if isinstance(error, KeyError) else str(error)
    return ArtefactError(f"{folder} cannot be read as a run: {fact}; restore it or train anew")
