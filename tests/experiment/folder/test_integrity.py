"""A run that was altered, or is none, is refused; nothing of it is ever executed."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nextitem.errors import ArtefactError, StorageError
from nextitem.experiment.folder.reading import LISTS, RUN, Run, read_run
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
    RUN.seal(folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    kept = {name: value for name, value in (manifest["files"] | changes).items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(manifest | {"files": kept}))


def everything(folder: Path) -> Run:
    """A run of which every part was read."""
    run = read_run(folder)
    for part in ("weights", "items", "users", "ranks", "history"):
        getattr(run, part)
    return run


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
    fact = (
        r"its sha256 is not the one in manifest\.json" if change == "one bit" else r"it has [\d,]+ bytes and manifest"
    )
    with pytest.raises(ArtefactError, match=rf"{name} was altered: {fact}"):
        read_run(folder).proven()
    if name != "README.md":
        with pytest.raises(ArtefactError, match=f"{name} was altered"):
            everything(folder)


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST}))
def test_any_missing_file_is_noticed(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match=rf"{name} is missing; restore it or train anew"):
        read_run(folder).proven()


@pytest.mark.parametrize("name", sorted(FILES - {MANIFEST, "README.md", "users.parquet"}))
def test_a_file_that_the_manifest_does_not_name_is_not_trusted(name: str, folder: Path) -> None:
    declare(folder, **{name: None})
    message = rf"{name} is not named by manifest\.json; restore it or train anew"
    with pytest.raises(ArtefactError, match=message):
        everything(folder)


def test_users_that_the_manifest_does_not_name_are_not_read(folder: Path) -> None:
    declare(folder, **{"users.parquet": None})
    with pytest.raises(ArtefactError, match=r"users\.parquet is not named by manifest\.json; restore it or train anew"):
        read_run(folder).users  # noqa: B018 - reading it is the point
    (folder / "users.parquet").unlink()
    assert read_run(folder).users is None


@pytest.mark.parametrize("content", [
    "", "{", "[]", "3", "\udcff", '{"version": "two"}', '{"version": 2}',
    '{"format": "nextitem run", "version": 2, "files": 3}',
])  # fmt: skip
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
        everything(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ".", "", "manifest.json", "a\0b"])
def test_a_manifest_names_nothing_but_files_of_its_folder(name: str, folder: Path) -> None:
    declare(folder, **{name: {"bytes": 1, "sha256": "0" * 64}})
    with pytest.raises(ArtefactError, match=r"(?s)cannot be read as a run: .*should be the plain name of a file"):
        read_run(folder)


@pytest.mark.parametrize(
    ("manifest", "fact"),
    [
        ({"sha256": {"recipe.json": "0" * 64}}, "an older format: it has version 1"),
        (
            {"format": "nextitem run", "version": 1},
            "an older format: it has version 1",
        ),
        (
            {"format": "nextitem run", "version": 3},
            "a newer format: it has version 3",
        ),
    ],
)
def test_a_run_of_another_format_is_refused_with_what_to_do(
    manifest: dict[str, object], fact: str, folder: Path
) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtefactError, match=f"is a run of {fact}, and .* version 2; train anew") as refused:
        read_run(folder)
    assert refused.value.exit_code == 4


def test_metrics_of_another_format_are_refused(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"format": 1}))
    declare(folder)
    with pytest.raises(ArtefactError, match=r"(?s)cannot be read as a run: .*format"):
        read_run(folder)


def test_another_kind_of_folder_is_called_what_it_is(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"format": "nextitem prepared log", "version": 2}')
    with pytest.raises(ArtefactError, match=r"is not a run but a prepared log; give a folder that `nextitem train`"):
        read_run(folder)


def test_a_part_is_proven_when_it_is_read_and_no_sooner(folder: Path) -> None:
    run = read_run(folder)
    (folder / "ranks.parquet").write_bytes(b"somebody else's")
    assert run.items.height > 0
    assert run.proven("items.parquet") is run
    with pytest.raises(ArtefactError, match=r"ranks\.parquet was altered"):
        run.ranks  # noqa: B018 - reading it is the point
    with pytest.raises(ArtefactError, match=r"ranks\.parquet was altered"):
        run.proven()


@pytest.mark.parametrize("name", ["README.md", "ranks.parquet", "history.jsonl"])
@pytest.mark.parametrize("change", [Path.unlink, lambda file: file.write_text("mine"), Path.mkdir])
def test_what_an_answer_does_not_rest_on_is_told_and_not_missed(
    name: str, change: Callable[[Path], object], folder: Path
) -> None:
    if change == Path.mkdir:
        (folder / name).unlink()
    change(folder / name)
    run = read_run(folder).proven(*LISTS)
    (told,) = run.doubts(*LISTS)
    assert told.startswith(f"{folder / name} ")
    assert told.endswith("; nothing here rests on it")
    assert run.doubts(*LISTS, name) == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("make", [os.mkfifo, lambda file: file.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_nothing_is_waited_for_that_has_no_end(name: str, make: Callable[[Path], object], folder: Path) -> None:
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(ArtefactError, match=rf"{name}.* is a (named pipe|device), not a regular file; restore it or"):
        read_run(folder).proven()


def test_a_file_that_is_a_link_to_the_same_content_is_as_good(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").rename(tmp_path / "elsewhere")
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    assert everything(folder).weights


def test_a_folder_that_is_no_run_is_refused_with_advice(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArtefactError, match=r"is not a run: it has no manifest\.json; give a folder that"):
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
    if name == "README.md":
        everything(folder)
    else:
        with pytest.raises(ArtefactError):
            everything(folder)
    assert not (tmp_path / "sprung").exists()
    torch.load((folder / name).rename(tmp_path / "trap.pt"), weights_only=False)  # noqa: TID251 - it would have
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EIO])
def test_what_the_system_does_not_let_one_read_is_not_to_be_trained_anew(
    reason: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (MANIFEST, "recipe.json", "model.safetensors"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refusing(folder / name, reason))
            with pytest.raises(StorageError, match=f"{name} cannot be read: ") as caught:
                everything(folder)
        assert "train anew" not in str(caught.value)


def test_an_unreadable_file_that_nothing_rests_on_is_told_and_not_missed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = read_run(folder).proven(*LISTS)
    monkeypatch.setattr(os, "open", refusing(folder / "ranks.parquet", errno.EACCES))
    (doubt,) = run.doubts(*LISTS)
    assert doubt.startswith(f"{folder / 'ranks.parquet'} cannot be read: [Errno 13] Permission denied")
    assert doubt.endswith("; nothing here rests on it")


def refusing(file: Path, reason: int) -> Callable[..., int]:
    """`os.open`, which refuses one file for this reason."""
    before = os.open

    def opening(path: Path, *arguments: int, **named: int) -> int:
        if path == file:
            raise OSError(reason, os.strerror(reason), str(path))
        return before(path, *arguments, **named)

    return opening
