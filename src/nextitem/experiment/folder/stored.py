"""A run read back, every file checked against the manifest."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nextitem.errors import ArtefactError
from nextitem.experiment.recipe import Recipe
from nextitem.storage import MANIFEST, sha256

_NEEDED = ("recipe.json", "metrics.json", "model.safetensors", "items.parquet")
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, SafetensorError, pl.exceptions.PolarsError)


@dataclass(frozen=True)
class StoredRun:
    """A run read back, every file checked against the manifest."""

    folder: Path
    recipe: Recipe
    metrics: dict[str, Any]
    weights: dict[str, Tensor]
    items: pl.DataFrame
    users: pl.DataFrame | None


def read_run(folder: Path) -> StoredRun:
    """A run from its folder; nothing is unpickled. Raises ArtefactError for anything missing, altered or foreign."""
    if not (folder / MANIFEST).is_file():
        raise ArtefactError(
            f"{folder} is not a run: it has no {MANIFEST}; give the folder that `nextitem train` printed"
        )
    try:
        expected: dict[str, str] = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"])
        for name in dict.fromkeys((*_NEEDED, *expected)):
            if sha256(folder / name) != expected[name]:
                raise ArtefactError(f"{folder / name} was altered: its sha256 is not the one in {MANIFEST}; train anew")
        return StoredRun(
            folder,
            Recipe.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8")),
            json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
            load_file(folder / "model.safetensors"),
            pl.read_parquet(folder / "items.parquet"),
            pl.read_parquet(folder / "users.parquet") if "users.parquet" in expected else None,
        )
    except _UNUSABLE as error:
        raise ArtefactError(f"{folder} cannot be read as a run: {error}; restore it or train anew") from error
