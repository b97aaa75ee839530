"""Lists of all users are whole or not there, and a start after a kill goes on from what is finished."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, StorageError
from nextitem.serving.narrowing.narrowed import Picking
from nextitem.serving.narrowing.picking import Limit
from nextitem.serving.parts import writing
from nextitem.serving.parts.batch import Terms, batch_of_users
from nextitem.serving.parts.ranked import Ranker
from nextitem.serving.parts.workplace import Workplace
from nextitem.serving.parts.writing import Wanted, check_out, write_lists
from nextitem.serving.recommender import Recommender
from worlds.small_runs import USERS, outcome

K = 3  # items that are left of 12 for whoever has seen nine


OTHERS = Sequences.of([[place % 12] for place in range(USERS)], 12)


@pytest.fixture(autouse=True)
def _seven_users_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_MOST_USERS", 7)


def wanted(k: int = K, made_by: str = "a run", users: int = USERS) -> Wanted:
    recommender = Recommender.from_outcome(outcome("sasrec-ce"))
    batch = batch_of_users(recommender, pl.Series(recommender.known_users()[:users]), Terms())
    titles = pl.Series(['The "First", größer', *[None] * (len(recommender.items) - 1)])
    return Wanted(Ranker(recommender.known, k, "history"), batch, recommender.items, titles, k, made_by)


class Killed(BaseException):
    pass


def killed_after(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, made = Ranker.ranked, []

    def ranked(*given: object) -> object:
        made.append(given)
        if len(made) > parts:
            raise Killed
        return whole(*given)

    monkeypatch.setattr(Ranker, "ranked", ranked)


def test_a_file_holds_the_lists_of_all_in_order(tmp_path: Path) -> None:
    written = write_lists(wanted(), tmp_path / "recs.parquet")
    table = pl.read_parquet(tmp_path / "recs.parquet")
    assert table.columns == ["user", "rank", "item", "score", "source", "title"]
    assert table["user"].unique(maintain_order=True).to_list() == wanted().batch.owners.to_list()
    assert table["rank"].to_list() == [1, 2, 3] * USERS
    assert (written.users, written.recommendations, written.without, written.found) == (USERS, K * USERS, [], 0)
    assert len(written.parts) == 5  # 7, 7, 7, 7 and 2 users
    assert [*tmp_path.iterdir()] == [tmp_path / "recs.parquet"]


def test_every_format_holds_the_same(tmp_path: Path) -> None:
    for ending in (".parquet", ".csv", ".jsonl", ""):
        write_lists(wanted(), tmp_path / f"recs{ending}")
    table = pl.read_parquet(tmp_path / "recs.parquet")
    assert pl.read_parquet(tmp_path / "recs" / "*.parquet").equals(table)
    assert pl.read_csv(tmp_path / "recs.csv").equals(table)
    lines = (tmp_path / "recs.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == table.to_dicts()
    assert sorted(path.name for path in (tmp_path / "recs").iterdir()) == [f"part-0000{n}.parquet" for n in range(5)]


@pytest.mark.parametrize("name", ["recs.parquet", "recs"])
def test_a_kill_leaves_nothing_of_that_name_and_a_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_lists(wanted(), tmp_path / "whole.parquet")
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(Killed):
            write_lists(wanted(), tmp_path / name)
    assert not (tmp_path / name).exists()
    said: list[str] = []
    with monkeypatch.context() as patch:
        killed_after(2, patch)  # no more than two parts are left to make
        written = write_lists(wanted(), tmp_path / name, said.append)
    assert (written.found, written.parts_found, written.users) == (21, 3, USERS)
    assert said == ["going on: the lists of 21 of 30 users are there already"]
    found = tmp_path / name if name.endswith(".parquet") else tmp_path / name / "*.parquet"
    assert pl.read_parquet(found).equals(pl.read_parquet(tmp_path / "whole.parquet"))
    assert not (tmp_path / ".partial").exists()


@pytest.mark.parametrize(
    "other",
    [
        wanted(k=2),
        wanted(made_by="another run"),
        wanted(users=29),
        replace(wanted(), titles=None),
        replace(wanted(), ranker=replace(wanted().ranker, hide="nothing")),
        replace(wanted(), ranker=replace(wanted().ranker, picking=Picking(diversity=0.5))),
        replace(wanted(), ranker=replace(wanted().ranker, picking=Picking(limits=(Limit(1, [("a",)] * 12),)))),
        replace(wanted(), batch=replace(wanted().batch, asked=replace(wanted().batch.asked, histories=OTHERS))),
    ],
)
def test_parts_of_another_question_are_no_parts_of_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Wanted
) -> None:
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(Killed):
            write_lists(wanted(), tmp_path / "recs.parquet")
    assert write_lists(other, tmp_path / "recs.parquet").found == 0
    write_lists(other, tmp_path / "whole.parquet")
    assert (tmp_path / "recs.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("name", ["part-00001.arrow", "part-00001.json"])
def test_a_part_that_is_not_whole_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(Killed):
            write_lists(wanted(), tmp_path / "recs.parquet")
    part = tmp_path / ".partial" / "recs.parquet" / name
    part.write_bytes(part.read_bytes()[:-5])
    assert write_lists(wanted(), tmp_path / "recs.parquet").found == 14
    assert pl.read_parquet(tmp_path / "recs.parquet").height == K * USERS


def test_an_earlier_file_or_folder_is_there_until_the_new_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("recs.csv", "recs"):
        write_lists(wanted(k=1), tmp_path / name)
        with monkeypatch.context() as patch:
            killed_after(1, patch)
            with pytest.raises(Killed):
                write_lists(wanted(), tmp_path / name)
        assert _rows(tmp_path / name) == USERS
        write_lists(wanted(), tmp_path / name)
        assert _rows(tmp_path / name) == K * USERS


def _rows(place: Path) -> int:
    return (pl.read_csv(place) if place.suffix else pl.read_parquet(place / "*.parquet")).height


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recs").mkdir()
    (tmp_path / "recs" / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match=r"holds 'thesis.tex', which is no part of lists; remove it"):
        write_lists(wanted(), tmp_path / "recs")


def test_an_ending_that_says_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the ending has to tell the format; known: \.csv, .* or a folder"):
        check_out(tmp_path / "recs.xlsx")


def test_of_nobody_there_is_a_table_without_rows(tmp_path: Path) -> None:
    write_lists(wanted(users=0), tmp_path / "recs.csv")
    assert (tmp_path / "recs.csv").read_text() == "user,rank,item,score,source,title\n"


def test_what_the_system_refuses_is_said_and_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="choose another --out"):
        write_lists(wanted(), tmp_path / "file" / "recs.csv")


@pytest.mark.parametrize("name", ["a part", "the file"])
def test_a_full_disk_is_said_and_the_earlier_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_lists(wanted(k=1), tmp_path / "recs.csv")
    earlier = (tmp_path / "recs.csv").read_bytes()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    # A part is written by another thread, and all of them are joined by this one.
    if name == "a part":
        monkeypatch.setattr(Workplace, "add", refuse)
    else:
        monkeypatch.setattr(pl.DataFrame, "write_csv", refuse)
    with pytest.raises(StorageError, match=r"cannot write .*recs.csv.*No space left on device"):
        write_lists(wanted(), tmp_path / "recs.csv")
    assert (tmp_path / "recs.csv").read_bytes() == earlier


def test_a_folder_has_no_ending_and_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "recs.csv").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        write_lists(wanted(), tmp_path / "recs.csv")
    assert [*(tmp_path / "recs.csv").iterdir()] == []


def test_parts_are_written_while_the_next_one_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add, ranked, is_next = Workplace.add, Ranker.ranked, threading.Event()

    def added(place: Workplace, number: int, *given: Any) -> Any:
        assert number == 4 or is_next.wait(60)
        is_next.clear()
        return add(place, number, *given)

    def told(*given: Any) -> Any:
        found = ranked(*given)
        is_next.set()
        return found

    whole = wanted()
    monkeypatch.setattr(Workplace, "add", added)
    monkeypatch.setattr(Ranker, "ranked", told)
    assert write_lists(whole, tmp_path / "recs.parquet").users == USERS
