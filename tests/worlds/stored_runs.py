"""A small run written to disk, and the files it consists of."""

from pathlib import Path

from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from worlds.small_runs import RECIPES, metrics, outcome

FILES = {
    "README.md", "history.jsonl", "items.parquet", "manifest.json", "metrics.json", "model.safetensors",
    "ranks.parquet", "recipe.json", "users.parquet",
}  # fmt: skip
NAME = "sasrec-ce"


def written(root: Path, name: str = NAME, *, with_users: bool = True) -> Path:
    return write_run(Workplace(root, name, 0), RECIPES[name], outcome(name), metrics(name), with_users=with_users)
