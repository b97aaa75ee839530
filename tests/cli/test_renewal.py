"""`nextitem refit` and `nextitem forget`, as they are typed."""

import json
from pathlib import Path

import pytest

from nextitem.serving.recommender import Recommender
from nextitem.serving.store.events import StoredEvent
from nextitem.serving.store.store import EventStore
from worlds.command_line import typed
from worlds.stored_runs import written


def test_a_user_is_forgotten_by_run_and_events_once_and_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, events = written(tmp_path), tmp_path / "events.db"
    user = str(Recommender.load(folder).known_users()[0])
    with EventStore.open(events) as store:
        store.add([StoredEvent(user, "i01", 1.0), StoredEvent("another", "i01", 1.0)])
    told = ("forget", str(folder), "--user", user, "--events", str(events), "--json")
    assert typed(monkeypatch, *told) == 0
    first = capfd.readouterr()
    assert json.loads(first.out) | {"remains": []} == {
        "run": str(folder), "user": user, "was_known": True, "events": 9, "cases": 2, "has_vector": False,
        "had_index": False, "page": None, "deleted_from_store": 1, "remains": [],
    }  # fmt: skip
    assert "nextitem refit" in first.err
    assert typed(monkeypatch, *told) == 0
    again = json.loads(capfd.readouterr().out)
    assert (again["was_known"], again["deleted_from_store"], again["remains"]) == (False, 0, [])
    with EventStore.open(events) as store:
        assert store.is_forgotten(user)
        assert store.count() == 1


def test_what_is_missing_is_said_by_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(written(tmp_path))
    assert typed(monkeypatch, "forget", folder, "--user", " ") == 2
    assert typed(monkeypatch, "forget", folder, "--user", "u1", "--events", str(tmp_path / "none.db")) == 4
    assert typed(monkeypatch, "forget", str(tmp_path), "--user", "u1") == 4
    with EventStore.open(tmp_path / "held.db"):
        assert typed(monkeypatch, "forget", folder, "--user", "u1", "--events", str(tmp_path / "held.db")) == 2
    capfd.readouterr()


def test_a_refit_is_named_and_says_what_it_is_wherever_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path)
    assert typed(monkeypatch, "refit", str(folder), "--out", str(tmp_path / "served")) == 0
    made = capfd.readouterr().out.removeprefix("run: ").strip()
    assert Path(made).parent == tmp_path / "served"
    assert typed(monkeypatch, "recommend", made, "--users", "all", "--k", "1") == 0
    assert f"learnt all events of {folder.name} and was not evaluated" in capfd.readouterr().err
    for verb in ("evaluate", "report"):
        assert typed(monkeypatch, verb, made) == 2
        assert f"ask about {folder.name}" in " ".join(capfd.readouterr().err.split())
