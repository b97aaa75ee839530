"""A run read from its folder, every part of it proven before it is used; finished runs found by what decides them."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nextitem.errors import NextitemError, StorageError
from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.values import values
from nextitem.experiment.folder.metrics import FORMAT, Metrics
from nextitem.experiment.recipe import Recipe
from nextitem.settings.keys import settings_of
from nextitem.storage import MANIFEST, Kind, Manifest, Sealed
from nextitem.training.history import Epoch

RUN = Kind("run", FORMAT, "`nextitem train` printed", "train anew", Manifest)
COMPARED = ("ranks.parquet", "history.jsonl")
"""What runs are compared by, beside their recipes and metrics."""

# Where data lie and what they are called decides nothing once their fingerprints are equal, nor does what only rounds.
_ABOUT_THE_DATA = ("name", "data", "columns", "filters")
_CHUNKS = ("loss.block_rows", "loss.tile_items")


def deciding(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide a result on given events: equal ones with equal seeds make one run."""
    decided = {key: value for key, value in settings_of(recipe).items() if key not in _CHUNKS}
    return {key: value for key, value in decided.items() if key.partition(".")[0] not in _ABOUT_THE_DATA}


Content = TypeVar("Content")


@dataclass(frozen=True)
class Run:
    """A finished run: its recipe and metrics, and what else is in its folder, which is read when it is asked for.

    A file is compared with the manifest before it is read. Raises ArtefactError, then, for one that is missing, altered
    or of another content. Nothing is unpickled.
    """

    folder: Path
    recipe: Recipe
    metrics: Metrics
    sealed: Sealed[Manifest] | None = None
    """What proves the files; none of a draft, which is read by who writes it."""

    @property
    def seed(self) -> int:
        """The seed of weights, order, masks and negatives."""
        return self.metrics.provenance.seed

    @property
    def certificate(self) -> Certificate:
        """What was measured on, whatever the metric: any of ranks can be computed from those that are stored."""
        return self.metrics.certificate.without_metrics()

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """All numbers of the model by name, on the CPU."""
        return _read(self.folder, self._file("model.safetensors"), load_file)

    @cached_property
    def items(self) -> pl.DataFrame:
        """Per item in index order: `item` (raw id), `count` (training events) and `title` (null where unknown)."""
        return _read(self.folder, self._file("items.parquet"), pl.read_parquet)

    @cached_property
    def users(self) -> pl.DataFrame | None:
        """Per user in index order: `user` (raw id), whole `history` and maybe `times`; None where they were left out.

        `histories_of` makes them what a model can be asked about.
        """
        scanned = self.scan_users()
        return None if scanned is None else _read(self.folder, self._file("users.parquet"), lambda _: scanned.collect())

    def scan_users(self) -> pl.LazyFrame | None:
        """`users`, for those who need not hold all histories."""
        is_there = (self.folder / "users.parquet").is_file()
        if self.sealed is not None:
            is_there = "users.parquet" in self.sealed.manifest.files
        return pl.scan_parquet(self._file("users.parquet")) if is_there else None

    @cached_property
    def ranks(self) -> pl.DataFrame:
        """Per part and case: `user`, `length`, `target`, how many items scored `above` it and how many `tied`.

        The history that was asked about are the first `length` events of the user.
        """
        return _read(self.folder, self._file("ranks.parquet"), pl.read_parquet)

    @cached_property
    def history(self) -> list[Epoch]:
        """The epochs; none of a model that only counts."""
        return _read(self.folder, self._file("history.jsonl"), _epochs)

    def values(self, metrics: Sequence[str]) -> Tensor:
        """Each metric of each test case, shape (C, M) float64. Raises ArtefactError, and as `values`."""
        ranks = self.ranks.filter(pl.col("part") == "test")
        above_C, tied_C = (torch.tensor(ranks[name].to_numpy()) for name in ("above", "tied"))
        found = values(above_C, tied_C, metrics, self.metrics.certificate.candidates)
        return torch.stack([found[name] for name in metrics], 1)

    def seconds_to(self, share: float) -> float | None:
        """Seconds of optimisation until the monitored metric first reached `share` of its best validation value."""
        monitor, seconds = self.recipe.learner.training.monitor, 0.0
        best = max((epoch.validation[monitor] for epoch in self.history), default=0.0)
        for epoch in self.history:
            seconds += epoch.train_seconds
            if epoch.validation[monitor] >= share * best:
                return seconds
        return None

    def proven(self, *names: str) -> Self:
        """The same run, once these files of it, or all, are known to be as they were written. Raises ArtefactError."""
        if self.sealed is not None:
            self.sealed.prove(*names)
        return self

    def _file(self, name: str) -> Path:
        return self.folder / name if self.sealed is None else self.sealed.file(name)


def read_run(folder: Path | str) -> Run:
    """A run from the folder that `nextitem train` printed; of its files only recipe and metrics are read.

    Raises ArtefactError for a folder that is none, that was altered, or of another format.
    """
    folder = Path(folder)
    sealed = RUN.read(folder)
    return _run(folder, sealed.file("recipe.json"), sealed.file("metrics.json"), sealed)


def read_draft(folder: Path) -> Run:
    """A run that is being written and has no manifest yet, for what is made of it before it is sealed."""
    return _run(folder, folder / "recipe.json", folder / "metrics.json", None)


def _run(folder: Path, recipe: Path, metrics: Path, sealed: Sealed[Manifest] | None) -> Run:
    return Run(
        folder,
        _read(folder, recipe, lambda file: Recipe.model_validate_json(file.read_bytes())),
        _read(folder, metrics, lambda file: Metrics.model_validate_json(file.read_bytes())),
        sealed,
    )


def _epochs(file: Path) -> list[Epoch]:
    return [Epoch(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def _read(folder: Path, file: Path, read: Callable[[Path], Content]) -> Content:
    """What is read of a file, where that can be."""
    try:
        return read(file)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise RUN.unreadable(folder, error) from error


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a finished run."""
    return (folder / MANIFEST).is_file() and (folder / "metrics.json").is_file()


def find_runs(roots: Iterable[Path], say: Callable[[str], None]) -> list[Run]:
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
                found.append(read_run(folder).proven(*COMPARED))
            except NextitemError as error:
                say(f"not reused: {error}")
    return found
