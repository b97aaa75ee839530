"""Folders at an address: whole or an error, by version; in memory, in a folder, and at a local S3 server."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from nextitem.data.acquisition.addresses import folder_at
from nextitem.data.mapped.folder import read_manifest
from nextitem.errors import ArtefactError, ConfigurationError, StorageError
from nextitem.experiment.folder.reading import LISTS, RUN, read_run
from nextitem.serving.service.models import Models
from nextitem.serving.service.versions import Versions, newest_at
from nextitem.storage import MANIFEST, sha256, write_text
from nextitem.storage.remote import fetched, published, require_address
from worlds.command_line import typed
from worlds.stored_runs import FILES, written

MEMORY = "memory://shelf/runs/shop"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A small run on disk."""
    return written(tmp_path / "runs")


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own, and nothing in memory afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    fsspec.filesystem("memory").store.clear()


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_what_was_published_is_fetched_whole_and_by_the_last_part_of_its_name(
    kind: str, run: Path, tmp_path: Path
) -> None:
    address = MEMORY if kind == "memory" else f"file://{tmp_path}/elsewhere/shop"
    published(run, address)
    copy = folder_at(address)
    assert copy.name == "shop"
    assert {one.name for one in copy.iterdir()} == FILES
    read_run(address).proven()
    before = copy.stat().st_mtime_ns
    assert folder_at(address) == copy  # of the same version nothing is fetched again
    assert copy.stat().st_mtime_ns == before


def test_a_service_takes_the_version_that_is_published_by_now_at_reload(run: Path) -> None:
    published(run, MEMORY)
    models = Models.load([MEMORY])
    first = models.named("shop")
    assert models.reload("shop").version == first.version
    write_text(run / "README.md", "another version\n")
    (run / MANIFEST).unlink()
    RUN.seal(run)
    published(run, MEMORY)
    second = models.reload("shop")
    assert second.version != first.version
    assert second.folder != first.folder
    read_run(Path(str(first.folder))).proven(*LISTS)  # whoever reads the earlier one goes on


