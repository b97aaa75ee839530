"""What a service was told is learnt, the model is loaded anew, and no event counts twice."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.data.interactions import Interactions
from nextitem.errors import ArtefactError, DataError
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.train import Extras, train
from nextitem.serving.answering.heard import hear
from nextitem.serving.question import Question
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.refit import refit
from nextitem.serving.renewal.together import together
from nextitem.serving.renewal.told import untold_by
from nextitem.serving.renewal.update import update
from nextitem.serving.service.models import Models, ids_of, load
from nextitem.serving.service.service import Service, with_stored
from nextitem.serving.service.settings import ServiceSettings
from nextitem.serving.store.events import StoredEvent
from nextitem.serving.store.store import EventStore
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.served import served
from worlds.stored_runs import remade, written

USERS = [f"u{number:02}" for number in range(30)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of users u00 … u29 and items i00 … i11, which keeps no times."""
    return written(tmp_path, "popularity")


@pytest.fixture
def store(tmp_path: Path, folder: Path) -> Iterator[EventStore]:
    """A database in which each user has two events after those of the run."""
    with EventStore.open(tmp_path / "events.db", ids=ids_of(Recommender.load(folder))) as one:
        one.add(
            [
                StoredEvent(user, f"i{(n + step) % 12:02}", 1e6 + 10 * n + step)
                for n, user in enumerate(USERS)
                for step in (0, 1)
            ]
        )
        yield one


def history(folder: Path, store: EventStore, user: str) -> list[object]:
    """What a service with the run and the database takes a user to have done."""
    model = load(folder, "one")
    held = model.holds.get(store.name, 0)
    known = model.recommender.known
    items = hear(known, with_stored(Question(user=user), user, store, held)).items
    return [known.raw_items[item] for item in items]


def updated(folder: Path, store: EventStore, out: Path | None = None) -> Path:
    run = read_run(folder)
    return update(run, untold_by(run, store.path), Session(0)).store(out).folder


def test_an_updated_run_hears_what_the_service_heard_and_every_event_once(folder: Path, store: EventStore) -> None:
    stored = history(folder, store, "u03")[:-2]
    before = {user: history(folder, store, user) for user in USERS}
    assert before["u03"] == [*stored, "i03", "i04"]
    updated(folder, store)
    assert read_run(folder).metrics.holds == {store.name: 60}
    assert {user: history(folder, store, user) for user in USERS} == before
    store.add([StoredEvent("u03", stored[0], 2e6)])  # the item that the history begins with, once more
    assert history(folder, store, "u03") == [*before["u03"], stored[0]]
    for user in USERS:
        store.add([StoredEvent(user, "i07", 3e6), StoredEvent(user, "i07", 3e6 + 1)])
    updated(folder, store)
    assert read_run(folder).metrics.holds == {store.name: 121}
    assert history(folder, store, "u03") == [*before["u03"], stored[0], "i07", "i07"]


def test_new_events_that_begin_like_a_short_history_are_no_export_of_it(folder: Path, store: EventStore) -> None:
    store.add([StoredEvent(f"v{user}", "i05", 2e6 + n) for n, user in enumerate(USERS)])
    store.add([StoredEvent(user, "i09", 2e6 + 60 + n) for n, user in enumerate(USERS)])
    updated(folder, store)
    assert history(folder, store, "vu01") == ["i05"]
    store.add([StoredEvent("vu01", "i05", 3e6), StoredEvent("vu01", "i06", 4e6)])
    store.add([StoredEvent(user, "i01", 5e6 + n) for n, user in enumerate(USERS)])
    assert history(folder, store, "vu01") == ["i05", "i05", "i06"]
    updated(folder, store)
    assert history(folder, store, "vu01") == ["i05", "i05", "i06"]


def test_an_old_and_a_new_model_on_one_database_hear_the_same(folder: Path, store: EventStore, tmp_path: Path) -> None:
    new = updated(folder, store, tmp_path / "new")
    store.add([StoredEvent("u05", "i00", 2e6), StoredEvent("stranger", "i01", 2e6)])
    for user in (*USERS, "stranger"):
        assert history(folder, store, user) == history(new, store, user)


