"""Lists of all users are whole or not there, and a start after a kill goes on from what is finished."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from nextitem.errors import ConfigurationError, StorageError
from nextitem.serving.parts import writing
from nextitem.serving.parts.ranked import Ranker
from nextitem.serving.parts.writing import Wanted, check_out, write_lists
from nextitem.serving.recommender import Recommender
from worlds.small_runs import USERS, outcome

K = 3  # items that are left of 12 for whoever has seen nine


@pytest.fixture(autouse=True)
def _seven_users_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_MOST_USERS", 7)


def wanted(k: int = K, made_by: str = "a run", users: int = USERS) -> Wanted:
    recommender = Recommender.from_outcome(outcome("sasrec-ce"))
    ranker = Ranker(recommender.known.scorer, recommender.known.popularity, k, "history")
    owners = pl.Series(recommender.known_users()[:users])
    titles = pl.Series(["The First", *[None] * (len(recommender.items) - 1)])
    return Wanted(ranker, owners, recommender.asked(users=owners).histories, recommender.items, titles, made_by)


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
    assert table["user"].unique(maintain_order=True).to_list() == wanted().owners.to_list()
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
