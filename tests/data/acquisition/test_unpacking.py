"""A dataset that comes as a zip, from a server of this test: verified, unpacked once, and unpacked again if lost."""

import dataclasses
import functools
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextitem.data.acquisition import load, local, locate
from nextitem.data.datasets import DATASETS
from nextitem.data.description import Description
from nextitem.errors import DataError, StorageError

EVENTS = b"1 2\n1 3\n2 3\n"


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, EVENTS)
    return content.getvalue()


def described(content: bytes, address: str = "http://127.0.0.1:9/never") -> Description:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return Description(
        name="tiny", title="Tiny", file="tiny.txt", archive="tiny.zip", address=address, size=None, git_blob=blob,
        users=2, items=2, events=3, source="this test", terms="none",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NEXTITEM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NEXTITEM_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("nextitem.data.acquisition.downloading._PAUSE", 0.01)
    (tmp_path / "cache" / "nextitem").mkdir(parents=True)
    return tmp_path / "cache" / "nextitem"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of a web server that sends its files."""
    folder = tmp_path / "origin"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_zip_is_downloaded_verified_and_unpacked(origin: tuple[Path, str], cache: Path) -> None:
    folder, address = origin
    (folder / "tiny.zip").write_bytes(zipped("tiny.txt"))
    description = described(zipped("tiny.txt"), f"{address}/tiny.zip")
    assert len(load(description)) == 3
    assert sorted(entry.name for entry in cache.iterdir()) == ["tiny.txt", "tiny.zip"]
    (folder / "tiny.zip").unlink()  # from now on the cache suffices
    before = (cache / "tiny.txt").stat()
    assert locate(description) == cache / "tiny.txt"
    assert (cache / "tiny.txt").stat().st_mtime_ns == before.st_mtime_ns


def test_another_zip_than_the_published_one_is_refused(origin: tuple[Path, str], cache: Path) -> None:
    folder, address = origin
    (folder / "tiny.zip").write_bytes(zipped("other.txt"))
    with pytest.raises(DataError, match=r"did not send the published tiny: its git blob id is .*as tiny.zip into"):
        locate(described(zipped("tiny.txt"), f"{address}/tiny.zip"))
    assert not list(cache.iterdir())


def test_what_is_missing_at_the_origin_is_a_storage_error(origin: tuple[Path, str]) -> None:
    with pytest.raises(StorageError, match="answers 404"):
        locate(described(zipped("tiny.txt"), f"{origin[1]}/tiny.zip"))


@pytest.mark.parametrize("left", [None, b"", EVENTS[:5], EVENTS.replace(b"3", b"4")])
def test_lost_or_altered_events_are_unpacked_again(left: bytes | None, cache: Path) -> None:
    content = zipped("data/tiny.txt", "__MACOSX/._tiny.txt")
    (cache / "tiny.zip").write_bytes(content)
    if left is not None:
        (cache / "tiny.txt").write_bytes(left)
    assert locate(described(content)).read_bytes() == EVENTS
    assert sorted(entry.name for entry in cache.iterdir()) == ["tiny.txt", "tiny.zip"]


@pytest.mark.parametrize("names", [(), ("a.txt", "b.txt")])
def test_a_zip_that_does_not_hold_one_file_is_refused(names: tuple[str, ...], cache: Path) -> None:
    (cache / "tiny.zip").write_bytes(zipped(*names))
    with pytest.raises(DataError, match=f"holds {len(names)} files, and tiny is described as one"):
        locate(described(zipped(*names)))


def test_what_is_no_zip_is_refused(cache: Path) -> None:
    (cache / "tiny.zip").write_bytes(EVENTS)
    with pytest.raises(DataError, match="cannot be unpacked"):
        locate(described(EVENTS))


def test_a_file_of_unpublished_size_is_verified_by_its_own_size(cache: Path) -> None:
    plain = dataclasses.replace(described(EVENTS), archive="")
    assert local(plain) is None
    (cache / "tiny.txt").write_bytes(EVENTS)
    assert local(plain) == cache / "tiny.txt"
    (cache / "tiny.txt").write_bytes(EVENTS + b"\n")
    with pytest.raises(DataError, match="its git blob id is"):
        local(plain)


@pytest.mark.parametrize(("told", "unit"), [(3, 1), (0, 10), (4, 2)])
def test_a_rounded_number_of_events_is_compared_as_rounded(told: int, unit: int, cache: Path) -> None:
    (cache / "tiny.zip").write_bytes(zipped("tiny.txt"))
    rounded = dataclasses.replace(described(zipped("tiny.txt")), events=told, events_rounded_to=unit)
    assert len(load(rounded)) == 3
    with pytest.raises(DataError, match="was read as"):
        load(dataclasses.replace(rounded, events=told + unit))


@pytest.mark.parametrize("name", ["ml-20m", "steam", "yelp"])
def test_the_large_datasets_are_described_as_published(name: str) -> None:
    counts = {
        "ml-20m": (138_493, 26_744, 20_000_000),
        "steam": (281_428, 13_044, 3_500_000),
        "yelp": (279_106, 148_415, 4_350_510),
    }
    one = DATASETS[name]
    assert (one.users, one.items, one.events) == counts[name]
    assert one.address.endswith(one.archive or one.file)
    assert len(one.git_blob) == 40
