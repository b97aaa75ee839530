"""A training in progress as one file that is replaced as a whole after every epoch; nothing is unpickled."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.model.weights import below, check_alike
from nextitem.storage import Made, bytes_of, cannot_read, make_folder, opened, refusals, whole_file, write_tensors
from nextitem.training.history import epochs_of
from nextitem.training.session import Progress

_WORDS = ("identity", "epochs", "best_epoch")
_IDENTITY = TypeAdapter(dict[str, str])
_BEST_EPOCH = TypeAdapter(Annotated[int, Field(ge=0)])


@dataclass(frozen=True)
class FileCheckpoint:
    """Keeps the latest epoch in `path`.

    `identity` (recipe, data, seed, machine) must be equal when training goes on: a run that is resumed in another
    setting would end elsewhere than an uninterrupted one, and nobody would see it.
    """

    path: Path
    identity: Mapping[str, str]

    def part(self, number: int) -> "FileCheckpoint":
        """The checkpoint of one of several trainings under one identity; the first has the file itself."""
        name = f"{self.path.stem}-{number}{self.path.suffix}"
        return replace(self, path=self.path.with_name(name)) if number else self

    def save(self, progress: Progress) -> None:
        """Write the state after an epoch. Raises StorageError when it cannot be written."""
        tensors = progress.tensors()
        words = {
            "identity": json.dumps(dict(self.identity), sort_keys=True),
            "epochs": "\n".join(json.dumps(line) for line in progress.history.as_lines()),
            "best_epoch": str(progress.history.best_epoch),
        }
        with refusals(f"the checkpoint {self.path}"):
            make_folder(self.path.parent)
            with whole_file(self.path) as draft:
                write_tensors(draft, tensors, words | {"sha256": fingerprint(words, tensors)})

    def attend(self, progress: Progress) -> None:
        """Put tensors together with the process that saves them, which reads them twice: to prove and to write them."""
        tensors = progress.tensors()
        for _ in range(2):
            for name in sorted(tensors):
                tensor = tensors[name]
                if isinstance(tensor, Made):
                    tensor.make()

    def load(self, progress: Progress) -> None:
        """Restore the saved epoch, if there is one; where it is refused, nothing was touched.

        Raises ArtefactError for a file that is no checkpoint, that was altered or that is of another model,
        StorageError where the system does not let one read it, and ConfigurationError where the identity differs.
        """
        if not self.path.exists():
            return
        words, tensors = _read(self.path, progress.own)
        try:
            saved = _IDENTITY.validate_json(words["identity"], strict=True)
            epochs = epochs_of(words["epochs"].encode().splitlines())
            best_epoch = _BEST_EPOCH.validate_json(words["best_epoch"], strict=True)
        except ValueError as error:
            raise ArtefactError(f"{self.path} does not fit: {error}; train anew by --fresh") from error
        self._check(saved)
        parts = {part: below(f"{part}/", tensors) for part in ("model", "best", "optimiser")}
        try:
            if best_epoch > len(epochs):
                raise ValueError(f"best_epoch = {best_epoch:,} is none of {len(epochs):,} epochs")
            wanted = progress.model.state_dict()
            for part in ("model", "best"):
                if parts[part] or part == "model":
                    check_alike(parts[part], wanted)
                _check_finite(part, parts[part])
            progress.descent.restore(parts["optimiser"])
        except (KeyError, ValueError) as error:
            raise ArtefactError(f"{self.path} does not fit: {error}; train anew by --fresh") from error
        progress.model.load_state_dict(parts["model"])
        progress.best_weights = parts["best"] or None
        progress.history.epochs, progress.history.best_epoch = epochs, best_epoch

    def _check(self, saved: Mapping[str, str]) -> None:
        """Raises ConfigurationError where what was saved is of another training."""
        wanted = dict(self.identity)
        different = sorted(key for key in wanted | dict(saved) if wanted.get(key) != saved.get(key))
        if different:
            facts = "; ".join(f"{key} was {saved.get(key)}, is {wanted.get(key)}" for key in different)
            raise ConfigurationError(
                f"{self.path} cannot be continued exactly: {facts}; use the same setting, or train anew by --fresh"
            )


def identity_in(path: Path) -> dict[str, str]:
    """What a checkpoint says that it is of; nothing where there is none, or none that `load` would go on from."""
    try:
        opened(path).close()
        with safe_open(path, framework="pt") as file:
            return _IDENTITY.validate_json((file.metadata() or {})["identity"], strict=True)
    except (OSError, SafetensorError, KeyError, ValueError):
        return {}


class _Fingerprint:
    """sha256 of all words and of the names, types, shapes and bytes of all tensors, in the order of their names."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._digest = hashlib.sha256(json.dumps([words[name] for name in _WORDS]).encode())

    def add(self, name: str, tensor: Tensor | Made) -> None:
        """Count the next tensor."""
        self._digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        self._digest.update(bytes_of(tensor))

    def __str__(self) -> str:
        return self._digest.hexdigest()


def fingerprint(words: Mapping[str, str], tensors: Mapping[str, Tensor | Made]) -> str:
    """sha256 of all words and of the names, types, shapes and bytes of all tensors."""
    found = _Fingerprint(words)
    for name in sorted(tensors):
        found.add(name, tensors[name])
    return str(found)


def _read(path: Path, own: Callable[[str, Tensor], Tensor]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What is said about a checkpoint, and of its tensors what `own` makes of them. Raises as `FileCheckpoint.load`."""
    try:
        opened(path).close()
        with safe_open(path, framework="pt") as file:
            words = file.metadata() or {}
            if words.keys() != {*_WORDS, "sha256"}:
                raise ArtefactError(f"{path} is not a checkpoint of a training by this version; train anew by --fresh")
            found, tensors = _Fingerprint(words), dict[str, Tensor]()
            for name in sorted(file.keys()):
                tensor = file.get_tensor(name)
                found.add(name, tensor)
                tensors[name] = own(name, tensor)
    except OSError as error:
        raise cannot_read(path, error) from error
    except (SafetensorError, ValueError) as error:
        raise ArtefactError(f"{path} cannot be read as a checkpoint: {error}; train anew by --fresh") from error
    if words["sha256"] != str(found):
        raise ArtefactError(f"{path} was altered: its content has another sha256 than it says; train anew by --fresh")
    return words, tensors


def _check_finite(part: str, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{part}/{name} holds numbers that are not finite")
