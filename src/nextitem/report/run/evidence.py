"""What a report shows of a run, read from its folder. C cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from nextitem.errors import ConfigurationError
from nextitem.evaluation.values import Ranks
from nextitem.experiment.folder.metrics import Metrics
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.folder.tables import ranks_of
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.repetition import told_apart
from nextitem.report.look import label_of
from nextitem.training.history import Epoch


@dataclass(frozen=True)
class Evidence:
    """One run: what was asked for, what was measured, and the test cases one by one."""

    run: Run
    cases: pl.DataFrame
    """Per test case user, target, above, tied, `trained` (training events of the target) and, where histories are
    stored, `length` (events before the target, the user's first ones)."""
    titles: dict[Any, str]
    """Titles by raw item id, of the items that have one."""
    label: str
    """What the run is called on the page; different for each run of a page."""

    @classmethod
    def of(cls, run: Run) -> "Evidence":
        """The evidence that a run gives. Raises ArtefactError."""
        asked = run.ranks.filter(pl.col("part") == "test").drop("part")
        trained = run.items.select("item", trained="count")
        if asked["target"].dtype != trained["item"].dtype:
            raise run.refused("ranks.parquet", f"column target holds {asked['target'].dtype}, and items.parquet others")
        cases = asked.join(trained, left_on="target", right_on="item", maintain_order="left")
        if cases.height < asked.height:
            raise run.refused("ranks.parquet", f"{asked.height - cases.height:,} targets are not in items.parquet")
        if not run.has_users:
            cases = cases.drop("length", strict=False)
        else:
            _check_lengths(run, cases)
        titles = run.items.filter(pl.col("title").is_not_null()).select("item", "title")
        return cls(run, cases, dict(titles.iter_rows()), label_of(run.recipe.name))

    @property
    def folder(self) -> Path:
        """Where the run is."""
        return self.run.folder

    @property
    def recipe(self) -> Recipe:
        """What was asked for."""
        return self.run.recipe

    @property
    def seed(self) -> int:
        """The run's."""
        return self.run.seed

    @property
    def metrics(self) -> Metrics:
        """What was measured."""
        return self.run.metrics

    @property
    def epochs(self) -> list[Epoch]:
        """What training went through; none for a model that only counts."""
        return self.run.history

    @cached_property
    def ranks(self) -> Ranks:
        """Where the targets stand, and whose they are."""
        return ranks_of(self.run.ranks.filter(pl.col("part") == "test"))

    @property
    def rank_C(self) -> Tensor:
        """Expected rank of each target; inf of one that is hidden."""
        return self.ranks.above_C + self.ranks.tied_C / 2 + 1

    @property
    def catalogue(self) -> int:
        """Number of items that were ranked."""
        return self.metrics.certificate.candidates

    def means(self, metrics: Sequence[str]) -> list[float]:
        """Each metric, such as `hit_rate@10`, as a mean over users of the mean over their test cases."""
        return [float(value_U.mean()) for value_U in self.ranks.of_users(metrics, self.catalogue).values()]

    @property
    def has_histories(self) -> bool:
        """Whether the run was stored with its users' histories."""
        return "length" in self.cases.columns


def _check_lengths(run: Run, cases: pl.DataFrame) -> None:
    """Raises ArtefactError where a history that was asked about is not among those that are stored."""
    if "length" not in cases.columns:
        raise run.refused("ranks.parquet", "has no column length, which a report needs")
    known = run.lengths()
    if known["user"].dtype != cases["user"].dtype:
        raise run.refused("ranks.parquet", f"column user holds {cases['user'].dtype}, and users.parquet others")
    beside = cases.join(known, on="user", how="left", maintain_order="left")
    missing = beside.filter(pl.col("events").is_null())["user"]
    if len(missing):
        raise run.refused("users.parquet", f"has no history of user {missing[0]!r}, who is in ranks.parquet")
    if (beside["length"] > beside["events"]).any():
        raise run.refused("ranks.parquet", "column length: a history of users.parquet is shorter")


def comparable(runs: Sequence[Evidence]) -> list[Evidence]:
    """The runs with a label each, where their numbers may stand in one table.

    Raises ConfigurationError where two certificates differ, or a run is given twice.
    """
    first = runs[0]
    for number, run in enumerate(runs[1:], 1):
        if run.folder.resolve() in {earlier.folder.resolve() for earlier in runs[:number]}:
            raise ConfigurationError(f"{run.folder} is given twice; name each run once")
        if unlike := first.metrics.certificate.differences(run.metrics.certificate):
            raise ConfigurationError(
                f"{first.folder} and {run.folder} were not measured on the same, so their numbers do not belong in one "
                f"table ({unlike}); report runs of equal certificates"
            )
    labels = told_apart([run.label for run in runs], runs)
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]