def test_half_a_run_is_never_seen(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(run, MEMORY)
    copied, memory = folder_at(MEMORY), fsspec.filesystem("memory")
    put = type(memory).put_file

    def fails_at_items(self: object, local: str, remote: str, **more: object) -> None:
        if local.endswith("items.parquet"):
            raise OSError("the line is cut")
        put(self, local, remote, **more)

    monkeypatch.setattr(type(memory), "put_file", fails_at_items)
    with pytest.raises(StorageError, match="cannot be written: OSError: the line is cut; check the address"):
        published(run, MEMORY)
    with pytest.raises(ArtefactError, match=r"has no manifest\.json: nothing was published there, or not to its end"):
        folder_at(MEMORY)
    read_run(copied).proven()


def test_a_file_that_is_not_the_one_of_the_manifest_is_refused_and_leaves_nothing(run: Path, tmp_path: Path) -> None:
    published(run, MEMORY)
    fsspec.filesystem("memory").pipe_file("/shelf/runs/shop/items.parquet", b"something else")
    with pytest.raises(
        ArtefactError, match=r"items\.parquet is not the file that manifest\.json names: it was altered"
    ):
        folder_at(MEMORY)
    assert not [*(tmp_path / "cache").rglob("shop")]


def test_names_of_a_manifest_lead_nowhere_else(tmp_path: Path) -> None:
    line = '{"files": {"../x": {"bytes": 1, "sha256": "' + "0" * 64 + '"}}}'
    fsspec.filesystem("memory").pipe_file("/shelf/runs/shop/manifest.json", line.encode())
    with pytest.raises(ArtefactError, match="should be the plain name of a file"):
        fetched(MEMORY, tmp_path)


def test_addresses_that_cannot_be_are_refused(run: Path) -> None:
    with pytest.raises(ConfigurationError, match="Protocol not known: shop"):
        require_address("shop://bucket/run")
    with pytest.raises(ArtefactError, match="is no run and no prepared log"):
        published(run.parent, MEMORY)


def test_verbs_read_a_run_by_its_address_and_change_none_there(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"file://{tmp_path}/elsewhere/shop"
    assert typed(monkeypatch, "publish", str(run), address) == 0
    assert capsys.readouterr().out == f"published: {address}\n"
    assert typed(monkeypatch, "recommend", address, "--users", "all", "--k", "2") == 0
    assert typed(monkeypatch, "items", address, "--retire", "1") == 2
    assert "is an address, and here a run is changed or written beside" in capsys.readouterr().err
    assert typed(monkeypatch, "recommend", f"{address}s", "--users", "all") == 4
    assert typed(monkeypatch, "publish", str(run), str(tmp_path / "folder")) == 2


def test_a_training_reads_a_prepared_log_and_publishes_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{user},{(user + step) % 5},{step}" for user in range(12) for step in range(4)]
    write_text(tmp_path / "events.csv", "\n".join(["user,item,time", *rows, ""]))
    there = f"file://{tmp_path}/elsewhere"
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "prepare", "events.csv", "--out", f"{there}/log") == 0
    assert read_manifest(Path("log")) == read_manifest(folder_at(f"{there}/log"))
    words = ("train", "popularity", f"data={there}/log", "--out", f"{there}/runs", "--no-report", "--no-baselines")
    assert typed(monkeypatch, *words) == 0
    (local,) = [one for one in (tmp_path / "runs").iterdir() if one.name[0] != "."]
    run = read_run(f"{there}/runs/{local.name}").proven()
    assert run.recipe.data == f"{there}/log"
    assert run.certificate.dataset == "events.csv"


def test_a_log_that_cannot_be_put_to_an_address_is_refused_or_stays_where_it_was_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{row % 4},{row % 3},{row}" for row in range(24)]
    write_text(tmp_path / "events.csv", "\n".join(["user,item,time", *rows, ""]))
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "prepare", "events.csv", "--out", MEMORY, "--parts", "2") == 2
    assert "--parts writes parquet for other engines, which no manifest proves" in capsys.readouterr().err
    assert typed(monkeypatch, "prepare", "events.csv", "--out", "shop://bucket/log") == 2
    assert [one.name for one in tmp_path.iterdir()] == ["events.csv"]

    def cut(*_: object, **__: object) -> None:
        raise OSError("the line is cut")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put_file", cut)
    assert typed(monkeypatch, "prepare", "events.csv", "--out", MEMORY) == 5
    assert f"the log is finished and lies at shop; publish it by: nextitem publish shop {MEMORY}" in (
        capsys.readouterr().err.replace("\n", " ")
    )
    read_manifest(tmp_path / "shop")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bucket at an S3 server on the loopback."""
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    moto = pytest.importorskip("moto.server", reason="moto, flask and flask-cors are not installed: no S3 server here")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ENDPOINT_URL", f"http://{host}:{port}"), ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"),
                        ("DEFAULT_REGION", "us-east-1")):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.clear_instance_cache()
    files.mkdir("shelf")
    yield "s3://shelf"
    server.stop()
    files.clear_instance_cache()


def test_a_run_goes_to_an_s3_server_and_comes_back(bucket: str, run: Path) -> None:
    require_address(f"{bucket}/runs/shop")
    published(run, f"{bucket}/runs/shop")
    read_run(f"{bucket}/runs/shop").proven()
    versions = Versions(f"{bucket}/runs")
    (found,) = versions.newest_first()
    assert (found.place, found.version) == (f"{bucket}/runs/shop", sha256(run / MANIFEST)[:12])
    before = versions.state_of(found)
    assert versions.state_of(found) == before
    assert newest_at(f"{bucket}/runs/shop") == f"{bucket}/runs/shop"
    assert newest_at(f"{bucket}/nothing") == f"{bucket}/nothing"
    with pytest.raises(ArtefactError, match=r"s3://shelf/runs/other has no manifest\.json"):
        folder_at(f"{bucket}/runs/other")
    with pytest.raises(StorageError, match="there is no nowhere, or these credentials may not see it"):
        require_address("s3://nowhere/run")