def test_what_was_learnt_already_is_not_there_to_be_learnt_again(folder: Path, store: EventStore) -> None:
    updated(folder, store)
    with pytest.raises(DataError, match="has all of these events already"):
        updated(folder, store)
    store.add([StoredEvent("u01", "i02", 2e6)])
    events = untold_by(read_run(folder), store.path).events
    assert events.rows() == [("u01", "i02", 2_000_000)]


def test_a_retraction_reaches_what_the_run_has_before_and_after_it_was_learnt(folder: Path, store: EventStore) -> None:
    *first, last = history(folder, store, "u02")[:-2]  # of the run's own log
    store.add([StoredEvent("u02", str(last), 2e6, "retraction")])
    told = [*first, "i02", "i03"]
    if last in ("i02", "i03"):  # the latest event with the item is taken back, and that is the new one
        told = [*first, last, *({"i02", "i03"} - {last})]
    assert history(folder, store, "u02") == told
    updated(folder, store)
    assert history(folder, store, "u02") == told
    store.add([StoredEvent("u02", str(told[-1]), 3e6, "retraction")])
    assert history(folder, store, "u02") == told[:-1]


def test_who_was_deleted_is_not_learnt_nor_brought_back(folder: Path, store: EventStore) -> None:
    store.forget("u04")
    store.forget("u06")
    store.add([StoredEvent("u06", "i08", 2e6)])  # new, after the deletion
    assert (history(folder, store, "u04"), history(folder, store, "u06")) == ([], ["i08"])
    run = read_run(refit(read_run(folder), Session(0), None, untold_by(read_run(folder), store.path)).folder)
    assert run.users is not None
    assert "u04" not in run.users["user"]
    updated(folder, store)
    assert "u04" not in Recommender.load(folder).known_users()
    assert (history(folder, store, "u04"), history(folder, store, "u06")) == ([], ["i08"])
    store.add([StoredEvent(user, "i01", 3e6 + n) for n, user in enumerate(USERS[5:])])
    assert history(folder, store, "u06") == ["i08", "i01"]
    updated(folder, store)
    assert history(folder, store, "u06") == ["i08", "i01"]


def test_a_refit_learns_all_and_goes_on_from_there(folder: Path, store: EventStore) -> None:
    before = {user: history(folder, store, user) for user in USERS}
    run = read_run(folder)
    found = refit(run, Session(0), None, untold_by(run, store.path)).proven()
    assert found.metrics.refit is not None
    assert found.metrics.refit.events == sum(map(len, before.values())) == int(found.items["count"].sum())
    assert found.metrics.holds == {store.name: 60}
    assert {user: history(found.folder, store, user) for user in USERS} == before


@pytest.mark.parametrize("name", ["sasrec-ce", "popularity"])
def test_changes_of_the_catalogue_are_carried(tmp_path: Path, store: EventStore, name: str) -> None:
    folder = written(tmp_path / "other", name)
    store.catalogue.retire(["i05", "i06"])
    store.catalogue.rename({"i00": "Renamed"})
    store.catalogue.add({"i98": {"title": "Cold"}, "i99": {"title": "Warm"}})
    if name == "popularity":
        store.catalogue.add({"i97": {"no such column": 1}})
    store.add([StoredEvent(user, "i99", 2e6 + n) for n, user in enumerate(USERS)])
    updated(folder, store)
    after = Recommender.load(folder)
    assert (after.changes.retired, after.changes.titles) == ({"i05", "i06"}, {"i00": "Renamed"})
    assert after.changes.added_ids == (["i98"] if name == "sasrec-ce" else [])
    assert (after.titles["i00"], after.titles["i99"]) == ("Renamed", "Warm")
    store.catalogue.bring_back(["i05"])
    service = Service(Models([load(folder, "one")]), ServiceSettings(port=0), store)
    assert service.models.first.recommender.changes.retired == {"i06"}


def test_an_earlier_copy_of_the_database_is_refused_and_numbers_go_on_behind_what_was_learnt(
    folder: Path, store: EventStore, tmp_path: Path
) -> None:
    store.backup(tmp_path / "early.db")
    store.add([StoredEvent(user, "i01", 2e6) for user in USERS])
    updated(folder, store)
    with pytest.raises(ArtefactError, match="up to event 90, and that ends at 60"):
        untold_by(read_run(folder), tmp_path / "early.db")
    with EventStore.open(tmp_path / "early.db") as early:
        Service(Models([load(folder, "one")]), ServiceSettings(port=0), early)
        before = history(folder, early, "u01")
        early.add([StoredEvent("u01", "i11", 3e6)])
        assert history(folder, early, "u01") == [*before, "i11"]


