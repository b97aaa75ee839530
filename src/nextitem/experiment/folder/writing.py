"""What a run leaves: one folder that appears whole or not at all, and that proves its own content."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from nextitem.data.features.table import FILE as FEATURES
from nextitem.data.features.table import OF_USERS, ItemFeatures
from nextitem.data.reading.rejected import REJECTED, REJECTED_ITEMS
from nextitem.data.sequences import Sequences
from nextitem.experiment.folder.card import model_card
from nextitem.experiment.folder.histories import stored_users
from nextitem.experiment.folder.metrics import Metrics
from nextitem.experiment.folder.reading import RUN
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.learner import Stored
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome
from nextitem.storage import empty_folder, publish, refusals, write_csv, write_parquet, write_tensors, write_text


@dataclass(frozen=True)
class Trained:
    """A training that ended, and what was measured of it."""

    recipe: Recipe
    outcome: Outcome
    metrics: Metrics

    def write(self, draft: Path) -> None:
        """Put all files of a run into an empty folder. Raises OSError."""
        _write_files(draft, self.recipe, self.outcome, self.metrics)
        RUN.seal(draft)


def write_run(
    workplace: Workplace,
    recipe: Recipe,
    outcome: Outcome,
    metrics: Metrics,
    *,
    with_users: bool = True,
    add: Callable[[Path], None] | None = None,
) -> Path:
    """Write the folder under a temporary name, then rename it; return where it is. Raises StorageError.

    `add` may put further files into the folder before it is sealed.
    """
    started = datetime.fromisoformat(metrics.provenance.started)
    with refusals(f"the run into {workplace.root}"), empty_folder(workplace.partial / "run") as draft:
        _write_files(draft, recipe, outcome, metrics, with_users=with_users)
        if add is not None:
            add(draft)
        RUN.seal(draft)
        final = publish(draft, workplace.names(started))
    workplace.clear()  # only now: what an interrupted training would go on from is replaced, and that is on disk
    return final


def _write_files(draft: Path, recipe: Recipe, outcome: Outcome, metrics: Metrics, *, with_users: bool = True) -> None:
    write_recipe(draft, recipe)
    write_metrics(draft, metrics)
    lines = [json.dumps(line) for line in outcome.history.as_lines()]
    write_text(draft / "history.jsonl", "".join(f"{line}\n" for line in lines))
    write_parquet(draft / "ranks.parquet", _ranks(outcome))
    write_tensors(draft / "model.safetensors", weights_of(outcome.model))
    write_items(draft, outcome.prepared.features, outcome.prepared.split.train)
    for name, rejected in ((REJECTED, outcome.prepared.rejected), (REJECTED_ITEMS, outcome.prepared.rejected_items)):
        if len(rejected.table):  # of a prepared folder they are there
            write_csv(draft / name, rejected.table)
    if with_users:
        users = stored_users(outcome.prepared.log, with_times=recipe.learner.reads_times)
        write_parquet(draft / "users.parquet", users)
        if outcome.prepared.user_features is not None:
            outcome.prepared.user_features.write(draft / OF_USERS)
    write_text(draft / "README.md", model_card(recipe, outcome, metrics))


def write_items(draft: Path, features: ItemFeatures, learnt: Sequences) -> None:
    """Put what is known of the items into the folder of a run: raw ids, events that were learnt, titles and features.

    Items are in index order; a title is null where it is unknown. Raises OSError.
    """
    known, counts = features.table, learnt.counts().numpy()
    titles = known["title"] if "title" in known.columns else pl.repeat(None, len(known), dtype=pl.String, eager=True)
    table = pl.DataFrame({"item": known["item"], "count": counts, "title": titles})
    write_parquet(draft / "items.parquet", table)
    if features.names:
        features.without_titles().write(draft / FEATURES)


def write_recipe(draft: Path, recipe: Recipe) -> None:
    """Put recipe.json into the folder of a run. Raises OSError."""
    _write_json(draft / "recipe.json", recipe.model_dump(mode="json"))


def write_metrics(draft: Path, metrics: Metrics) -> None:
    """Put metrics.json into the folder of a run. Raises OSError."""
    _write_json(draft / "metrics.json", metrics.as_dict())


def _write_json(file: Path, content: Any) -> None:
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def weights_of(model: Stored) -> dict[str, Tensor]:
    """All numbers of a model by name."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.tensors().items()}


def _ranks(outcome: Outcome) -> pl.DataFrame:
    """Per case and part: user, events before the target, the target, items above it and others as high."""
    log, split = outcome.prepared.log, outcome.prepared.split
    parts = (("validation", split.validation, outcome.validation), ("test", split.test, outcome.test))
    return pl.concat(
        pl.DataFrame(
            {
                "part": [name] * len(cases),
                "user": log.users.raw(evaluation.users_C),
                "length": cases.histories.lengths_U.numpy(),
                "target": log.items.raw(cases.targets_C),
                "above": evaluation.above_C.numpy(),
                "tied": evaluation.tied_C.numpy(),
            }
        )
        for name, cases, evaluation in parts
    )
