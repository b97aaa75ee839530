"""What a run leaves: one folder that appears whole or not at all, and that proves its own content."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from nextitem.data.prepare import Prepared
from nextitem.errors import StorageError
from nextitem.experiment.folder.card import model_card
from nextitem.experiment.folder.histories import stored_users
from nextitem.experiment.folder.metrics import Metrics
from nextitem.experiment.folder.reading import RUN
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.learner import Stored
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome
from nextitem.storage import empty_folder, publish


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
    try:
        with empty_folder(workplace.partial / "run") as draft:
            _write_files(draft, recipe, outcome, metrics, with_users)
            if add is not None:
                add(draft)
            RUN.seal(draft)
            final = publish(draft, workplace.names(started))
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise StorageError(
            f"cannot write the run into {workplace.root}: {error}; free space or choose another --out"
        ) from error
    workplace.clear()  # only now: what an interrupted training would go on from is replaced, and that is on disk
    return final


def _write_files(draft: Path, recipe: Recipe, outcome: Outcome, metrics: Metrics, with_users: bool) -> None:
    _write_json(draft / "recipe.json", recipe.model_dump(mode="json"))
    _write_json(draft / "metrics.json", metrics.as_dict())
    lines = [json.dumps(line) for line in outcome.history.as_lines()]
    (draft / "history.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _ranks(outcome).write_parquet(draft / "ranks.parquet")
    save_file(weights_of(outcome.model), draft / "model.safetensors")
    _items(outcome.prepared).write_parquet(draft / "items.parquet")
    if with_users:
        users = stored_users(outcome.prepared.log, with_times=recipe.learner.reads_times)
        users.sink_parquet(draft / "users.parquet")
    (draft / "README.md").write_text(model_card(recipe, outcome, metrics), encoding="utf-8")


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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


def _items(prepared: Prepared) -> pl.DataFrame:
    """Per item in index order: raw id, training count and title (null where unknown)."""
    ids = prepared.log.items.ids
    titles = [prepared.titles.get(item) for item in ids]
    counts = prepared.split.train.counts().numpy()
    return pl.DataFrame({"item": ids, "count": counts, "title": pl.Series(titles, dtype=pl.String)})
