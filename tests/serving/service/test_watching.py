"""Newer versions of a model, taken from where they lie by every service that looks there."""

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import fsspec
import httpx
import pytest

from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.folder.reading import RUN
from nextitem.serving.service.models import Models
from nextitem.serving.service.settings import ServiceSettings
from nextitem.serving.service.versions import Versions, newest_at
from nextitem.storage import MANIFEST, write_text
from nextitem.storage.remote import published
from worlds.served import Served, served
from worlds.stored_runs import written

OFTEN = ServiceSettings(port=0, drain_seconds=0, wait=10, deadline=10, reload_every=0.05)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, to be copied."""
    return written(tmp_path_factory.mktemp("made"))


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own, and nothing in memory afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    fsspec.filesystem("memory").store.clear()


def version(made: Path, folder: Path, hours: int) -> Path:
    """A copy of the run that says that it was learnt so many hours later."""
    draft = folder.parent / f".{folder.name}"
    shutil.copytree(made, draft)
    told = json.loads((draft / "metrics.json").read_text())
    started = datetime.fromisoformat(told["provenance"]["started"]) + timedelta(hours=hours)
    told["provenance"]["started"] = started.isoformat(timespec="seconds")
    write_text(draft / "metrics.json", json.dumps(told))
    (draft / MANIFEST).unlink()
    RUN.seal(draft)
    return draft.rename(folder)


def corrupted(file: Path) -> bytes:
    intact = file.read_bytes()
    file.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    return intact


def comes(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def serves(one: Served) -> str:
    (model,) = one.client.get("/v1/models").json()
    assert model["name"] == "shop"
    return str(model["version"])


def lines(one: Served, event: str) -> list[dict[str, object]]:
    return [line for line in one.log() if line["event"] == event]


def test_versions_are_those_that_were_learnt_last_whatever_they_are_called(made: Path, tmp_path: Path) -> None:
    (shop := tmp_path / "shop").mkdir()
    for name, hours in (("b", 1), ("a", 3), ("c", 2)):
        version(made, shop / name, hours)
    (shop / ".d").mkdir()
    shutil.copy(shop / "a" / MANIFEST, shop / ".d")  # what is being written
    (shop / "log").mkdir()
    write_text(shop / "log" / MANIFEST, '{"files": {}}')  # no run
    assert [Path(one.place).name for one in Versions(shop).newest_first()] == ["a", "c", "b"]
    assert newest_at(shop) == shop / "a"
    assert newest_at(shop / "c") == shop / "c"
    assert newest_at(tmp_path / "nothing") == tmp_path / "nothing"
    published(shop / "b", "memory://shop/1")
    published(shop / "c", "memory://shop/2")
    assert [one.place for one in Versions("memory://shop").newest_first()] == ["memory://shop/2", "memory://shop/1"]
    with pytest.raises(ConfigurationError, match="Protocol not known: shop"):
        newest_at("shop://bucket/run")


def test_a_version_that_is_refused_is_passed_over_until_a_file_of_it_is_another_one(made: Path, tmp_path: Path) -> None:
    (shop := tmp_path / "shop").mkdir()
    run = version(made, shop / "a", 1)
    versions = Versions(shop)
    (found,) = versions.newest_first()
    versions.refuse(found, versions.state_of(found))
    assert versions.newest_first() == []
    corrupted(run / "items.parquet")
    assert versions.newest_first() == [found]


def test_what_was_learnt_last_is_served_unless_it_is_not_intact(made: Path, tmp_path: Path) -> None:
    (shop := tmp_path / "shop").mkdir()
    first, second = version(made, shop / "1", 1), version(made, shop / "2", 2)
    assert Models.load([shop]).named("shop").folder == second
    corrupted(second / "model.safetensors")
    models = Models.load([shop])
    assert models.named("shop").folder == first
    with served(models) as one:
        assert one.client.post("/v1/models/shop/reload").status_code == 409  # who asks for it is told
    (line,) = lines(one, "version refused")
    assert "model.safetensors" in str(line["why"])
    corrupted(first / "model.safetensors")
    with pytest.raises(ArtefactError, match=r"model\.safetensors"):
        Models.load([shop])


def test_two_services_come_to_each_newer_version_and_keep_theirs_where_one_is_not_intact(
    made: Path, tmp_path: Path
) -> None:
    (shop := tmp_path / "shop").mkdir()
    first, address = version(made, shop / "1", 1), "memory://shelf/shop"
    published(first, f"{address}/1")
    is_over, statuses = threading.Event(), Counter[int]()
    with served(Models.load([shop]), OFTEN) as near, served(Models.load([address]), OFTEN) as far:

        def ask() -> None:
            with httpx.Client(timeout=20) as client:
                while not is_over.is_set():
                    for one in (near, far):
                        answer = client.post(f"{one.address}/v1/recommend", json={"history": ["i03"], "k": 3})
                        statuses[answer.status_code] += 1

        asking = threading.Thread(target=ask)
        asking.start()
        before = serves(near)
        assert serves(far) == before
        second = version(made, shop / "2", 2)
        published(second, f"{address}/2")
        comes(lambda: serves(near) == serves(far) != before)
        version(made, tmp_path / "damaged", 3).rename(shop / ".3")
        intact = corrupted(shop / ".3" / "model.safetensors")
        (shop / ".3").rename(shop / "3")
        published(shop / "3", f"{address}/3")
        comes(lambda: bool(lines(near, "version refused") and lines(far, "version refused")))
        version(made, shop / "0", 0)  # learnt before, come later
        time.sleep(0.5)  # some looks more
        now = serves(near)
        assert serves(far) == now != before
        (shop / "3" / "model.safetensors").write_bytes(intact)
        published(shop / "3", f"{address}/3")
        comes(lambda: serves(near) == serves(far) != now)
        is_over.set()
        asking.join()
        counted = [one.client.get("/metrics").text for one in (near, far)]
    assert all('nextitem_reloads_total{model="shop",outcome="refused"} 1.0' in text for text in counted)
    assert [*statuses] == [200]
    for one in (near, far):
        (refused,) = lines(one, "version refused")
        assert refused["model"] == "shop"
        assert "model.safetensors" in str(refused["why"])
        assert [line["from"] for line in lines(one, "model replaced")] == ["2", "3"]


def test_a_run_that_is_replaced_where_it_lies_is_taken_and_a_place_that_is_gone_changes_nothing(
    made: Path, tmp_path: Path
) -> None:
    shop = version(made, tmp_path / "shop", 1)
    with served(Models.load([shop]), OFTEN) as one:
        before = serves(one)
        shutil.rmtree(shop)
        time.sleep(0.3)
        assert serves(one) == before
        version(made, shop, 0)
        comes(lambda: serves(one) != before)
    (line,) = lines(one, "model replaced")
    assert (line["model"], line["before"], line["from"]) == ("shop", before, "shop")


def test_an_address_that_cannot_be_reached_is_told_of_once(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, memory = "memory://shelf/shop", type(fsspec.filesystem("memory"))
    published(version(made, tmp_path / "shop", 1), address)
    with served(Models.load([address]), OFTEN) as one:
        with monkeypatch.context() as patch:
            asked = list[str]()

            def cut(self: object, path: str, **_: object) -> bytes:
                asked.append(path)
                raise ConnectionError("the line is cut")

            patch.setattr(memory, "cat_file", cut)
            comes(lambda: len(asked) > 3)
        comes(lambda: bool(lines(one, "versions looked for again")))
    (line,) = lines(one, "versions not looked for")
    assert "memory://shelf/shop cannot be looked at: ConnectionError: the line is cut" in str(line["why"])
