"""A training in progress as one file that is replaced as a whole after every epoch; nothing is unpickled."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.storage import make_folder, refusals, whole_file, write_tensors
from nextitem.training.history import Epoch
from nextitem.training.session import Progress


@dataclass(frozen=True)
class FileCheckpoint:
    """Keeps the latest epoch in `path`.

    `identity` (recipe, data, seed, machine) must be equal when training goes on: a run that is resumed in another
    setting would end elsewhere than an uninterrupted one, and nobody would see it.
    """

    path: Path
    identity: Mapping[str, str]

    def save(self, progress: Progress) -> None:
        """Write the state after an epoch. Raises StorageError when it cannot be written."""
        tensors = {f"model/{name}": weight for name, weight in progress.model.state_dict().items()}
        tensors |= {f"best/{name}": weight for name, weight in (progress.best_weights or {}).items()}
        tensors |= {f"optimiser/{name}": value for name, value in progress.descent.tensors().items()}
        words = {
            "identity": json.dumps(dict(self.identity), sort_keys=True),
            "epochs": json.dumps(progress.history.as_lines()),
            "best_epoch": str(progress.history.best_epoch),
        }
        with refusals(f"the checkpoint {self.path}"):
            make_folder(self.path.parent)
            with whole_file(self.path) as draft:
                write_tensors(draft, tensors, words)

    def load(self, progress: Progress) -> None:
        """Restore the saved epoch, if there is one.

        Raises ConfigurationError where the identity differs, ArtefactError for a file that is no checkpoint.
        """
        if not self.path.exists():
            return
        words, tensors = _read(self.path)
        saved, wanted = words["identity"], dict(self.identity)
        different = sorted(key for key in wanted | saved if wanted.get(key) != saved.get(key))
        if different:
            facts = "; ".join(f"{key} was {saved.get(key)}, is {wanted.get(key)}" for key in different)
            raise ConfigurationError(
                f"{self.path} cannot be continued exactly: {facts}; use the same setting, or train anew by --fresh"
            )
        try:
            progress.model.load_state_dict(_below("model/", tensors))
            progress.best_weights = _below("best/", tensors) or None
            progress.descent.restore(_below("optimiser/", tensors))
            progress.history.epochs = [Epoch(**line) for line in words["epochs"]]
            progress.history.best_epoch = words["best_epoch"]
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ArtefactError(f"{self.path} does not fit: {error}; train anew by --fresh") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What is said about a checkpoint, and its tensors."""
    names = ("identity", "epochs", "best_epoch")
    try:
        with safe_open(path, framework="pt") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        facts = {name: json.loads(words[name]) for name in names if name in words}
    except (OSError, SafetensorError, ValueError) as error:
        raise ArtefactError(f"{path} cannot be read as a checkpoint: {error}; train anew by --fresh") from error
    if facts.keys() != set(names) or not isinstance(facts["identity"], dict):
        raise ArtefactError(f"{path} is not a checkpoint of a training; train anew by --fresh")
    return facts, tensors


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
