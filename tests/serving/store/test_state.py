"""A state is dumped and restored as it was, and whatever else a file says is refused and not done."""

import io
import json
import os
import pickle  # noqa: TID251 - nothing is unpickled here
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from nextitem.errors import ArtefactError, ConfigurationError, StorageError
from nextitem.experiment.folder.reading import read_run
from nextitem.serving.store.archive import Contents, write_archive
from nextitem.serving.store.events import StoredEvent
from nextitem.serving.store.state import dump, restore
from nextitem.serving.store.store import EventStore
from nextitem.storage import FileFacts, sha256
from worlds.command_line import typed
from worlds.stored_runs import written


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, a database, and a dump of all."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("sasrec-ce", "popularity"):
        written(folder, name).rename(folder / name)
    with EventStore.open(folder / "events.db") as store:
        store.add([StoredEvent("u", "x", n) for n in range(50)], "key")
        store.catalogue.retire(["y"])
        store.forget("somebody")
        # While a service has it open.
        dump([folder / "sasrec-ce", folder / "popularity"], folder / "events.db", folder / "state.nextitem")
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_all_is_restored_as_it_was(world: Path, tmp_path: Path) -> None:
    state = restore(world / "state.nextitem", tmp_path / "back")
    assert (state.runs, state.events) == (("popularity", "sasrec-ce"), 50)
    for name in state.runs:
        assert content_of(tmp_path / "back" / "runs" / name) == content_of(world / name)
        read_run(tmp_path / "back" / "runs" / name).proven()
    with EventStore.open(tmp_path / "back" / "events.db") as store, EventStore.open(world / "events.db") as before:
        assert store.frame().equals(before.frame())
        assert store.catalogue.changes() == before.catalogue.changes()
        assert store.is_forgotten("somebody")
        assert store.add([StoredEvent("u", "x", n) for n in range(50)], "key").is_repeat


def test_a_dump_is_a_tar_file_that_other_programs_prove(world: Path, tmp_path: Path) -> None:
    with tarfile.open(world / "state.nextitem") as opened:
        opened.extractall(tmp_path, filter="data")
    assert (tmp_path / "manifest.json.sha256").read_text().split() == [
        sha256(tmp_path / "manifest.json"),
        "manifest.json",
    ]
    assert content_of(tmp_path / "runs" / "popularity") == content_of(world / "popularity")


def test_the_command_line_says_how_to_go_on(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run, events = str(world / "popularity"), str(world / "events.db")
    assert typed(monkeypatch, "dump", run, "--events", events, "--out", "all.nextitem") == 0
    out, err = capfd.readouterr()
    assert out == "dump: all.nextitem\n"
    assert "1 run and 50 events in" in err
    assert typed(monkeypatch, "restore", "all.nextitem", "--out", "back") == 0
    out, err = capfd.readouterr()
    assert out == "restored: back\n"
    assert "serve them by: nextitem serve back/runs/popularity --events back/events.db" in err
    assert typed(monkeypatch, "restore", "all.nextitem", "--out", "again", "--json") == 0
    assert json.loads(capfd.readouterr().out)["events"] == 50
    assert typed(monkeypatch, "restore", "all.nextitem", "--out", "back") == 2
    assert "back exists already" in capfd.readouterr().err
    assert typed(monkeypatch, "dump", "nowhere") == 4
    assert typed(monkeypatch, "restore", "nothing") == 4
    assert "there is no nothing; give a file that `nextitem dump` wrote" in capfd.readouterr().err


def test_a_page_that_was_edited_is_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path, "popularity")
    (folder / "README.md").write_text("mine")
    state = dump([folder], None, tmp_path / "state")
    assert "README.md was altered" in state.notes[0]
    assert "it is left out" in state.notes[0]
    restore(tmp_path / "state", tmp_path / "back")
    assert not (tmp_path / "back" / "runs" / folder.name / "README.md").exists()


def test_what_is_damaged_is_not_dumped(world: Path, tmp_path: Path) -> None:
    folder = written(tmp_path, "popularity")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"model\.safetensors was altered"):
        dump([folder], None, tmp_path / "state")
    with pytest.raises(ArtefactError, match=r"there is no .*events; give the database"):
        dump([world / "popularity"], tmp_path / "events", tmp_path / "state")
    with pytest.raises(ConfigurationError, match="two runs are called popularity; rename the folder of one"):
        dump([world / "popularity", world / "popularity"], None, tmp_path / "state")
    with pytest.raises(StorageError, match="there is no folder"):
        dump([world / "popularity"], None, tmp_path / "no" / "state")
    assert not (tmp_path / "state").exists()


