"""A server that drops, truncates, lies and is slow: in the end the published file is there, or an error and no file."""

import hashlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nextitem.data.acquisition.downloading import download
from nextitem.data.description import Description
from nextitem.errors import ConfigurationError, DataError, StorageError
from nextitem.storage import alone_in

CONTENT = b"".join(b"%d %d\n" % (user, item) for user in range(900) for item in range(10))
OTHER = CONTENT.replace(b"899 9", b"899 8")
BLOB = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
TAG, LATER_TAG = '"one"', '"two"'


class Server(http.server.ThreadingHTTPServer):
    """Answers the requests one after the other as `script` says, and the rest by the last of it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Callable[[Handler], None]] = [whole]
        self.asked: list[str] = []
        self.is_over = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/tiny.txt"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    @property
    def start(self) -> int:
        """Where the client wants to begin."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def do_GET(self) -> None:
        place = min(len(self.server.asked), len(self.server.script) - 1)
        self.server.asked.append(f"{self.start} {self.headers.get('If-Range', '')}".strip())
        self.server.script[place](self)

    def answer(self, code: int, sent: bytes, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""


def whole(handler: Handler) -> None:
    """The file, or what of it was asked for, as servers do."""
    start = handler.start
    if start and handler.headers.get("If-Range", TAG) == TAG:
        part = CONTENT[start:]
        of = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.answer(206, part, Content_Length=len(part), Content_Range=of, ETag=TAG)
    else:
        handler.answer(200, CONTENT, Content_Length=len(CONTENT), ETag=TAG)


def cut(size: int, tag: str = TAG) -> Callable[[Handler], None]:
    """The first bytes of what was announced, and the end."""

    def send(handler: Handler) -> None:
        start = handler.start
        code = 206 if start else 200
        of = {"Content_Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
        tags = {"ETag": tag} if tag else {}
        handler.answer(code, CONTENT[start : start + size], Content_Length=len(CONTENT) - start, **of, **tags)

    return send


def failing(code: int, **headers: object) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(code, b"", Content_Length=0, **headers)


def dropped(handler: Handler) -> None:
    """The connection is gone before a word."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def plain(content: bytes) -> Callable[[Handler], None]:
    """This content, whatever was asked for, from a server that knows neither parts nor tags."""
    return lambda handler: handler.answer(200, content, Content_Length=len(content))


def endless(handler: Handler) -> None:
    """More and more, with no length told."""
    handler.answer(200, b"")
    try:
        while not handler.server.is_over.is_set():
            handler.wfile.write(CONTENT)
    except OSError:
        return


def silent_after(size: int) -> Callable[[Handler], None]:
    """A few bytes, and then nothing while the connection stays."""

    def send(handler: Handler) -> None:
        handler.answer(200, CONTENT[:size], Content_Length=len(CONTENT), ETag=TAG)
        handler.server.is_over.wait(10)

    return send


def trickling(handler: Handler) -> None:
    """A byte at a time, forever."""
    handler.answer(200, b"", Content_Length=len(CONTENT), ETag=TAG)
    try:
        for place in range(len(CONTENT)):
            handler.wfile.write(CONTENT[place : place + 1])
            if handler.server.is_over.wait(0.02):
                return
    except OSError:
        return


def wrong_place(handler: Handler) -> None:
    """Another part than the one that was asked for."""
    of = f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"
    handler.answer(206, CONTENT, Content_Length=len(CONTENT), Content_Range=of, ETag=TAG)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.is_over.set()
        one.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXTITEM_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("nextitem.data.acquisition.downloading._PAUSE", 0.01)


def described(server: Server, size: int | None = len(CONTENT)) -> Description:
    return Description(
        name="tiny", title="Tiny", file="tiny.txt", address=server.address, size=size, git_blob=BLOB,
        users=900, items=10, events=9000, source="this test", terms="none",
    )  # fmt: skip


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        ([cut(100), whole], ["0", f"100 {TAG}"]),
        ([cut(100), cut(50), cut(1), whole], ["0", f"100 {TAG}", f"150 {TAG}", f"151 {TAG}"]),
        ([dropped, failing(503), failing(429, Retry_After="0"), whole], ["0", "0", "0", "0"]),
        ([cut(100), dropped, whole], ["0", f"100 {TAG}", f"100 {TAG}"]),
        ([cut(100, tag=""), whole], ["0", "100"]),
        ([cut(100, tag='W/"weak"'), whole], ["0", "100"]),
        ([cut(100), plain(CONTENT)], ["0", f"100 {TAG}"]),
        ([cut(100, LATER_TAG), whole], ["0", f"100 {LATER_TAG}"]),
        ([cut(100), wrong_place], ["0", f"100 {TAG}"]),
        ([cut(100), failing(416), whole], ["0", f"100 {TAG}", "0"]),
    ],
    ids=["cut off", "cut off thrice", "passing failures", "dropped between", "no tag", "weak tag", "no parts",
         "another version", "another part", "no such part"],
)  # fmt: skip
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_bad_line_is_gone_on_with_to_the_published_file(
    script: list[Callable[[Handler], None]], asked: list[str], size: int | None, server: Server, tmp_path: Path
) -> None:
    server.script = script
    assert download(described(server, size), tmp_path, timeout=5).read_bytes() == CONTENT
    assert server.asked == asked
    assert names_in(tmp_path) == ["tiny.txt"]


def test_what_came_before_an_end_of_the_process_is_gone_on_with(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    server.script = [cut(100), whole]
    with monkeypatch.context() as patch:
        patch.setattr("time.sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download(described(server), tmp_path, timeout=5)
    assert names_in(tmp_path) == [".tiny.txt.part"]
    assert download(described(server), tmp_path, timeout=5).read_bytes() == CONTENT
    assert server.asked == ["0", f"100 {TAG}"]
    assert names_in(tmp_path) == ["tiny.txt"]


@pytest.mark.parametrize(
    "left", [{"content": CONTENT[:100]}, {"content": CONTENT[:100], "origin.json": b"{"}, {"origin.json": b"[]"}]
)
def test_what_a_kill_left_and_nobody_can_tell_the_origin_of_is_begun_anew(
    left: dict[str, bytes], server: Server, tmp_path: Path
) -> None:
    (tmp_path / ".tiny.txt.part").mkdir()
    for name, content in left.items():
        (tmp_path / ".tiny.txt.part" / name).write_bytes(content)
    assert download(described(server), tmp_path, timeout=5).read_bytes() == CONTENT
    assert server.asked == ["0"]
    assert names_in(tmp_path) == ["tiny.txt"]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_what_was_altered_while_it_waited_is_begun_anew(size: int | None, server: Server, tmp_path: Path) -> None:
    place = tmp_path / ".tiny.txt.part"
    place.mkdir()
    (place / "content").write_bytes(b"x" * 100)
    (place / "origin.json").write_text(json.dumps({"address": server.address, "mark": TAG}))
    assert download(described(server, size), tmp_path, timeout=5).read_bytes() == CONTENT
    assert server.asked == [f"100 {TAG}", "0"]


def test_a_file_that_lacks_its_name_alone_is_not_sent_again(server: Server, tmp_path: Path) -> None:
    place = tmp_path / ".tiny.txt.part"
    place.mkdir()
    (place / "content").write_bytes(CONTENT)
    (place / "origin.json").write_text(json.dumps({"address": server.address, "mark": TAG}))
    server.script = [failing(416, Content_Range=f"bytes */{len(CONTENT)}")]
    assert download(described(server), tmp_path, timeout=5).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "kind", "fact", "left"),
    [
        (plain(OTHER), DataError, "did not send the published tiny: its git blob id is", []),
        (plain(CONTENT[:-1]), DataError, "did not send the published tiny: it has .* bytes, expected", []),
        (plain(CONTENT + b"1"), DataError, "it has more than the expected", []),
        (plain(b"<html>"), DataError, "it has 6 bytes, expected", []),
        (endless, DataError, "it has more than the expected", []),
        (failing(404), StorageError, "answers 404 Not Found", []),
        (failing(403), StorageError, "answers 403 Forbidden", []),
        (failing(503), StorageError, "answers 503 Service Unavailable", []),
        (dropped, StorageError, "could not be downloaded to|cannot be reached", []),
        (silent_after(100), StorageError, "timed out", [".tiny.txt.part"]),
        (trickling, StorageError, "sends [0-9]+ bytes a second", [".tiny.txt.part"]),
    ],
    ids=["lie", "truncated", "too long", "a page", "endless", "missing", "forbidden", "down", "dropped", "silent",
         "slow"],
)  # fmt: skip
def test_what_cannot_be_had_is_told_and_no_false_file_stays(
    answer: Callable[[Handler], None], kind: type[Exception], fact: str, left: list[str], server: Server, tmp_path: Path
) -> None:
    server.script = [answer]
    with pytest.raises(kind, match=fact) as caught:
        download(described(server), tmp_path, timeout=0.2)
    assert "try again, or put its content" in str(caught.value)
    assert names_in(tmp_path) == left


def test_a_size_that_nobody_announces_is_told(server: Server, tmp_path: Path) -> None:
    server.script = [lambda handler: handler.answer(200, CONTENT)]
    with pytest.raises(DataError, match="its size is unknown: the server announces none"):
        download(described(server, None), tmp_path, timeout=5)
    assert names_in(tmp_path) == []


def test_another_process_that_downloads_the_same_is_waited_for(server: Server, tmp_path: Path) -> None:
    begun, ended = threading.Event(), threading.Event()

    def other() -> None:
        with alone_in(tmp_path / ".tiny.txt.part", "downloads the same"):
            begun.set()
            ended.wait(0.2)
            (tmp_path / "tiny.txt").write_bytes(CONTENT)

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait(5)
    assert download(described(server), tmp_path, timeout=5).read_bytes() == CONTENT
    thread.join()
    assert server.asked == []


def test_a_mirror_is_asked_in_place_of_the_origin(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "tiny.txt").write_bytes(CONTENT)
    for mirror in (str(tmp_path / "share"), f"http://127.0.0.1:{server.server_port}/"):
        monkeypatch.setenv("NEXTITEM_MIRROR", mirror)
        folder = tmp_path / "into"
        assert download(described(server), folder, timeout=5).read_bytes() == CONTENT
        (folder / "tiny.txt").unlink()
    assert server.asked == ["0"]
    (tmp_path / "share" / "tiny.txt").write_bytes(OTHER)
    monkeypatch.setenv("NEXTITEM_MIRROR", str(tmp_path / "share"))
    with pytest.raises(DataError, match=r"share/tiny\.txt did not send the published tiny: its git blob id is"):
        download(described(server), tmp_path, timeout=5)
    (tmp_path / "share" / "tiny.txt").unlink()
    with pytest.raises(StorageError, match=r"share/tiny\.txt cannot be reached .*No such file"):
        download(described(server), tmp_path, timeout=5)
    monkeypatch.setenv("NEXTITEM_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="is neither a folder nor an http"):
        download(described(server), tmp_path, timeout=5)
