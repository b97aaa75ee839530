"""What is read from disk is a regular file of a size that may be read, and JSON of the fields that it must have."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import Field

from nextitem.settings.configuration import Configuration
from nextitem.storage import content_of, opened, parsed, sha256


class Card(Configuration):
    epochs: int = Field(ge=0)
    means: dict[str, float] = Field(default_factory=dict)


def bound(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(file))  # the whole path is too long for a socket's name


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is a named pipe, not a regular file"),
    "endless device": (lambda file: file.symlink_to("/dev/zero"), "is a device, not a regular file"),
    "folder": (Path.mkdir, "is a folder, not a regular file"),
    "socket": (bound, "is a socket, not a regular file"),
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("read", [opened, content_of, sha256])
def test_what_is_no_regular_file_is_refused_at_once(kind: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    make, fact = SPECIAL[kind]
    make(tmp_path / "file")
    with pytest.raises(ValueError, match=fact):
        read(tmp_path / "file")


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"of it")
    (tmp_path / "link").symlink_to("content")
    assert content_of(tmp_path / "link") == b"of it"


def test_a_link_to_nothing_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "link")


def test_a_file_that_is_larger_than_it_may_be_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as content:
        content.truncate(1 << 40)  # a hole: nothing on disk
    with pytest.raises(ValueError, match=r"has 1,099,511,627,776 bytes, where at most 67,108,864 are read"):
        content_of(tmp_path / "file")


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"null", "should be a table"),
        (b"", "Invalid JSON: EOF"),
        (b"{", "Invalid JSON: EOF"),
        (b"\xff", "Invalid JSON"),
        (b"[" * 3000 + b"]" * 3000, "Invalid JSON: recursion limit exceeded"),
        (b'{"epochs": ' + b"[" * 100_000, "Invalid JSON: recursion limit exceeded"),
        (b"{}", "epochs is missing and has no default"),
        (b'{"epochs": "many"}', 'epochs = "many" should be a whole number$'),
        (b'{"epochs": -1}', "epochs = -1 should be greater than or equal to 0"),
        (b'{"epochs": 1, "epoch": 2}', "epoch is not a known key"),
        (b'{"epochs": 1, "means": {"ndcg@10": NaN}}', "means.ndcg@10 = NaN should be a finite number"),
        (b'{"epochs": 1, "means": 3}', "means = 3 should be a table"),
        (b'{"epochs": 1, "a": 1, "b": 1, "c": 1, "d": 1}', "c is not a known key; and 1 more$"),
    ],
)
def test_json_of_other_fields_is_told_by_field_and_value(content: bytes, fact: str) -> None:
    with pytest.raises(ValueError, match=fact) as refused:
        parsed(Card, content)
    assert "\n" not in str(refused.value)
    assert "pydantic" not in str(refused.value)
