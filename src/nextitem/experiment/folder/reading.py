"""A run read from its folder, every part of it proven before it is used."""

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Self, TypeVar

import polars as pl
import torch
from safetensors import SafetensorError
from torch import Tensor

from nextitem.data.acquisition.addresses import folder_at
from nextitem.data.features.table import FILE as FEATURES
from nextitem.data.features.table import OF_USERS, ItemFeatures, read_features
from nextitem.data.reading.opening import UNREADABLE
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.metrics import parse_metrics
from nextitem.experiment.folder.metrics import FORMAT, Metrics
from nextitem.experiment.folder.parts import recipe_in, weights_in
from nextitem.experiment.folder.tables import check_users, items_in, ranks_in, scanned_users, users_in, values_of
from nextitem.experiment.recipe import Recipe
from nextitem.settings.given import path_of
from nextitem.storage import Kind, Manifest, Sealed, content_of, parsed
from nextitem.storage.places import what_is_at
from nextitem.training.history import Epoch, epochs_of

RUN = Kind("run", FORMAT, "`nextitem train` printed", "train anew", Manifest)
MODEL = ("model.safetensors",)
"""What a run is measured by again, beside its recipe and metrics, as are those that follow."""
LISTS = (*MODEL, "items.parquet", "users.parquet")
"""What lists are made of."""
COMPARED = ("ranks.parquet", "history.jsonl")
"""What runs are compared by."""
PAGE = (*LISTS, *COMPARED)
"""What a page about a run is made of."""

