"""A small run written to disk, and the files it consists of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.report.run.evidence import Evidence
from worlds.small_runs import RECIPES, metrics, outcome

FILES = {
    "README.md", "history.jsonl", "items.parquet", "manifest.json", "metrics.json", "model.safetensors",
    "ranks.parquet", "recipe.json", "users.parquet",
}  # fmt: skip
NAME = "sasrec-ce"


def evidence(folder: Path) -> Evidence:
    """What a report shows of the run in a folder."""
    return Evidence.of(read_run(folder))


def remade(run: Run, **parts: Any) -> Run:
    """The run as if its folder held these parts."""
    other = replace(run)
    vars(other).update(parts)
    return other


def remeasured(run: Run, part: str, **settings: Any) -> Run:
    """The run as if metrics.json said something else in its certificate or provenance."""
    before = getattr(run.metrics, part)
    after = replace(before, **settings) if part == "certificate" else before.model_copy(update=settings)
    return replace(run, metrics=run.metrics.model_copy(update={part: after}))


def written(root: Path, name: str = NAME, *, with_users: bool = True) -> Path:
    return write_run(Workplace(root, name, 0), RECIPES[name], outcome(name), metrics(name), with_users=with_users)
