"""Which model answers whom, and how one takes the place of another while questions come."""

import shutil
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from nextitem.errors import ConfigurationError
from nextitem.serving.service.models import Models
from worlds.served import Served, models_of, served
from worlds.small_runs import outcome
from worlds.stored_runs import written

USERS = [f"u{user:02}" for user in range(200)]


def listed_by(one: Served, user: str) -> str:
    answer = one.post("/v1/recommend", {"user": user, "history": ["i03"], "k": 2}).json()
    return str(answer["model"]["name"])


def test_a_user_is_always_answered_by_the_same_model_and_shares_hold() -> None:
    models, again = models_of("sasrec-ce", "popularity"), models_of("sasrec-ce", "popularity")
    dealt = {user: models.of(user).name for user in USERS}
    assert dealt == {user: again.of(user).name for user in USERS}
    assert 60 < Counter(dealt.values())["popularity"] < 140  # of 200, at a half: three standard deviations are 21
    models.share_out({"sasrec-ce": 0.9, "popularity": 0.1})
    later = {user: models.of(user).name for user in USERS}
    assert 5 < Counter(later.values())["popularity"] < 40
    assert all(later[user] == "sasrec-ce" for user in USERS if dealt[user] == "sasrec-ce")  # nobody moves needlessly
    assert models.of(None).name == "sasrec-ce"
    assert models.of(7).name == models.of("7").name


def test_shares_that_are_none_change_nothing() -> None:
    models = models_of("sasrec-ce", "popularity")
    with pytest.raises(ConfigurationError, match=r"add up to 1; these are sasrec-ce 0\.9, popularity 0\.2"):
        models.share_out({"sasrec-ce": 0.9, "popularity": 0.2})
    assert [one.share for one in models.current.values()] == [0.5, 0.5]


def test_the_split_is_logged_and_told_and_can_be_changed_while_it_runs() -> None:
    with served(models_of("sasrec-ce", "popularity")) as one:
        first = listed_by(one, "u01")
        other = "popularity" if first == "sasrec-ce" else "sasrec-ce"
        assert listed_by(one, "u01") == first
        told = one.client.put("/v1/models/shares", json={"shares": {other: 1}})
        assert [(model["name"], model["share"]) for model in told.json() if model["share"]] == [(other, 1.0)]
        assert listed_by(one, "u01") == other
    assert [line["model"] for line in one.log() if "model" in line] == [first, first, other]


def corrupted(file: Path) -> bytes:
    intact = file.read_bytes()
    file.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    return intact


def test_a_reload_loses_no_request_and_a_corrupt_folder_changes_nothing(tmp_path: Path) -> None:
    folder, is_over, statuses = written(tmp_path), threading.Event(), Counter[int]()
    weights = folder / "model.safetensors"
    with served(Models.load([folder])) as one:
        before = one.client.get("/v1/models").json()[0]

        def ask() -> None:
            with httpx.Client(base_url=one.address, timeout=20) as client:
                while not is_over.is_set():
                    statuses[client.post("/v1/recommend", json={"history": ["i03"], "k": 3}).status_code] += 1

        asking = [threading.Thread(target=ask) for _ in range(2)]
        for thread in asking:
            thread.start()
        for number in range(5):
            intact = corrupted(weights) if number == 3 else weights.read_bytes()
            answer = one.client.post(f"/v1/models/{before['name']}/reload")
            weights.write_bytes(intact)
            assert answer.status_code == (409 if number == 3 else 200)
            assert answer.json().get("code") == ("artefact" if number == 3 else None)
        is_over.set()
        for thread in asking:
            thread.join()
        after = one.client.get("/v1/models").json()[0]
        named = one.post("/v1/recommend", {"history": ["i03"]}).json()["model"]
    assert [*statuses] == [200]
    assert named == {"name": before["name"], "version": before["version"]}
    assert after["loaded"] > before["loaded"]


def test_another_artefact_in_the_folder_is_another_version(tmp_path: Path) -> None:
    folder = written(tmp_path / "one")
    other = written(tmp_path / "other", "popularity")
    with served(Models.load([folder])) as one:
        before = one.post("/v1/recommend", {"history": ["i03"]}).json()["model"]["version"]
        shutil.rmtree(folder)
        other.rename(folder)
        assert one.client.post(f"/v1/models/{folder.name}/reload").json()["version"] != before
        answer = one.post("/v1/recommend", {"history": ["i03"], "k": 2}).json()
    assert answer["model"]["version"] != before
    counts = outcome("popularity").prepared.split.train.counts()
    assert answer["items"][0]["score"] <= float(counts.max())
