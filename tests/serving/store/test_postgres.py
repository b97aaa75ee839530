"""A store on a PostgreSQL server is what a dict would be, outlives kills, and shows services what others were told."""

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextitem.errors import ConfigurationError, StorageError
from nextitem.serving.service.models import ids_of
from nextitem.serving.store.events import IdTypes, Rules, StoredEvent
from nextitem.serving.store.opening import open_store, untold_at
from worlds.postgres import Server, running, why_not
from worlds.served import models_of, served

TOOLS = Path(__file__).parents[3] / "tools"
needs_server = pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as one:
        yield one


def run(tool: str, *words: str) -> str:
    done = subprocess.run((sys.executable, TOOLS / tool, *words), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_server
def test_what_is_posted_to_one_service_is_in_the_next_answer_of_another(server: Server) -> None:
    models = models_of("sasrec-ce"), models_of("sasrec-ce")
    ids = ids_of(models[0].first.recommender)
    with (
        open_store(server.address, ids=ids) as first,
        open_store(server.address, ids=ids) as second,
        served(models[0], events=first) as one,
        served(models[1], events=second) as other,
    ):
        asked = {"user": "new", "k": 3}
        assert other.post("/v1/recommend", asked).json()["source"] == "popularity"
        event, key = {"user": "new", "item": "i03", "time": 10.0}, {"Idempotency-Key": "k"}
        told = [service.post("/v1/events", event, key).json()["is_repeat"] for service in (one, other)]
        assert told == [False, True]
        alone = one.post("/v1/recommend", {"history": ["i03"], "k": 3}).json()["items"]
        assert [service.post("/v1/recommend", asked).json()["items"] for service in (one, other)] == [alone, alone]
        assert other.client.delete("/v1/users/new").status_code == 200
        assert one.post("/v1/recommend", asked).json()["source"] == "popularity"
        server.kill()
        refused = one.post("/v1/recommend", asked)
        assert (refused.status_code, refused.json()["code"]) == (503, "storage")
        assert one.post("/v1/recommend", {"history": ["i03"], "k": 3}).json()["items"] == alone
        server.start()
        assert one.post("/v1/recommend", asked).status_code == 200


@needs_server
def test_a_store_goes_on_when_its_server_does(server: Server) -> None:
    with open_store(server.address) as store:
        store.add([StoredEvent("back", "i01", 1)])
        server.kill()
        with pytest.raises(StorageError, match=r"cannot write postgresql://127\.0\.0\.1/postgres: .*send again"):
            store.add([StoredEvent("back", "i02", 2)], "a key")
        server.start()
        assert not store.add([StoredEvent("back", "i02", 2)], "a key").is_repeat
        assert [event.item for event in store.of_user("back")] == ["i01", "i02"]
        with pytest.raises(ConfigurationError, match="ids of users in this run are of another type"):
            open_store(server.address, ids=IdTypes(int, str))


@needs_server
def test_a_run_learns_of_a_server_what_it_learns_of_a_file(server: Server, tmp_path: Path) -> None:
    found = []
    for place in (str(tmp_path / "events.db"), server.address):
        with open_store(place) as store:
            before = store.latest()
            store.add([StoredEvent("gone", "i01", 1), StoredEvent("stays", "i02", 2.5), StoredEvent("stays", "i01", 3)])
            store.forget("gone")
            store.add([StoredEvent("gone", "i03", 4)])
            store.catalogue.retire(["i07"])
            name = store.name
        told = untold_at(place, {name: before + 2}, Rules({}, IdTypes(str, str)), made=2.0)
        assert (told.store, told.latest, told.is_first) == (name, before + 4, False)
        found.append((told.events.rows(), told.changes.retired, "gone" in told.forgotten))
    assert found[0] == found[1] == ([("stays", "i01", 3.0), ("gone", "i03", 4.0)], ("i07",), True)


@needs_server
def test_a_store_on_a_server_is_what_a_dict_would_be(server: Server) -> None:
    model = runpy.run_path(str(TOOLS / "store_model.py"))
    model["compare"](200, 7, server.address)
    assert sum(model["done"].values()) >= 200


@needs_server
def test_what_was_acknowledged_outlives_its_server_and_its_process() -> None:
    found = run("kill_event_writer.py", "--postgres", "--kills", "2")
    assert re.search(r"^2 kills, .*\d events acknowledged: none lost, none twice; ", found)


def test_other_addresses_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"events are kept in a file, or by postgresql://"):
        open_store("mysql://host/events")


@needs_server
def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is no address of a PostgreSQL database"):
        open_store("postgresql://host/events?nonsense=1")
