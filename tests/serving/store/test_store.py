"""The store of a service: what it acknowledges is on disk, once, and what it may not hold is refused."""

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextitem.data.kinds import carry_out
from nextitem.errors import ArtefactError, ConfigurationError, DataError, NextitemError, StorageError
from nextitem.serving.store.events import IdTypes, KeyReusedError, Receipt, Rules, StoredEvent, standing
from nextitem.serving.store.store import EventStore
from nextitem.serving.store.writer import QueueFullError

KINDS = {
    "buy": 1.0,
    "unbuy": "retracts buy",
    "undo": "retracts",
    "view": "history",
    "no": "disliked",
    "ping": "ignored",
}
BREAD, MILK = StoredEvent("ann", "bread", 10), StoredEvent("ann", "milk", 20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def store(file: Path) -> Iterator[EventStore]:
    with EventStore.open(file) as opened:
        yield opened


def test_what_is_acknowledged_is_there_when_the_store_is_opened_again(file: Path) -> None:
    with EventStore.open(file) as store:
        assert store.add([BREAD, MILK]) == Receipt(2)
    with EventStore.open(file) as store:
        assert store.of_user("ann") == [BREAD, MILK]
        assert (store.count(), store.latest()) == (2, 2)


def test_the_next_read_sees_the_event_in_the_order_of_time_then_of_arrival(store: EventStore) -> None:
    for event in (MILK, BREAD, StoredEvent("ann", "eggs", 20), StoredEvent("bob", "bread", 1)):
        store.add([event])
    assert [event.item for event in store.of_user("ann")] == ["bread", "milk", "eggs"]
    assert [event.item for event in store.of_user("ann", after=1)] == ["bread", "eggs"]
    assert store.of_user("nobody") == []


def test_an_event_without_a_time_happened_when_it_arrived(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextitem.serving.store.store.time.time", lambda: 1234.9)
    store.add([StoredEvent("ann", "bread")])
    assert store.of_user("ann") == [StoredEvent("ann", "bread", 1234)]


def test_a_key_that_comes_again_stores_nothing_again(file: Path) -> None:
    with EventStore.open(file) as store:
        assert store.add([BREAD], "first") == Receipt(1)
        assert store.add([BREAD], "first") == Receipt(1, is_repeat=True)
        assert store.add([BREAD], "second") == Receipt(1)
    with EventStore.open(file) as store:
        assert store.add([BREAD], "first").is_repeat
        assert store.count() == 2


def test_a_key_that_comes_with_other_events_is_refused(store: EventStore) -> None:
    store.add([BREAD], "k")
    with pytest.raises(KeyReusedError, match="the idempotency key 'k' came before with other events; give each"):
        store.add([MILK], "k")
    assert store.of_user("ann") == [BREAD]


def test_an_event_of_no_time_is_the_same_request_whenever_it_comes_again(store: EventStore) -> None:
    assert store.add([StoredEvent("ann", "bread")], "k") == Receipt(1)
    assert store.add([StoredEvent("ann", "bread")], "k").is_repeat


def test_ids_stay_what_they_are(file: Path) -> None:
    with EventStore.open(file) as store:
        store.add([StoredEvent("007", 7, 1)])
        assert store.of_user("007") == [StoredEvent("007", 7, 1)]
        assert store.of_user(7) == store.of_user("7") == []
        with pytest.raises(
            DataError, match=r'event 1: user 7 is a number, and the ids of users are texts; send such as "7"'
        ):
            store.add([StoredEvent(7, 7)])
    with pytest.raises(ConfigurationError, match="holds events of the user '007', and ids of users in this run are"):
        EventStore.open(file, ids=IdTypes(int, int))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (StoredEvent("", "x"), "event 1: user '' is empty, or no text"),
        (StoredEvent("u", "\ud800"), "event 1: item '.*' is empty, or no text"),
        (StoredEvent("u", "a\0b"), "or no text that UTF-8 can hold"),
        (StoredEvent("u", 2**63), "item 9223372036854775808 is beyond 64 bits"),
        (StoredEvent("u", True), "item True is no id"),
        (StoredEvent("u", 1.5), "item 1.5 is no id"),  # type: ignore[arg-type]
        (StoredEvent("u", "x", float("nan")), "event 1: time nan is no number; times are unix seconds"),
        (StoredEvent("u", "x", "now"), "time 'now' is no number"),  # type: ignore[arg-type]
        (StoredEvent("u", "x", 1.7e12), r"after the year 9999; give seconds, not milliseconds"),
        (StoredEvent("u", "x", 1, "buy"), "kind 'buy', and the run learnt from events without kinds; leave it out, or"),
    ],
)
def test_what_is_no_event_is_refused_by_its_field(store: EventStore, event: StoredEvent, message: str) -> None:
    with pytest.raises(DataError, match=message):
        store.add([event])
    assert store.count() == 0


