"""What `check` says of a log: each number is one that can be counted by hand."""

from pathlib import Path

import pytest

from nextitem.data.checkup.examination import Examination, examine
from nextitem.data.filters import Filters
from nextitem.data.mapped.writing import prepare_into
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


def found_in(file: Path | str, filters: Filters | None = None) -> Examination:
    return examine(Recipe(data=str(file), filters=filters or Filters())).found


def test_a_log_is_counted(written: Write) -> None:
    found = found_in(written("log.csv", ROWS))
    assert (found.size.events, found.size.users, found.size.items, found.size.pairs) == (8, 3, 4, 6)
    assert found.size.density == 6 / 12
    assert found.columns == {"user": "user_id", "item": "sku", "time": "datetime"}
    assert found.not_read == ("price",)
    assert found.described_columns == "user 'user_id', item 'sku', time 'datetime'; not read: price"
    assert found.times is not None
    assert (found.times.first, found.times.last) == ("2024-01-30T00:00:00+00:00", "2024-02-02T00:00:00+00:00")
    assert (found.repeats.repeated, found.repeats.doubled) == (2, 1)  # ann's second x and y, and y at the same time
    assert found.ties is not None
    assert (found.ties.tied, found.ties.users_with_tied_end) == (4, 1)  # ann's two y in the middle, bob's end
    assert (found.lengths.shortest, found.lengths.median, found.lengths.longest) == (1, 3.0, 4)
    (split,) = [one for one in found.splits if one.split == "leave_one_out"]
    assert (split.training, split.validation, split.test) == (4, 2, 2)  # cia has nothing to be held out
    assert found.notes[0] == "column 'datetime' orders the events of a user; users are in 'user_id', items in 'sku'"


def test_every_finding_says_something(written: Write) -> None:
    findings = found_in(written("log.csv", ROWS)).findings
    by_name = "events lengths minima repeats times activity ties bots popularity leave_one_out leak windows"
    assert set(by_name.split()) <= findings.keys()
    assert all(one.sentence for one in findings.values())
    assert findings["events"].sentence == "8 events of 3 users and 4 items; 50.0 % of all pairs of the two occur"


def test_what_would_be_used_follows_from_filters(written: Write) -> None:
    found = found_in(written("log.csv", ROWS), Filters(repeats="first", minimum_per_user=2))
    assert (found.size.events_read, found.size.events) == (8, 5)
    assert found.findings["events"].sentence.endswith("the filters leave out 3 of 8 events")
    assert found.notes[1] == "3 of 8 events left out by the filters"
    assert "filters are applied before the split" in found.notes[2]


def test_a_log_without_times_has_no_span(written: Write) -> None:
    found = found_in(written("log.txt", "1 2\n1 3\n1 2\n"))
    assert (found.times, found.ties, found.leak) == (None, None, None)
    assert found.findings["times"].sentence == "none: the order of rows is taken for time"
    assert found.repeats.doubled is None


def test_generated_events_have_columns_of_their_own() -> None:
    found = found_in("synthetic")
    assert (found.columns, found.not_read, found.described_columns) == (None, (), "its own")


def test_a_prepared_folder_is_examined_like_its_file(written: Write, tmp_path: Path) -> None:
    file, folder = written("log.csv", ROWS), tmp_path / "prepared"
    prepare_into(folder, str(file))
    of_file, of_folder = found_in(file), found_in(folder)
    assert of_folder.findings == of_file.findings
    assert of_folder.described_columns == "user 'user_id', item 'sku', time 'datetime'"


def test_one_user_with_one_event_is_examined(written: Write) -> None:
    found = found_in(written("one.csv", "user,item,time\nann,x,1000000000\n"))
    assert (found.size.density, found.lengths.longest, found.popularity.gini) == (1, 1, 0)
    assert found.windows is None
    assert "of 1 user none has 3 events" in found.findings["leave_one_out"].sentence


def test_what_cannot_be_read_is_refused(written: Write) -> None:
    file = written("log.csv", "user,item\nann,x\nNaN,x\n")
    with pytest.raises(DataError, match=r"log\.csv:3:user: 'NaN' stands for a missing value"):
        found_in(file)
    named = Columns(user="a", item="b")
    assert examine(Recipe(data=str(written("named.csv", "a,b\nu,x\nu,y\nu,z\n")), columns=named)).split
