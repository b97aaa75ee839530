"""Names of columns that others use are found, and two of them are never chosen between in silence."""

import pytest

from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import found_in, read_interactions
from nextitem.errors import ConfigurationError, DataError
from worlds.event_files import Write, refusal

NEWEST_FIRST = [("ann", "y", 20), ("ann", "x", 10), ("bob", "x", 15)]


@pytest.mark.parametrize(
    "header",
    [
        "user_id,item_id,datetime", "userId,movieId,event_time", "uid,iid,date", "USER,ITEM,TS",
        "visitorid,itemid,timestamp", "customer_id,article_id,created_at", "reviewerID,asin,unixReviewTime",
        "user_id:token,item_id:token,timestamp:float", "customer_no,product_code,happened_at",
    ],
)  # fmt: skip
def test_names_that_others_use_are_found(written: Write, header: str) -> None:
    file = written("log.csv", f"{header}\n" + "".join(f"{u},{i},{t}\n" for u, i, t in NEWEST_FIRST))
    ordered = read_interactions(file).in_time_order()
    assert ordered.rows() == [("ann", "x", 10), ("ann", "y", 20), ("bob", "x", 15)]
    user, item, time = header.split(",")
    assert (
        found_in(file).note()
        == f"column '{time}' orders the events of a user; users are in '{user}', items in '{item}'"
    )


@pytest.mark.parametrize(("name", "unit"), [("timestamp_ms", 1_000), ("timeUs", 10**6), ("ts_ns", 10**9), ("ts_s", 1)])
def test_the_unit_that_a_name_ends_in_is_that_of_the_times(written: Write, name: str, unit: int) -> None:
    file = written("log.csv", f"user,item,{name}\nann,x,{1_700_000_000 * unit}\n")
    assert read_interactions(file).events["time"].to_list() == [1_700_000_000]
    assert found_in(file, Columns(time_unit="s")).time_unit == "s"  # what is said wins


def test_the_own_words_for_user_and_item_win_over_those_of_others(written: Write) -> None:
    file = written("log.csv", "customer_id,user_id,sku,item\nc,ann,s,x\n")
    assert read_interactions(file).events.rows() == [("ann", "x")]
    assert "'customer_id' and 'visitor' could be the user" in refusal(
        written("b.csv", "customer_id,visitor,item\na,b,c\n")
    )


@pytest.mark.parametrize("names", ["timestamp,date", "time,datetime", "ts,created_at"])
def test_two_columns_of_times_are_refused_with_both_names(written: Write, names: str) -> None:
    file = written("log.csv", f"user,item,{names}\nann,x,10,20\n")
    first, second = names.split(",")
    assert refusal(file) == (
        f"{file}: '{first}' and '{second}' could be the time; choose by columns.time=NAME among the settings or "
        f"--columns time=NAME, take the order of rows by columns.order=rows, or rename the columns"
    )
    assert read_interactions(file, Columns(time=second)).events["time"].to_list() == [20]
    assert read_interactions(file, Columns(order="rows")).events.columns == ["user", "item"]


def test_without_a_column_of_times_the_note_says_so(written: Write) -> None:
    file = written("log.csv", "user,item,whenever\nann,x,10\n")
    assert found_in(file).note() == (
        "no column of times among user, item, whenever: the order of rows is taken for time; if 'whenever' holds "
        "times, say columns.time=whenever"
    )
    by_rows = found_in(file, Columns(order="rows")).note()
    assert by_rows == "the order of rows is taken for time, as columns.order=rows asks"
    with pytest.raises(ConfigurationError, match=r"order=rows reads no times: leave out columns\.time=whenever"):
        read_interactions(file, Columns(order="rows", time="whenever"))
    wide = written("wide.csv", ",".join(["user", "item", *(f"c{n}" for n in range(80))]) + "\n")
    assert (
        found_in(wide)
        .note()
        .endswith("c46, c47, …: the order of rows is taken for time; if another holds times, say columns.time=NAME")
    )


def test_the_columns_of_another_log_count_before_usual_names(written: Write) -> None:
    learnt = found_in(written("log.csv", "who,sku,when\na,x,1\n"), Columns(user="who", time="when")).columns
    file = written("today.csv", "who,user,sku,date,when\nann,u,x,2024-01-01,5\n")
    assert read_interactions(file, like=learnt).events.rows() == [("ann", "x", 5)]
    assert read_interactions(file, Columns(user="user"), learnt).events.rows() == [("u", "x", 5)]
    other = written("other.csv", "user_id,item_id,datetime\nann,x,1970-01-02\n")
    assert read_interactions(other, like=learnt).events.rows() == [("ann", "x", 86_400)]


def test_a_log_without_the_times_that_a_model_learnt_by_is_refused(written: Write) -> None:
    learnt = found_in(written("log.csv", "user,item,ts\na,x,1\n")).columns
    file = written("today.csv", "user,item,when\nann,x,5\n")
    with pytest.raises(DataError) as caught:
        read_interactions(file, like=learnt)
    assert str(caught.value) == (
        f"the model learnt from events in the order of 'ts', and {file} has no column of times among user, item, when; "
        f"name it by --columns time=NAME, or take the order of rows by --columns order=rows"
    )
    assert read_interactions(file, Columns(order="rows"), learnt).events.rows() == [("ann", "x")]
    assert read_interactions(file, Columns(time="when"), learnt).events.rows() == [("ann", "x", 5)]
    pairs = written("today.txt", "ann x\n")
    assert read_interactions(pairs, Columns(order="rows"), learnt).events.rows() == [("ann", "x")]


def test_the_unit_and_the_separator_of_another_log_go_with_its_columns(written: Write) -> None:
    asked = Columns(time_unit="ms", separator="semicolon")
    learnt = found_in(written("log.csv", "user;item;time\na;x;1700000000000\n"), asked).columns
    assert read_interactions(written("today.csv", "user;item;time\na;x;1700000000000\n"), like=learnt).events["time"][
        0
    ] == (1_700_000_000)
    asked = Columns(separator="comma")
    other = read_interactions(written("b.csv", "user,item,ts\na,x,1700000000\n"), asked, learnt)
    assert other.events["time"][0] == 1_700_000_000


def test_what_ordered_another_log_and_what_its_ids_might_be_holds_unless_it_is_said_otherwise(written: Write) -> None:
    asked = Columns(order="rows", missing="ids")
    learnt = found_in(written("log.csv", "user,item,time\na,x,1\n"), asked).columns
    file = written("today.csv", "user,item,time\nNA,x,2\nNA,y,1\n")
    assert read_interactions(file, like=learnt).events.rows() == [("NA", "x"), ("NA", "y")]
    assert found_in(file, like=learnt).note() == "the order of rows is taken for time, as columns.order=rows asks"
    for by_time in (Columns(order="time"), Columns(time="time")):
        assert read_interactions(file, by_time, learnt).events.rows() == [("NA", "x", 2), ("NA", "y", 1)]
    with pytest.raises(DataError, match="'NA' stands for a missing value"):
        read_interactions(file, Columns(missing="refuse"), learnt)