def test_events_have_a_kind_that_means_something_where_those_of_the_run_have(file: Path) -> None:
    with EventStore.open(file, kinds=KINDS) as store:
        store.add([BREAD._replace(kind="buy"), BREAD._replace(kind="unbuy", time=11)])
        assert [event.kind for event in store.of_user("ann")] == ["buy", "unbuy"]
        with pytest.raises(DataError, match="event 1: kind 'by': did you mean 'buy'"):
            store.add([BREAD._replace(kind="by")])
        with pytest.raises(DataError, match=r"event 1 has no kind, and the run's events have: buy, unbuy"):
            store.add([BREAD])


def test_without_kinds_the_latest_event_with_an_item_is_taken_back(store: EventStore) -> None:
    store.add([BREAD, MILK, BREAD._replace(time=30)])
    store.add([StoredEvent("ann", "bread", 40, "retraction"), StoredEvent("ann", "tea", 40, "retraction")])
    assert store.of_user("ann") == [BREAD, MILK]
    assert store.frame().to_dicts() == [{"user": "ann", "item": e.item, "time": e.time} for e in (BREAD, MILK)]
    assert len(store.export("ann").events) == 5


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(sorted(KINDS)), st.integers(0, 2)), max_size=12))
def test_events_are_taken_back_as_in_a_log(drawn: list[tuple[str, str, int]]) -> None:
    events = sorted((StoredEvent("u", item, time, kind) for item, kind, time in drawn), key=lambda one: one.time or 0)
    log = pl.DataFrame(events, ["user", "item", "time", "kind"], orient="row") if events else pl.DataFrame()
    if not events:
        return
    expected = carry_out(log.with_row_index("place"), KINDS)
    left = sorted([*expected.kept["place"], *expected.disliked["place"]])
    found = [n for n in standing(events, Rules(KINDS)) if events[n].kind != "ping"]
    assert found == left


def test_a_user_who_is_deleted_stays_so(file: Path) -> None:
    with EventStore.open(file) as store:
        store.add([BREAD, StoredEvent("bob", "milk", 1)], "k")
        assert store.forget("ann") == 1
        assert store.forget("stranger") == 0
        assert store.of_user("ann") == []
    with EventStore.open(file) as store:
        assert store.is_forgotten("ann")
        assert store.is_forgotten("stranger")
        assert not store.is_forgotten("bob")
        assert (store.count(), store.latest()) == (1, 2)
        assert store.add([BREAD, StoredEvent("bob", "milk", 1)], "k").is_repeat
        with pytest.raises(KeyReusedError, match="came before with other events"):  # whose would be lost
            store.add([StoredEvent("eve", "milk", 1)], "k")
        with pytest.raises(KeyReusedError, match="came before with other events"):  # what came after the end is new
            store.add([StoredEvent("ann", "tea", 9), StoredEvent("bob", "milk", 1)], "k")
        store.add([MILK])
        assert store.export("ann").events == (MILK,)
        assert store.latest() == 3


def test_nothing_of_a_deleted_user_is_left_in_the_files(file: Path) -> None:
    with EventStore.open(file) as store:
        store.add([StoredEvent("somebody-known", f"item-{n}-of-somebody", n) for n in range(300)])
        store.forget("somebody-known")
        content = b"".join(one.read_bytes() for one in file.parent.iterdir())
        assert content.count(b"somebody-known") == 1  # that they are forgotten
        assert b"-of-somebody" not in content


def test_changes_of_the_catalogue_are_kept(file: Path) -> None:
    with EventStore.open(file) as store:
        store.catalogue.retire(["bread", "milk"])
        store.catalogue.bring_back(["milk"])
        store.catalogue.rename({"tea": "Green tea"})
        store.catalogue.add({"jam": {"title": "Jam", "price": 2.5, "categories": ["sweet"]}})
        store.catalogue.add({"gone": {}})
        store.catalogue.remove(["gone"])
    with EventStore.open(file) as store:
        changes = store.catalogue.changes()
    assert changes.retired == ("bread",)
    assert changes.titles == {"tea": "Green tea"}
    assert changes.added == {"jam": {"title": "Jam", "price": 2.5, "categories": ["sweet"]}}


def test_a_change_that_cannot_be_kept_is_refused(store: EventStore) -> None:
    with pytest.raises(DataError, match="item 'tea': the title ' ' is blank"):
        store.catalogue.rename({"tea": " "})
    with pytest.raises(DataError, match=r"item 'tea': its features are nothing that JSON holds \(Out of range"):
        store.catalogue.add({"tea": {"price": float("nan")}})
    with pytest.raises(DataError, match=r"item 'tea': its features are longer than 1,048,576 characters"):
        store.catalogue.add({"tea": {"text": "x" * 2**20}})
    with pytest.raises(DataError, match=r"item 2: item 1\.5 is no id"):
        store.catalogue.retire(["tea", 1.5])  # type: ignore[list-item]


def test_many_who_write_at_once_are_all_stored(store: EventStore) -> None:
    async def write() -> list[Receipt]:
        return await asyncio.gather(*(store.add_async([StoredEvent(f"u{n % 7}", "x", n)], f"{n}") for n in range(500)))

    assert asyncio.run(write()) == [Receipt(1)] * 500
    assert sum(len(store.of_user(f"u{n}")) for n in range(7)) == store.count() == 500