def test_events_that_were_told_to_an_earlier_copy_are_in_doubt_and_said(
    folder: Path, store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "early.db"
    store.backup(copy)
    with EventStore.open(copy) as early:  # put back and served with the earlier run, until the newer one comes
        early.add([StoredEvent("u01", "i11"), StoredEvent("u02", "i11", 3e6)])
        store.add([StoredEvent(user, "i01", 2e6) for user in USERS])
        updated(folder, store)
        made = int(read_run(folder).metrics.provenance.moment)
        early.add([StoredEvent("u03", "i11", made + 60)] * 2)
        service = Service(Models([load(folder, "one")]), ServiceSettings(port=0), early)
        assert service.models.current["one"].in_doubt == 2
        assert early.latest() == 90  # later ones are numbered behind what was learnt
        early.add([StoredEvent(user, f"i{n % 12:02}", made + 90 + n) for n, user in enumerate(USERS)])
    capsys.readouterr()
    assert typed(monkeypatch, "update", str(folder), str(copy)) in (0, 2)
    said = capsys.readouterr().err
    assert "note: 2 events count as learnt by number and happened after the run was made" in said


def test_what_is_assumed_of_a_database_that_is_new_to_a_run_is_said(folder: Path, store: EventStore) -> None:
    found = update(read_run(folder), untold_by(read_run(folder), store.path), Session(0))
    [note] = found.notes
    assert note.startswith("the run has learnt nothing of this database before, so all its events are taken as new")
    assert "taken for an export of everything" in note
    assert note in found.trained.outcome.prepared.notes
    updated(folder, store)
    store.add([StoredEvent(user, "i01", 2e6 + n) for n, user in enumerate(USERS)])
    assert update(read_run(folder), untold_by(read_run(folder), store.path), Session(0)).notes == ()


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_new_events_are_told_by_their_number(folder: Path, tmp_path: Path, count: int) -> None:
    with EventStore.open(tmp_path / "few.db") as few:
        few.add([StoredEvent("u01", "i11", 1e6)] * count)
        told = untold_by(read_run(folder), few.path)
    with pytest.raises(DataError, match=rf"{count} new events? of 1 user at 1 moment are too few"):
        update(read_run(folder), told, Session(0))


def test_where_the_run_keeps_times_events_are_in_their_order_and_an_equal_one_is_the_same(
    folder: Path, store: EventStore
) -> None:
    run = read_run(folder)
    assert run.users is not None
    timed = run.users.with_columns(times=pl.col("history").list.eval(pl.int_range(pl.len()) * 60))
    first, second, third, *_ = run.items["item"].gather(run.users["history"][0]).to_list()
    store.forget("u01")
    store.add(
        [
            StoredEvent("u00", second, 60),  # the stored one
            StoredEvent("u00", second, 90),  # another one, between the second and the third
            StoredEvent("u00", third, 100, "retraction"),  # before it happened
            StoredEvent("u00", first, 100, "retraction"),
        ]
    )
    told = untold_by(run, store.path)
    log = together(remade(run, users=timed), Interactions(told.events), without=told.forgotten).log
    history = log.items.raw(log.sequences.select(torch.tensor([0])).flatten()[1]).to_list()
    stored = run.items["item"].gather(run.users["history"][0]).to_list()
    assert history == [second, second, *stored[2:], "i00", "i01"]
    assert "u01" not in log.users.ids


KINDS = (
    "kinds.buy=1", "kinds.view=history", "kinds.no=disliked", "kinds.unbuy=retracts buy", "kinds.yes=retracts no",
)  # fmt: skip
LOG = """user,item,time,event
ann,u,1,buy
ann,v,2,buy
ann,w,3,view
ann,x,4,buy
ann,y,5,no
ann,z,6,no
bob,v,1,buy
bob,w,2,buy
bob,x,3,buy
bob,u,4,buy
cat,x,1,buy
cat,y,2,buy
cat,z,3,buy
"""
NEWS = [
    StoredEvent("ann", "v", 10, "unbuy"), StoredEvent("ann", "y", 11, "yes"), StoredEvent("ann", "w", 12, "unbuy"),
    StoredEvent("ann", "y", 13, "buy"), StoredEvent("bob", "z", 14, "no"), StoredEvent("bob", "y", 15, "view"),
    StoredEvent("cat", "u", 16, "buy"), StoredEvent("cat", "u", 17, "unbuy"), StoredEvent("cat", "v", 18, "buy"),
    StoredEvent("bob", "z", 19, "buy"), StoredEvent("cat", "w", 20, "buy"), StoredEvent("ann", "u", 21, "buy"),
]  # fmt: skip


def test_kinds_of_new_events_are_applied_to_stored_ones_and_dislikes_go_on(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    recipe = load_recipe("co-occurrence", f"data={tmp_path / 'log.csv'}", "hide=nothing", *KINDS)
    folder = train(recipe, Session(0), tmp_path / "runs", extras=Extras()).folder
    known = Recommender.load(folder)
    with EventStore.open(tmp_path / "events.db", kinds=known.kinds, ids=ids_of(known)) as store:
        store.add(NEWS)
        # v was bought before and is taken back; w was viewed, not bought, and stays
        expected = {"ann": [*"uwxyu"], "bob": [*"vwxuyz"], "cat": [*"xyzvw"]}
        assert {user: history(folder, store, user) for user in expected} == expected
        updated(folder, store)
        assert {user: history(folder, store, user) for user in expected} == expected
        users = read_run(folder).users
        assert users is not None
        items = Recommender.load(folder).known.raw_items
        disliked = {user: [items[item] for item in own] for user, own in users.select("user", "disliked").iter_rows()}
        assert disliked == {"ann": ["z"], "bob": ["z"], "cat": []}
        weights = dict(users.select("user", "weights").iter_rows())
        assert weights == {"ann": [1, 0, 1, 1, 1], "bob": [1, 1, 1, 1, 0, 1], "cat": [1, 1, 1, 1, 1]}
        store.add([StoredEvent("bob", "z", 30, "yes"), StoredEvent("bob", "x", 31, "unbuy")])
        assert history(folder, store, "bob") == [*"vwuyz"]


def test_a_question_without_kinds_after_stored_events_with_kinds_is_a_history(tmp_path: Path) -> None:
    with EventStore.open(tmp_path / "events.db", kinds={"buy": 1.0, "unbuy": "retracts buy"}) as store:
        store.add([StoredEvent("ann", "v", 10, "buy"), StoredEvent("ann", "v", 11, "unbuy")])
        asked = with_stored(Question(user="ann", history=["w"]), "ann", store)
        assert (asked.history, asked.kinds) == (["v", "v", "w"], ["buy", "unbuy", None])


def test_the_cycle_over_http_while_the_service_runs(
    folder: Path, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Models([load(folder, "one")]), events=store) as one:
        events = [{"user": f"new{n}", "item": f"i{n:02}", "time": 2e6 + n} for n in range(12)]
        assert one.post("/v1/events", events).json()["accepted"] == 12
        gone = one.client.delete("/v1/users/u07")
        assert gone.json()["deleted"] == 2
        seen = {user: one.post("/v1/recommend", {"user": user, "k": 12}).json() for user in ("new3", "u01", "u07")}
        told = typed(monkeypatch, "update", str(folder), str(store.path), "--threads", "1", "--replace-worse")
        assert told == 0
        version = one.client.post("/v1/models/one/reload").json()["version"]
        after = {user: one.post("/v1/recommend", {"user": user, "k": 12}).json() for user in seen}
        assert {answer["model"]["version"] for answer in after.values()} == {version}
        assert version != seen["u01"]["model"]["version"]
        for user, answer in after.items():  # by popularity: what a user has seen decides which items are listed
            assert {item["item"] for item in answer["items"]} == {item["item"] for item in seen[user]["items"]}
        assert one.client.get("/v1/users/u07").json()["learnt"] == []
        refused = one.post("/v1/recommend", {"user": 7})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
        assert "user 7 is a number, and the ids of users are texts" in refused.json()["message"]