_USERS, _EVENTS = "users.parquet", pl.col("history").list.len().cast(pl.Int64).alias("events")
_UNUSABLE = (OSError, ValueError, SafetensorError, *UNREADABLE)

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
    def fingerprint(self) -> str:
        """Stands for all files of the folder, such as they were written; "" of a draft, which nothing proves yet."""
        return (
            "" if self.sealed is None else hashlib.sha256(self.sealed.manifest.model_dump_json().encode()).hexdigest()
        )

    @property
    def is_evaluated(self) -> bool:
        """Whether anything was held out to measure it on; of what `nextitem refit` leaves nothing was."""
        return self.metrics.refit is None

    def require_evaluated(self) -> None:
        """Raise ConfigurationError, naming the run that it comes from, where nothing was held out."""
        if (refit := self.metrics.refit) is not None:
            raise ConfigurationError(
                f"{self.folder} learnt all events of {refit.of}, those of its test too, and was not evaluated; ask "
                f"about {refit.of}, whose settings it has"
            )

    @property
    def certificate(self) -> Certificate:
        """What was measured on, whatever the metric: any of ranks can be computed from those that are stored."""
        return self.metrics.certificate.without_metrics()

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """All numbers of the model by name, on the CPU; every one of them is finite."""
        return self._read("model.safetensors", weights_in)

    @cached_property
    def items(self) -> pl.DataFrame:
        """Per item in index order: `item` (raw id), `count` (training events) and `title` (null where unknown)."""
        return self._read("items.parquet", partial(items_in, number_of_items=self._number_of_items))

    @cached_property
    def features(self) -> ItemFeatures:
        """What is known of the items beside their ids, row i of item i: titles and, where there are any, features."""
        items = self.items["item"]
        is_there = self._has(FEATURES)
        found = self._read(FEATURES, partial(read_features, ids=items)) if is_there else ItemFeatures.none(items)
        return found.with_titles(self.items["title"])

    @cached_property
    def user_features(self) -> ItemFeatures | None:
        """What is known of the users beside their ids, row u of user u; None where nothing is."""
        users = self.users
        return None if users is None else self.optional(OF_USERS, partial(read_features, ids=users["user"], of="user"))

    @property
    def has_users(self) -> bool:
        """Whether the users' histories were stored. Raises ArtefactError where they are there and nothing proves it."""
        return self._has(_USERS)

    def _has(self, name: str) -> bool:
        """Whether a file that not every run has was stored."""
        is_there = what_is_at(self.folder / name) is not None
        if self.sealed is None:
            return is_there
        if is_there:
            self.sealed.named(name)
        return name in self.sealed.manifest.files

    def optional(self, name: str, read: Callable[[Path], Content]) -> Content | None:
        """What is read of a file that not every run has, proven before; None where it was not stored."""
        return self._read(name, read) if self._has(name) else None

    @cached_property
    def users(self) -> pl.DataFrame | None:
        """Per user in index order: `user` (raw id), whole `history` and maybe `times`; None where they were left out.

        `histories_of` makes them what a model can be asked about.
        """
        if not self.has_users:
            return None
        users = self._read(_USERS, partial(users_in, number_of_items=self._number_of_items))
        held, learnt = int(users["history"].list.len().sum()), int(self.items["count"].sum())
        if held < learnt and self.metrics.forgotten is None:
            raise self.refused(_USERS, f"column history holds {held:,} events, and items.parquet counts {learnt:,}")
        return users

    def users_among(self, ids: pl.Series) -> pl.DataFrame:
        """The rows of `users` that have one of these ids, and `number`, their index; other histories are not held."""

        def chosen(file: Path) -> pl.DataFrame:
            numbered = scanned_users(file).with_row_index("number")
            found = numbered.filter(pl.col("user").is_in(ids.implode())).collect()
            check_users(found, self._number_of_items)
            return found

        return self._read(_USERS, chosen)

    def lengths(self) -> pl.DataFrame:
        """`user` and how many `events` each has stored; no history is held."""
        return self._read(_USERS, lambda file: scanned_users(file).select("user", _EVENTS).collect())

    @cached_property
    def ranks(self) -> pl.DataFrame:
        """Per part and case: `user`, `length`, `target`, how many items scored `above` it and how many `tied`.

        The history that was asked about are the first `length` events of the user. Runs that were stored before there
        was such a column have none.
        """
        return self._read("ranks.parquet", self._ranks)

    def _ranks(self, file: Path) -> pl.DataFrame:
        """Those that metrics.json was computed from."""
        told, candidates, forgotten = self.metrics.test.means, self._number_of_items, self.metrics.forgotten
        ranks = ranks_in(file, self.metrics.certificate.cases - (forgotten.cases if forgotten else 0), candidates)
        if forgotten:  # the means are of those users as well
            return ranks
        names = parse_metrics(self.metrics.certificate.metrics).of_ranks
        for name, value_U in values_of(ranks, names, candidates).items():
            if not math.isclose(mean := float(value_U.mean()), told[name], rel_tol=1e-6, abs_tol=1e-9):
                raise ValueError(f"its {name} is {mean:.6f}, and metrics.json has {told[name]:.6f}")
        return ranks

    @cached_property
    def history(self) -> list[Epoch]:
        """The epochs; none of a model that only counts."""
        return self._read("history.jsonl", self._epochs)

    @property
    def _number_of_items(self) -> int:
        return self.metrics.certificate.candidates

    def _epochs(self, file: Path) -> list[Epoch]:
        epochs, learner = epochs_of(content_of(file).splitlines()), self.recipe.learner
        if len(epochs) != self.metrics.epochs:
            raise ValueError(f"has {len(epochs):,} epochs, and metrics.json {self.metrics.epochs:,}")
        if not self.is_evaluated or learner.learns_validation:
            return epochs
        for epoch in epochs:
            if (monitor := learner.training.monitor) not in epoch.validation:
                raise ValueError(f"line {epoch.epoch:,}: validation has no {monitor}, which recipe.json monitors")
        return epochs

    def values(self, metrics: Sequence[str]) -> Tensor:
        """Each metric of each user of the test cases, the mean over theirs, shape (U, M) float64.

        Raises ArtefactError, and as `values`.
        """
        found = values_of(self.ranks, metrics, self._number_of_items)
        return torch.stack([found[name] for name in metrics], 1)

    def seconds_to(self, share: float) -> float | None:
        """Seconds of optimisation until the monitored metric first reached `share` of its best validation value.

        None where it never did, and where validation was not looked at.
        """
        if self.recipe.learner.learns_validation:
            return None
        monitor, seconds = self.recipe.learner.training.monitor, 0.0
        best = max((epoch.validation[monitor] for epoch in self.history), default=0.0)
        for epoch in self.history:
            seconds += epoch.train_seconds
            if epoch.validation[monitor] >= share * best:
                return seconds
        return None

    def proven(self, *names: str) -> Self:
        """The same run, once these files of it, or all, are known to be as they were written. Raises ArtefactError.

        Users that were left out when the run was stored are not missed.
        """
        if "ranks.parquet" in names:
            self.require_evaluated()
        if self.sealed is not None:
            self.sealed.prove(*(name for name in names if name != _USERS or self.has_users))
        return self

    def doubts(self, *names: str) -> list[str]:
        """What is not as it was written although no answer made of the files `names` rests on it, a sentence each."""
        if self.sealed is None:
            return []
        others = [name for name in self.sealed.manifest.files if name not in names]
        faults = {name: fault for name in others if (fault := self.sealed.fault(name)) is not None}
        return [f"{self.folder / name} {fault}; nothing here rests on it" for name, fault in faults.items()]

    def write(self, draft: Path, without: Collection[str] = ()) -> None:
        """Put all files of the run, or all but some, into an empty folder, each proven before. Raises OSError too."""
        if self.sealed is None:
            raise self.refused("manifest.json", "is missing: the run is being written still")
        self.sealed.copy(draft, without)

    def refused(self, name: str, fact: object) -> ArtefactError:
        """What to say where a file does not go with the others."""
        return RUN.unreadable(self.folder, f"{name}: {fact}")

    def _read(self, name: str, read: Callable[[Path], Content]) -> Content:
        file = self.folder / name if self.sealed is None else self.sealed.file(name)
        return _read(self.folder, file, read)


def read_run(folder: Path | str) -> Run:
    """A run from the folder that `nextitem train` printed; of its files only recipe and metrics are read.

    At an address (`s3://bucket/run`) it is fetched first, as `folder_at`. Raises ArtefactError for a folder that is
    none, that was altered, or of another format.
    """
    folder = folder_at(folder) if isinstance(folder, str) else path_of(folder, "folder")
    sealed = RUN.read(folder)
    return _run(folder, sealed.file("recipe.json"), sealed.file("metrics.json"), sealed)


def read_draft(folder: Path) -> Run:
    """A run that is being written and has no manifest yet, for what is made of it before it is sealed."""
    return _run(folder, folder / "recipe.json", folder / "metrics.json", None)


def _run(folder: Path, recipe: Path, metrics: Path, sealed: Sealed[Manifest] | None) -> Run:
    return Run(
        folder,
        _read(folder, recipe, recipe_in),
        _read(folder, metrics, lambda file: parsed(Metrics, content_of(file))),
        sealed,
    )


def _read(folder: Path, file: Path, read: Callable[[Path], Content]) -> Content:
    """What is read of a file, where that can be."""
    try:
        return read(file)
    except _UNUSABLE as error:
        raise RUN.unreadable(folder, f"{file.name}: {error}") from error