def test_threads_that_send_the_same_key_store_it_once(store: EventStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        receipts = [*threads.map(lambda _: store.add([BREAD], "k"), range(40))]
    assert sum(not receipt.is_repeat for receipt in receipts) == store.count() == 1


def test_more_than_may_wait_is_refused_at_once(file: Path) -> None:
    with EventStore.open(file, most_waiting=2) as store:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # so that nothing can be written

            async def write() -> list[Receipt | BaseException]:
                sent = [asyncio.ensure_future(store.add_async([BREAD])) for _ in range(9)]
                await asyncio.sleep(0)
                other.execute("ROLLBACK")
                return await asyncio.gather(*sent, return_exceptions=True)

            found = asyncio.run(write())
        refused = [one for one in found if isinstance(one, QueueFullError)]
        assert len(refused) >= 5
        assert "requests wait to be stored" in str(refused[0])
        assert store.count() == len(found) - len(refused)


def test_a_full_disk_stores_nothing_of_what_it_refuses(store: EventStore) -> None:
    store.add([BREAD], "k")
    store._transactions._connection.execute("PRAGMA max_page_count=1")
    big = [StoredEvent("bob", "x" * 1000, n) for n in range(200)]
    with pytest.raises(
        StorageError, match=r"cannot write .*events\.db: database or disk is full; free space, and send"
    ):
        store.add(big, "big")
    assert (store.count(), store.of_user("bob"), store.of_user("ann")) == (1, [], [BREAD])
    store._transactions._connection.execute("PRAGMA max_page_count=100000")
    assert store.add(big, "big") == Receipt(200)


def test_one_process_has_the_database(file: Path) -> None:
    with EventStore.open(file), pytest.raises(ConfigurationError, match=r"another process serves from .*; end it, or"):
        EventStore.open(file)
    with EventStore.open(file) as store:
        store.close()
        with pytest.raises(StorageError, match=r"events\.db was closed; nothing more is stored in it"):
            store.add([BREAD])


def foreign(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE events (user)")


def newer(file: Path) -> None:
    EventStore.open(file).close()
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA user_version=2")


def triggered(file: Path) -> None:
    EventStore.open(file).close()
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER sprung AFTER INSERT ON events BEGIN DELETE FROM events; END")


def altered(file: Path) -> None:
    with EventStore.open(file) as store:
        store.add([BREAD])
    with closing(sqlite3.connect(file)) as other:
        other.execute("UPDATE events SET item = 'cake'")
        other.commit()


def cut(file: Path) -> None:
    EventStore.open(file).close()
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.write_bytes(b""), "is no database"),
        (lambda file: file.write_text("user,item\n" * 99), "is no database"),
        (Path.mkdir, "a folder, not a regular file"),
        (foreign, "is a database of another program; choose another --events"),
        (newer, "has version 2 of its tables, and this nextitem reads version 1; use the nextitem that wrote it"),
        (triggered, "holds other tables than a service makes; restore it"),
        (altered, "is damaged: row 1 of events does not prove itself; restore it from a dump"),
        (cut, r"has \d+,\d+ bytes, and its header says \d+ pages of 4,096"),
    ],
)
def test_a_file_that_is_no_whole_database_of_ours_is_refused(file: Path, make: object, message: str) -> None:
    make(file)  # type: ignore[operator]
    with pytest.raises(ArtefactError, match=message):
        EventStore.open(file)


def test_a_backup_is_what_was_there_at_one_moment(store: EventStore, tmp_path: Path) -> None:
    store.add([BREAD])
    store.backup(tmp_path / "copy.db")
    store.add([MILK])
    with EventStore.open(tmp_path / "copy.db") as copy:
        assert copy.of_user("ann") == [BREAD]
        assert copy.name == store.name


def test_all_events_are_a_log_to_learn_from(file: Path) -> None:
    with EventStore.open(file, kinds=KINDS, ids=IdTypes(int, int)) as store:
        assert store.frame().schema == {"user": pl.Int64, "item": pl.Int64, "time": pl.Int64, "kind": pl.String}
        store.add([StoredEvent(9, 1, 20, "buy"), StoredEvent(1, 2, 10.5, "view")])
        frame = store.frame()
        assert frame.rows() == [(9, 1, 20.0, "buy"), (1, 2, 10.5, "view")]
        assert store.frame(after=1).rows() == [(1, 2, 10.5, "view")]


def test_an_error_of_one_request_leaves_those_that_are_written_with_it(store: EventStore) -> None:
    store.add([BREAD], "k")

    async def write() -> list[Receipt | BaseException]:
        return await asyncio.gather(
            *(store.add_async([MILK], "k" if n == 2 else None) for n in range(5)), return_exceptions=True
        )

    found = asyncio.run(write())
    assert [isinstance(one, NextitemError) for one in found] == [False, False, True, False, False]
    assert store.count() == 5
