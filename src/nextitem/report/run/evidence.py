"""What a report shows of a run, read from its folder. C cases."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from nextitem.errors import ConfigurationError
from nextitem.evaluation.values import values
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.repetition import told_apart
from nextitem.report.look import label_of


@dataclass(frozen=True)
class Evidence:
    """One run: what was asked for, what was measured, and the test cases one by one."""

    folder: Path
    recipe: Recipe
    metrics: dict[str, Any]
    """The content of metrics.json."""
    epochs: list[dict[str, Any]]
    """The lines of history.jsonl; none for a baseline."""
    cases: pl.DataFrame
    """Per test case user, target, above, tied, `trained` (training events of the target) and, where histories are
    stored, `length` (events before the target)."""
    titles: dict[Any, str]
    """Titles by raw item id, of the items that have one."""
    label: str
    """What the run is called on the page; different for each run of a page."""

    @classmethod
    def read(cls, folder: Path) -> "Evidence":
        """The evidence in a run's folder, which is taken to be whole: `read_run` says whether it is."""
        recipe = Recipe.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8"))
        lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        items = pl.read_parquet(folder / "items.parquet")
        cases = (
            pl.scan_parquet(folder / "ranks.parquet")
            .filter(pl.col("part") == "test")
            .drop("part")
            .join(
                items.lazy().select("item", trained="count"), left_on="target", right_on="item", maintain_order="left"
            )
        )
        if (folder / "users.parquet").is_file():
            # Without the histories themselves, which may be longer than memory.
            lengths = pl.col("history").list.len().cast(pl.Int64) - 1
            lengths_by_user = pl.scan_parquet(folder / "users.parquet").select("user", length=lengths)
            cases = cases.join(lengths_by_user, on="user", maintain_order="left")
        return cls(
            folder,
            recipe,
            json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
            [json.loads(line) for line in lines],
            cases.collect(),
            dict(items.filter(pl.col("title").is_not_null()).select("item", "title").iter_rows()),
            label_of(recipe.name),
        )

    @property
    def above_C(self) -> Tensor:
        """How many items scored higher than each target."""
        return torch.from_numpy(self.cases["above"].to_numpy(writable=True))

    @property
    def tied_C(self) -> Tensor:
        """How many others scored the same."""
        return torch.from_numpy(self.cases["tied"].to_numpy(writable=True))

    @property
    def catalogue(self) -> int:
        """Number of items that were ranked."""
        return int(self.metrics["certificate"]["candidates"])

    def means(self, metrics: Sequence[str]) -> list[float]:
        """Each metric, such as `hit_rate@10`, as a mean over the test cases."""
        return [
            float(value_C.mean()) for value_C in values(self.above_C, self.tied_C, metrics, self.catalogue).values()
        ]

    @property
    def has_histories(self) -> bool:
        """Whether the run was stored with its users' histories."""
        return "length" in self.cases.columns


def comparable(runs: Sequence[Evidence]) -> list[Evidence]:
    """The runs with a label each, where their numbers may stand in one table.

    Raises ConfigurationError where two certificates differ, or a run is given twice.
    """
    first = runs[0]
    for number, run in enumerate(runs[1:], 1):
        if run.folder.resolve() in {earlier.folder.resolve() for earlier in runs[:number]}:
            raise ConfigurationError(f"{run.folder} is given twice; name each run once")
        ours, theirs = first.metrics["certificate"], run.metrics["certificate"]
        unlike = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        if unlike:
            differences = "; ".join(f"{key}: {ours.get(key)} and {theirs.get(key)}" for key in unlike)
            raise ConfigurationError(
                f"{first.folder} and {run.folder} were not measured on the same, so their numbers do not belong in one "
                f"table ({differences}); report runs of equal certificates"
            )
    labels = told_apart([run.label for run in runs], runs)
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]
