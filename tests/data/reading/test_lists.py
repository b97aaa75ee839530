"""Lists that anybody made: which columns, which values, and what is refused by file, row and value."""

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from nextitem.data.reading.columns import Columns
from nextitem.data.reading.lists import ListColumns, read_lists, told_columns
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import ConfigurationError, DataError
from nextitem.storage import write_csv


def written(folder: Path, text: str, name: str = "recs.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_of_users_items_and_scores_is_read_row_by_row(tmp_path: Path) -> None:
    found = read_lists(written(tmp_path, "item_id,user_id,score\nb,7,0.5\n a ,8,-1e3\n"))
    assert found["user"].to_list() == [7, 8]
    assert found["item"].to_list() == ["b", "a"]
    assert found["score"].to_list() == [0.5, -1000]
    assert found["row"].to_list() == [2, 3]
    assert found["file"].to_list() == [str(tmp_path / "recs.csv")] * 2
    assert "rank" not in found.columns


def test_ranks_and_scores_may_both_be_there(tmp_path: Path) -> None:
    found = read_lists(written(tmp_path, "user,item,Rank,prediction,other\nu,b,1,9,x\n"))
    assert (found["rank"].to_list(), found["score"].to_list()) == ([1], [9])


@pytest.mark.parametrize("library", [pl.DataFrame, pd.DataFrame])
def test_a_frame_is_read_as_a_file_is(library: type, tmp_path: Path) -> None:
    columns = {"user": ["u", "v"], "item": [1, 2], "rank": [1, 2]}
    found = read_lists(library(columns))
    assert found["file"].to_list() == ["frame", "frame"]
    assert found.select("user", "item", "rank").rows() == [("u", 1, 1.0), ("v", 2, 2.0)]
    pl.DataFrame(columns).write_parquet(tmp_path / "recs.parquet")
    assert read_lists(tmp_path / "recs.parquet").drop("file").equals(found.drop("file"))


def test_columns_are_named_or_numbered(tmp_path: Path) -> None:
    named = written(tmp_path, "who;what;how\nu;b;2\n")
    asked = ListColumns.parse("user=who,item=what,score=how,separator=semicolon")
    assert asked == ListColumns(Columns(user="who", item="what", separator="semicolon"), None, "how")
    assert read_lists(named, asked)["score"].to_list() == [2]
    numbered = written(tmp_path, "u,b,2\nu,c,1\n", "bare.csv")
    assert read_lists(numbered, ListColumns.parse("user=1,item=2,rank=3"))["rank"].to_list() == [2, 1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user,item,score\nu,a,1\nu,b,much\n", ":3: the score is 'much', and lists are put in order by finite numbers"),
        ("user,item,rank\nu,a,\n", ":2: the rank is missing, and lists are put in order by finite numbers"),
        (
            "user,item,score\nu,a,nan\nu,b,inf\n",
            ":2: the score is 'nan', .*; correct the row or drop it \\(2 such rows: 2, 3\\)",
        ),
        ("user,item,score\nu,,1\n", ":2:item"),
        ("user,item,score\nu,a\n", ":2: 'u,a' has 2 fields"),
        ("user,item\nu,a\n", "has neither ranks nor scores among user, item"),
        ("user,item,score\n", "has a header and no rows; give a file with at least one list"),
        (
            "user,item,rank,position\nu,a,1,1\n",
            "'rank' and 'position' could be the rank; choose by --columns rank=NAME",
        ),
    ],
)
def test_what_is_no_list_is_refused_by_row_and_value(text: str, told: str, tmp_path: Path) -> None:
    if "position" in told:
        text = text.replace("rank,position", "place,position")
        told = told.replace("'rank' and", "'place' and")
    with pytest.raises(DataError, match=told):
        read_lists(written(tmp_path, text))


def test_an_own_word_wins_over_other_usual_ones(tmp_path: Path) -> None:
    assert read_lists(written(tmp_path, "user,item,position,rank\nu,a,9,1\n"))["rank"].to_list() == [1]


def test_lists_have_no_times(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="users, items, ranks and scores alone; leave out time and kind"):
        read_lists(written(tmp_path, "user,item,rank\nu,a,1\n"), ListColumns.parse("time=ts"))


def test_rows_that_cannot_be_used_are_skipped_and_counted_where_that_is_asked(tmp_path: Path) -> None:
    file = written(tmp_path, "user,item,rank\nu,a,1\nu,,2\nu,b\nu,c,third\nu,d,inf\nu,e,\nu,f,4\n")
    rejected, skipping = RejectedRows(), ListColumns.parse("on_bad_rows=skip")
    found = read_lists(file, skipping, rejected=rejected)
    assert found.select("row", "item", "rank").rows() == [(2, "a", 1), (8, "f", 4)]
    assert rejected.table.select("row", "column", "reason", "content").rows() == [
        (3, "item", "is blank", "u,,2"), (4, "", "has too few fields", "u,b"),
        (5, "rank", "is no finite number", "u,c,third"), (6, "rank", "is no finite number", "u,d,inf"),
        (7, "rank", "is no finite number", "u,e,"),
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"recs.csv has no row that can be used: 1 row left out"):
        read_lists(written(tmp_path, "user,item,rank\nu,a,x\n"), skipping, rejected=RejectedRows())


def test_it_is_told_which_columns_hold_what(tmp_path: Path) -> None:
    file = written(tmp_path, "user,item,Rank,prediction,other\nu,b,1,9,x\n")
    assert (
        told_columns(file) == "users are in 'user', items in 'item', and what orders a list in 'Rank' and 'prediction'"
    )


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no column 'placement'"):
        read_lists(written(tmp_path, "user,item,rank\nu,a,1\n"), ListColumns.parse("rank=placement"))
    with pytest.raises(ConfigurationError, match="'ranks' is no role of a column"):
        ListColumns.parse("ranks=placement")


def test_ids_that_were_written_as_no_formulas_are_read_as_they_were(tmp_path: Path) -> None:
    ids = ["=1+1", "-x", "'=y", "'plain", "@z"]
    write_csv(tmp_path / "lists.csv", pl.DataFrame({"user": ids, "rank": [1] * 5, "item": ids}))
    assert read_lists(tmp_path / "lists.csv").select("user", "item").rows() == [(one, one) for one in ids]
