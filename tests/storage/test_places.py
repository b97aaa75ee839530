"""What lies at a path is said in words, and a folder that may not be entered is an error of the system."""

import os
from pathlib import Path

import pytest

from nextitem.errors import StorageError
from nextitem.storage.places import DANGLING, is_file, is_folder, what_is_at


def test_files_folders_and_links_to_them_are_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "link").symlink_to(file)
    (tmp_path / "to folder").symlink_to(tmp_path)
    assert [what_is_at(tmp_path / name) for name in ("file", "link", ".", "to folder")] == [
        "a file", "a file", "a folder", "a folder",
    ]  # fmt: skip
    assert is_file(file)
    assert not is_file(tmp_path)
    assert is_folder(tmp_path)


@pytest.mark.parametrize("name", ["nothing", "file/below", "n" * 5_000, "a\0b"])
def test_what_cannot_be_is_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert what_is_at(tmp_path / name) is None


def test_links_to_nothing_and_to_themselves_are_told_from_nothing(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "circle").symlink_to("circle")
    assert what_is_at(tmp_path / "dangling") == DANGLING
    assert what_is_at(tmp_path / "circle") == DANGLING


def test_other_kinds_have_names(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert what_is_at(tmp_path / "pipe") == "a named pipe"
    assert what_is_at(Path("/dev/zero")) == "a device"


def test_a_folder_that_may_not_be_entered_is_named(locked: Path) -> None:
    with pytest.raises(StorageError) as caught:
        what_is_at(locked / "log.csv")
    assert str(caught.value) == (
        f"{locked / 'log.csv'} cannot be looked at: Permission denied; correct the permissions of the folders that it "
        f"is in"
    )
