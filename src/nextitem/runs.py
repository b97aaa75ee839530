"""What a run leaves: one folder that appears whole or not at all, and that proves its own content."""

import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import torch
from polars.io.plugins import register_io_source
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nextitem.errors import ArtefactError, StorageError
from nextitem.evaluation import Report
from nextitem.experiment import Outcome, Prepared
from nextitem.heap import most_resident
from nextitem.locked_folder import alone_in
from nextitem.model import SequenceModel
from nextitem.model_card import model_card
from nextitem.recipe import Recipe

MANIFEST = "manifest.json"
_NEEDED = ("recipe.json", "metrics.json", "model.safetensors", "items.parquet")
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, SafetensorError, pl.exceptions.PolarsError)


@dataclass(frozen=True)
class Workplace:
    """Where a run is made and where it will be: `<root>/.partial/<name>-seed<n>-<key>` and `<root>/<time>-<name>`.

    The name is that of the recipe and the data, such as `sasrec-ce-ml-1m`; the key stands for all settings, so that
    trainings of different settings never share a folder.
    """

    root: Path
    name: str
    seed: int
    key: str = ""

    @classmethod
    def of(cls, root: Path, recipe: Recipe, seed: int) -> "Workplace":
        """The workplace of a recipe; of a data file the name counts, without folder and endings."""
        stem = Path(recipe.data).name.strip(".").partition(".")[0]
        name = re.sub(r"[^\w.-]+", "-", f"{recipe.name}-{stem}")[:100]
        return cls(root, name, seed, hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:8])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from training the same here meanwhile.

        Raises ConfigurationError where one does, StorageError where nothing can be written.
        """
        with alone_in(self.partial, "trains the same"):
            yield

    @property
    def partial(self) -> Path:
        """The folder of the training in progress."""
        return self.root / ".partial" / "-".join(filter(None, (self.name, f"seed{self.seed}", self.key)))

    @property
    def checkpoint(self) -> Path:
        """The file with its latest epoch."""
        return self.partial / "checkpoint.safetensors"

    def clear(self) -> None:
        """Forget a training in progress; the folder itself stays for whoever is `alone` in it."""
        for path in self.partial.glob("*"):
            with suppress(OSError):  # a finished run is worth more than a tidy place
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def provenance(seed: int, device: torch.device | str, started: datetime, processes: int = 1) -> dict[str, Any]:
    """What is shown but never compared: seed, versions, hardware, time."""
    return {
        "seed": seed,
        "nextitem": version("nextitem"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(device),
        "processes": processes,
        "threads": torch.get_num_threads(),
        "processor": _processor(),
        "peak_memory_mb": round(most_resident() / 1e6),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def metrics_of(outcome: Outcome, provenance: Mapping[str, Any], sampled: Report | None = None) -> dict[str, Any]:
    """The content of metrics.json, which `train --json` prints as well; `sampled` metrics are a block of their own."""
    bound = {"test_upper_bound": dict(outcome.upper_bound)} if outcome.upper_bound else {}
    return {
        "test": _measured(outcome.test),
        "validation": _measured(outcome.validation),
        **({} if sampled is None else {"sampled": {"test": sampled.as_dict()}}),
        **bound,
        "best_epoch": outcome.history.best_epoch,
        "epochs": len(outcome.history.epochs),
        "train_seconds": round(outcome.train_seconds, 2),
        "parameters": outcome.parameters,
        "certificate": outcome.test.as_dict()["certificate"],
        "notes": list(outcome.prepared.notes),
        "provenance": {
            **provenance,
            "data": outcome.prepared.source.data,
            "events_sha256": outcome.prepared.log.sha256(),
        },
    }


def _measured(report: Report) -> dict[str, Any]:
    return {key: value for key, value in report.as_dict().items() if key != "certificate"}


def write_run(
    workplace: Workplace,
    recipe: Recipe,
    outcome: Outcome,
    metrics: Mapping[str, Any],
    *,
    with_users: bool = True,
    add: Callable[[Path], None] | None = None,
) -> Path:
    """Write the folder under a temporary name, then rename it; return where it is. Raises StorageError.

    `add` may put further files into the folder before it is sealed.
    """
    started = str(metrics["provenance"]["started"])
    stamp = datetime.fromisoformat(started).strftime("%Y%m%d-%H%M%S")
    draft = workplace.partial / "run"
    try:
        shutil.rmtree(draft, ignore_errors=True)  # what a killed process left
        draft.mkdir(parents=True)
        _write_files(draft, recipe, outcome, metrics, with_users)
        if add is not None:
            add(draft)
        _write_manifest(draft)
        final = _move(draft, workplace.root / f"{stamp}-{workplace.name}")
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise StorageError(
            f"cannot write the run into {workplace.root}: {error}; free space or choose another --out"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    workplace.clear()
    return final


def _move(draft: Path, folder: Path) -> Path:
    """Rename `draft` to `folder`, or to the first of `folder-2`, `folder-3`, … that is not taken; return its name."""
    candidate, number = folder, 1
    while True:
        try:
            return draft.rename(candidate)
        except OSError:
            # Asked after the attempt: two runs that end together would find the same name free.
            if not candidate.exists():
                raise
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")


def _write_files(draft: Path, recipe: Recipe, outcome: Outcome, metrics: Mapping[str, Any], with_users: bool) -> None:
    _write_json(draft / "recipe.json", recipe.in_use())
    _write_json(draft / "metrics.json", metrics)
    lines = [json.dumps(line) for line in outcome.history.as_lines()]
    (draft / "history.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _ranks(outcome).write_parquet(draft / "ranks.parquet")
    save_file(weights_of(outcome.model), draft / "model.safetensors")
    shutil.copymode(draft / "recipe.json", draft / "model.safetensors")  # else its owner alone could read it
    _items(outcome.prepared).write_parquet(draft / "items.parquet")
    if with_users:
        _users(outcome.prepared).sink_parquet(draft / "users.parquet")
    (draft / "README.md").write_text(model_card(recipe, outcome, metrics), encoding="utf-8")


def weights_of(model: Any) -> dict[str, Tensor]:
    """All numbers of a model by name."""
    tensors = model.state_dict() if isinstance(model, SequenceModel) else model.tensors()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _ranks(outcome: Outcome) -> pl.DataFrame:
    """Per case and part: user, target, how many items scored above it and how many the same."""
    log, split = outcome.prepared.log, outcome.prepared.split
    parts = (("validation", split.validation, outcome.validation), ("test", split.test, outcome.test))
    return pl.concat(
        pl.DataFrame(
            {
                "part": [name] * len(cases),
                "user": log.users.raw(report.users_C),
                "target": log.items.raw(cases.targets_C),
                "above": report.above_C.numpy(),
                "tied": report.tied_C.numpy(),
            }
        )
        for name, cases, report in parts
    )


def _users(prepared: Prepared) -> pl.LazyFrame:
    """Per user in index order: raw id and whole history, made some at a time while they are written."""
    log = prepared.log
    schema = pl.Schema({"user": log.users.ids.dtype, "history": pl.List(pl.Int64)})

    def frames(*_: object) -> Iterator[pl.DataFrame]:
        for part in log.sequences.parts():
            yield pl.DataFrame({"user": log.users.raw(part.users_U), "history": part.tolist()}, schema)

    return register_io_source(frames, schema=schema)


def _items(prepared: Prepared) -> pl.DataFrame:
    """Per item in index order: raw id, training count and title (null where unknown)."""
    ids = prepared.log.items.ids
    titles = [prepared.titles.get(item) for item in ids]
    counts = prepared.split.train.counts().numpy()
    return pl.DataFrame({"item": ids, "count": counts, "title": pl.Series(titles, dtype=pl.String)})


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_manifest(folder: Path) -> None:
    sums = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
    _write_json(folder / MANIFEST, {"sha256": sums})


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


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
            if _sha256(folder / name) != expected[name]:
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
