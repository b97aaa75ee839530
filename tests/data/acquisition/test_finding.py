"""A dataset's file is the published one, or there is an error and nothing half-written."""

import dataclasses
import gzip
import hashlib
import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextitem.data.acquisition import load, local, locate
from nextitem.data.datasets.beauty import BEAUTY
from nextitem.data.datasets.ml_1m import ML_1M
from nextitem.data.datasets.ml_100k import ML_100K
from nextitem.data.description import Description
from nextitem.errors import ConfigurationError, DataError, StorageError

CONTENT = b"1 2\n1 3\n2 3\n"
OTHER = b"1 2\n1 3\n2 4\n"


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Origin(http.server.BaseHTTPRequestHandler):
    """Answers by path: the content, another, a page, too much, or not at all."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        sent = {
            "/right": CONTENT,
            "/other": OTHER,
            "/page": b"<html>",
            "/long": CONTENT * 3,
        }.get(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/right")
            self.end_headers()
        elif sent is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def origin() -> Iterator[str]:
    """The address of a web server of this test."""
    Origin.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test, with no other folder and no proxy in the way."""
    monkeypatch.delenv("NEXTITEM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NEXTITEM_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("nextitem.data.acquisition.downloading._PAUSE", 0.01)
    return tmp_path / "cache" / "nextitem"


@pytest.fixture
def given_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that NEXTITEM_DATA names."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("NEXTITEM_DATA", str(folder))
    return folder


def names_in(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def described(address: str = "http://127.0.0.1:9/never") -> Description:
    return Description(
        name="tiny",
        title="Tiny",
        file="tiny.txt",
        address=address,
        size=len(CONTENT),
        git_blob=git_blob(CONTENT),
        users=2,
        items=2,
        events=3,
        source="this test",
        terms="none",
    )


def by_hand(description: Description) -> str:
    return (
        f"try again, or put its content ({description.size} bytes, git blob {description.git_blob}) as tiny.txt or "
        f"tiny.txt.gz into the folder that NEXTITEM_DATA names"
    )


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_already_there_is_used_as_it_is(given_folder: Path, compressed: bool) -> None:
    file = given_folder / ("tiny.txt.gz" if compressed else "tiny.txt")
    file.write_bytes(gzip.compress(CONTENT) if compressed else CONTENT)
    before = file.stat()
    assert locate(described()) == file
    assert names_in(given_folder) == [file.name]
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert load(described()).events.rows() == [(1, 2), (1, 3), (2, 3)]


def test_a_file_of_other_content_is_refused_and_kept(given_folder: Path) -> None:
    file = given_folder / "tiny.txt"
    file.write_bytes(OTHER)
    with pytest.raises(DataError) as caught:
        locate(described())
    assert str(caught.value) == (
        f"{file} is not the published tiny: its git blob id is {git_blob(OTHER)}, expected {git_blob(CONTENT)}; "
        f"replace it by the content of http://127.0.0.1:9/never, or remove it to have that downloaded"
    )
    assert file.read_bytes() == OTHER


@pytest.mark.parametrize(
    ("content", "difference"),
    [
        (CONTENT[:-1], "it has 11 bytes, expected 12"),
        (CONTENT + b"3", "it has more than the expected 12 bytes"),
        (b"", "0 bytes"),
    ],
)
def test_a_file_of_another_size_is_refused(given_folder: Path, content: bytes, difference: str) -> None:
    (given_folder / "tiny.txt").write_bytes(content)
    with pytest.raises(DataError, match=difference):
        locate(described())


def test_a_damaged_gzip_file_is_refused(given_folder: Path) -> None:
    (given_folder / "tiny.txt.gz").write_bytes(gzip.compress(CONTENT)[:-3])
    with pytest.raises(DataError, match=r"tiny\.txt\.gz is not a complete gzip file"):
        locate(described())


def test_a_file_that_may_not_be_read_is_a_storage_error(given_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: Path, flags: int) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    (given_folder / "tiny.txt").write_bytes(CONTENT)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match="could not be read: Permission denied"):
        locate(described())


def test_what_is_not_there_is_downloaded_once_into_the_cache(origin: str, cache: Path) -> None:
    for path in ("/right", "/never-asked"):
        file = locate(described(f"{origin}{path}"))
        assert file == cache / "tiny.txt"
        assert file.read_bytes() == CONTENT
    assert Origin.asked == ["/right"]
    assert names_in(cache) == ["tiny.txt"]


def test_a_download_goes_to_the_folder_that_is_named(origin: str, given_folder: Path, cache: Path) -> None:
    assert locate(described(f"{origin}/moved")) == given_folder / "tiny.txt"
    assert names_in(given_folder) == ["tiny.txt"]
    assert not cache.exists()


def test_a_download_goes_to_the_cache_where_the_named_folder_cannot_be_written(
    origin: str, given_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    for _ in range(2):
        assert locate(described(f"{origin}/right")) == cache / "tiny.txt"
    assert Origin.asked == ["/right"]


def test_the_cache_is_in_the_home_folder_by_default(
    origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(described(f"{origin}/right")) == tmp_path / ".cache" / "nextitem" / "tiny.txt"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose user has no account and that was told of no home."""

    def no_home(folder: Path | None = None) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(Path, "expanduser", lambda path: no_home() if str(path).startswith("~") else path)


@pytest.mark.usefixtures("homeless")
def test_who_has_no_home_finds_data_in_the_folder_that_was_given(given_folder: Path, origin: str) -> None:
    assert local(described()) is None
    assert locate(described(f"{origin}/right")) == given_folder / "tiny.txt"
    assert local(described()) == given_folder / "tiny.txt"
    assert locate(described()) == given_folder / "tiny.txt"


@pytest.mark.usefixtures("homeless")
def test_who_has_no_home_and_no_data_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError) as caught:
        locate(described())
    assert str(caught.value) == (
        "there is no place for data: HOME is not set, and whoever this process belongs to has no account with a home; "
        "name a folder by NEXTITEM_DATA, or one for caches by XDG_CACHE_HOME"
    )
    monkeypatch.setenv("NEXTITEM_DATA", "~/data")
    with pytest.raises(
        ConfigurationError, match="~/data: it is not known where that home folder is; write the path out"
    ):
        locate(described())


def test_a_folder_of_data_that_may_not_be_entered_is_named(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (locked, locked / "data"):
        monkeypatch.setenv("NEXTITEM_DATA", str(name))
        with pytest.raises(StorageError, match=r"locked/.* cannot be looked at: Permission denied; correct the perm"):
            locate(described())


@pytest.mark.parametrize(
    ("path", "kind", "fact"),
    [
        ("/other", DataError, f"did not send the published tiny: its git blob id is {git_blob(OTHER)}, expected "),
        ("/page", DataError, "did not send the published tiny: it has 6 bytes, expected 12"),
        ("/long", DataError, "did not send the published tiny: it has more than the expected 12 bytes"),
        ("/missing", StorageError, "answers 404 Not Found"),
    ],
)
def test_a_download_that_fails_leaves_nothing(
    origin: str, given_folder: Path, path: str, kind: type[Exception], fact: str
) -> None:
    description = described(f"{origin}{path}")
    with pytest.raises(kind, match=fact) as caught:
        locate(description, timeout=0.5)
    assert str(caught.value).startswith(f"{origin}{path} ")
    assert str(caught.value).endswith(by_hand(description))
    assert names_in(given_folder) == []


def test_a_server_that_cannot_be_reached_is_a_storage_error(given_folder: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        description = described(f"http://127.0.0.1:{unused.getsockname()[1]}/right")
        with pytest.raises(StorageError, match=r"cannot be reached .*refused") as caught:
            locate(description)
    assert str(caught.value).endswith(by_hand(description))
    assert names_in(given_folder) == []


def test_a_cache_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(StorageError, match=r"could not be downloaded to .*Not a directory"):
        locate(described())


def test_a_name_that_is_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXTITEM_DATA", str(tmp_path / "no"))
    with pytest.raises(ConfigurationError) as caught:
        locate(described())
    assert str(caught.value) == (
        f"NEXTITEM_DATA={tmp_path / 'no'} is not a folder; create it, correct the name or unset the variable"
    )


def test_counts_other_than_the_published_ones_are_refused(given_folder: Path) -> None:
    (given_folder / "tiny.txt").write_bytes(CONTENT)
    with pytest.raises(DataError) as caught:
        load(dataclasses.replace(described(), items=5))
    assert str(caught.value) == (
        f"{given_folder / 'tiny.txt'} was read as (users, items, events) = (2, 2, 3), but tiny is described by "
        f"(2, 5, 3); the content is the published one, so correct the description"
    )


@pytest.mark.parametrize("description", [ML_100K, ML_1M, BEAUTY], ids=lambda description: description.name)
def test_published_datasets_are_what_they_are_described_to_be(
    description: Description, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not any((data_folder / name).is_file() for name in (description.file, f"{description.file}.gz")):
        pytest.skip(f"there is no {description.file} in the folder that NEXTITEM_DATA names")
    monkeypatch.setenv("NEXTITEM_DATA", str(data_folder))
    assert len(load(description)) == description.events