def test_every_flip_cut_and_addition_is_refused_and_leaves_nothing(world: Path, tmp_path: Path) -> None:
    whole, draws = (world / "state.nextitem").read_bytes(), Random(0)
    file = tmp_path / "damaged"
    for number in range(60):
        content = bytearray(whole)
        place = draws.randrange(len(content))
        if number % 3 == 0:
            content[place] ^= 1 << draws.randrange(8)
        elif number % 3 == 1:
            del content[place:]
        else:
            content[place:place] = draws.randbytes(draws.choice((1, 512)))
        file.write_bytes(content)
        with pytest.raises(ArtefactError, match=r"damaged cannot be restored: .*; take another dump"):
            restore(file, tmp_path / "out")
        assert [one.name for one in tmp_path.iterdir()] == ["damaged"]


def archived(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar file of these."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for entry, content in entries:
            made.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def entry(name: str, content: bytes, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    found = tarfile.TarInfo(name)
    found.size, found.type, found.linkname = len(content), kind, link
    return found, content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing",
        archived(entry("../evil", b"x")),
        archived(entry("manifest.json", b"", tarfile.SYMTYPE, "/etc/passwd")),
        archived(entry("manifest.json", b"{}")),
        archived(entry("manifest.json", b"[" * 100_000)),
        pickle.dumps({"a": 1}),
    ],
    ids=["empty", "text", "path", "link", "no proof", "deep", "pickle"],
)
def test_files_of_others_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(ArtefactError, match="state cannot be restored: "):
        restore(tmp_path / "state", tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["state"]


class Trap:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("sprung",)


def signed(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """A file as `dump` writes it, which proves itself, of files that anybody chose."""
    sources, facts = {}, {}
    for number, (name, content) in enumerate(files.items()):
        place = tmp_path / f"source{number}"
        place.write_bytes(content)
        sources[name] = place
        facts[name] = FileFacts(bytes=len(content), sha256=sha256(place))
    contents = Contents.model_construct(format="nextitem state", version=1, made="now", nextitem="0", files=facts)
    write_archive(tmp_path / "state", contents, sources)
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil", "should be events.db or runs/NAME/FILE"),
        ("/etc/evil", "should be events.db or runs/NAME/FILE"),
        ("runs/../evil", "should be events.db or runs/NAME/FILE"),
        ("runs/a/../../evil", "should be events.db or runs/NAME/FILE"),
        ("runs/a/b/c", "should be events.db or runs/NAME/FILE"),
        ("runs//evil", "should be events.db or runs/NAME/FILE"),
        ("runs/a/new\nline", "should be events.db or runs/NAME/FILE"),
        ("sitecustomize.py", "should be events.db or runs/NAME/FILE"),
        ("runs/a/model.pkl", "runs/a is not a run: it has no manifest.json"),
        ("events.db", "is no database"),
    ],
)
def test_a_file_that_proves_itself_holds_nothing_else_either(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    file = signed(tmp_path, {name: pickle.dumps(Trap())})
    with pytest.raises(ArtefactError, match=message):
        restore(file, tmp_path / "here" / "out")
    assert [*(tmp_path / "here").iterdir()] == []


def test_a_file_beside_those_of_a_run_is_refused(world: Path, tmp_path: Path) -> None:
    files = {f"runs/a/{name}": content for name, content in content_of(world / "popularity").items()}
    with pytest.raises(ArtefactError, match=r"a/extra\.pkl is no file of that run"):
        restore(signed(tmp_path, {**files, "runs/a/extra.pkl": pickle.dumps(Trap())}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    restore(signed(tmp_path, files), tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "manifest.json: version"),
        ({"format": "other"}, "manifest.json: format"),
        ({"load": "os.system"}, "manifest.json: .*load"),
        ({"files": {}}, "manifest.json: files"),
        ({"files": {"events.db": {"bytes": -1, "sha256": "0" * 64}}}, "manifest.json: .*bytes"),
        (
            {"files": {"events.db": {"bytes": 10**15, "sha256": "0" * 64}}},
            "it has .* bytes, and manifest.json says 1,0",
        ),
        ({"files": {"events.db": {"bytes": 1, "sha256": "0" * 64}}}, "events.db was altered: its content is not that"),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        content = {"format": "nextitem state", "version": 1, "made": "now", "nextitem": "0", "files": {}, **changes}
        text = json.dumps(content, indent=2).encode() + b"\n"
        patched.setattr("nextitem.serving.store.archive._written", lambda _: text)
        file = signed(tmp_path, {"events.db": b"x"})
    with pytest.raises(ArtefactError, match=message):
        restore(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()
