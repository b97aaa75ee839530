"""A run that was altered, or is none, is refused; nothing of it is ever executed."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nextitem.errors import ArtefactError
from nextitem.experiment.folder.stored import read_run
from nextitem.storage import MANIFEST
from worlds.stored_runs import FILES, written


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def folder(stored: Path, tmp_path: Path) -> Path:
    """A copy of the run, to do anything to."""
    return shutil.copytree(stored, tmp_path / "run")


def declare(folder: Path, **changes: object) -> None:
    """Write the manifest anew, as somebody would who alters files on purpose; None leaves a file out of it."""
    files = sorted(file for file in folder.iterdir() if file.name != MANIFEST)
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    kept = {name: value for name, value in (sums | changes).items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps({"sha256": kept}))


def test_whoever_may_read_one_file_may_read_all(stored: Path) -> None:
    assert len({file.stat().st_mode for file in stored.iterdir()}) == 1


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST}))
@pytest.mark.parametrize("change", ["one bit", "truncated", "longer"])
def test_any_altered_file_is_noticed(name: str, change: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    middle = len(content) // 2
    altered = {
        "one bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "truncated": content[:-1],
        "longer": content + b"\0",
    }[change]
    (folder / name).write_bytes(altered)
    with pytest.raises(ArtefactError, match=rf"{name} was altered: its sha256 is not the one in manifest\.json"):
        read_run(folder)


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST}))
def test_any_missing_file_is_noticed(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match=rf"cannot be read as a run: .*{name}"):
        read_run(folder)


@pytest.mark.parametrize("name", ["recipe.json", "metrics.json", "model.safetensors", "items.parquet"])
def test_a_file_that_the_manifest_does_not_name_is_not_trusted(name: str, folder: Path) -> None:
    declare(folder, **{name: None})
    with pytest.raises(ArtefactError, match=f"cannot be read as a run: '{name}'"):
        read_run(folder)


def test_users_that_the_manifest_does_not_name_are_not_read(folder: Path) -> None:
    declare(folder, **{"users.parquet": None})
    assert read_run(folder).users is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"sha256": 3}', '{"sha256": ["recipe.json"]}', "\udcff"])
def test_a_manifest_that_is_none_is_refused(content: str, folder: Path) -> None:
    (folder / MANIFEST).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ArtefactError, match="cannot be read as a run"):
        read_run(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipe.json", b'{"encoder": {"name": "unheard-of"}}'),
        ("recipe.json", b"{"),
        ("metrics.json", b"\xff"),
        ("model.safetensors", b"not tensors"),
        ("items.parquet", b"not a table"),
        ("users.parquet", b"not a table"),
    ],
)
def test_a_file_of_other_content_is_refused_even_if_the_manifest_agrees(
    name: str, content: bytes, folder: Path
) -> None:
    (folder / name).write_bytes(content)
    declare(folder)
    with pytest.raises(ArtefactError, match="cannot be read as a run"):
        read_run(folder)


def test_a_folder_that_is_no_run_is_refused_with_advice(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArtefactError, match=r"is not a run: it has no manifest\.json; give the folder that"):
            read_run(folder)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("name", sorted(FILES))
def test_nothing_is_ever_unpickled(name: str, folder: Path, tmp_path: Path) -> None:
    torch.save(Trap(tmp_path / "sprung"), folder / name)  # noqa: TID251 - the trap itself
    if name != MANIFEST:
        declare(folder)
    if name in ("README.md", "history.jsonl", "ranks.parquet"):
        read_run(folder)  # not needed to use a model
    else:
        with pytest.raises(ArtefactError):
            read_run(folder)
    assert not (tmp_path / "sprung").exists()
    torch.load((folder / name).rename(tmp_path / "trap.pt"), weights_only=False)  # noqa: TID251 - it would have
    assert (tmp_path / "sprung").exists()
