"""What `check` says of a log: each number is one that can be counted by hand."""

from pathlib import Path

import pytest

from nextitem.data.examination import examine
from nextitem.data.filters import Filters
from nextitem.data.reading.columns import Columns
from nextitem.errors import DataError
from nextitem.experiment.recipe import Recipe
from worlds.event_files import Write

ROWS = """user_id,sku,price,datetime
ann,x,1,2024-01-31T12:00:00Z
ann,y,1,2024-01-31T13:00:00Z
ann,y,2,2024-01-31T13:00:00Z
ann,x,1,2024-02-01T00:00:00Z
bob,x,1,2024-01-30T00:00:00Z
bob,z,1,2024-02-02T00:00:00Z
bob,w,1,2024-02-02T00:00:00Z
cia,x,1,2024-02-01T00:00:00Z
"""


def test_a_log_is_counted(written: Write) -> None:
    file = written("log.csv", ROWS)
    found = examine(Recipe(data=str(file)))
    assert (found.events, found.users, found.items) == (8, 3, 4)
    assert found.columns == {"user": "user_id", "item": "sku", "time": "datetime"}
    assert found.not_read == ("price",)
    assert (found.first_time, found.last_time) == ("2024-01-30T00:00:00+00:00", "2024-02-02T00:00:00+00:00")
    assert (found.repeated, found.duplicates) == (2, 1)  # ann's second x and y, and y at the same time
    assert (found.tied, found.users_with_tied_end) == (4, 1)  # ann's two y in the middle, bob's end
    assert (found.shortest, found.median, found.longest) == (1, 3.0, 4)
    assert (found.used, found.training, found.validation, found.test) == (8, 4, 2, 2)  # cia has nothing to be held out
    assert found.notes[0] == "column 'datetime' orders the events of a user; users are in 'user_id', items in 'sku'"
    assert found.lines() == [
        f"{file}: 8 events of 3 users and 4 items",
        "  columns     user 'user_id', item 'sku', time 'datetime'; not read: price",
        "  times       2024-01-30T00:00:00+00:00 to 2024-02-02T00:00:00+00:00",
        "  histories   1 to 4 events, median 3",
        "  repeats     2 events repeat an item of their user; 1 of them at the same time",
        "  ties        4 events share user and time with another; the last two of 1 user (33.3 %) do",
        "  missing     none: a missing value is refused with its row",
        "  would use   8 events: 4 to learn from, 2 validation cases, 2 test cases",
    ]


def test_what_would_be_used_follows_from_filters(written: Write) -> None:
    found = examine(Recipe(data=str(written("log.csv", ROWS)), filters=Filters(repeats="first", minimum_per_user=2)))
    assert (found.events, found.used) == (8, 5)
    assert found.notes[1] == "3 of 8 events left out by the filters"
    assert "filters are applied before the split" in found.notes[2]


def test_a_log_without_times_has_no_span(written: Write) -> None:
    found = examine(Recipe(data=str(written("log.txt", "1 2\n1 3\n1 2\n"))))
    assert (found.first_time, found.tied, found.users_with_tied_end) == (None, 0, 0)
    assert found.lines()[2] == "  times       none: the order of rows is taken for time"
    assert found.lines()[5] == "  ties        none"
    assert found.lines()[4] == "  repeats     1 event repeats an item of their user"


def test_generated_events_have_columns_of_their_own() -> None:
    found = examine(Recipe(data="synthetic"))
    assert (found.columns, found.not_read) == (None, ())
    assert found.lines()[1] == "  columns     its own"


def test_what_cannot_be_used_is_refused(tmp_path: Path, written: Write) -> None:
    file = written("log.csv", "user,item\nann,x\nNaN,x\n")
    with pytest.raises(DataError, match=r"log\.csv:3:user: 'NaN' stands for a missing value"):
        examine(Recipe(data=str(file)))
    short = written("short.csv", "user,item\nann,x\nbob,x\n")
    with pytest.raises(DataError, match="of 2 users none has 3 events"):
        examine(Recipe(data=str(short)))
    assert examine(Recipe(data=str(written("named.csv", "a,b\nu,x\nu,y\nu,z\n")), columns=Columns(user="a", item="b")))
