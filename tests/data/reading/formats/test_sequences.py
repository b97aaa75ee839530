"""A line of a user and all items is as many events, each in the row of its line."""

from pathlib import Path

import pytest

from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions, read_parts, rows_of
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.recipe import Recipe
from worlds.event_files import Write, refusal

ASKED = Columns(format="sequences")
EVENTS = [("ann", "x"), ("ann", "y"), ("ann", "x"), ("bob", "z")]


@pytest.mark.parametrize("name", ["log.txt", "log.txt.gz", "log.txt.zst", "sequences"])
@pytest.mark.parametrize("content", ["ann x y x\nbob z\n", "\ufeffann x y x\r\n\r\nbob z", "\nann x y x\n\n\nbob z\n"])
def test_every_item_of_a_line_is_an_event(written: Write, name: str, content: str) -> None:
    file = written(name, content)
    assert read_interactions(file, ASKED).events.rows() == EVENTS
    lines = [number for number, line in enumerate(content.split("\n"), 1) if line.strip("\r\ufeff")]
    assert rows_of(file, ASKED).to_list() == [lines[0]] * 3 + [lines[1]]


def test_a_file_is_read_in_parts_of_whole_events(written: Write) -> None:
    content = "".join(f"u{user} {' '.join(str(item) for item in range(user % 7 + 1))}\n" for user in range(50))
    file = written("log.txt", content)
    parts = [(u, i) for part in read_parts(file, ASKED, 3) for u, i in zip(part.user, part.item, strict=True)]
    assert parts == [(user, str(item)) for user, item in read_interactions(file, ASKED).events.rows()]


def test_ids_are_integers_where_all_are(written: Write) -> None:
    assert read_interactions(written("log.txt", "0 12 5\n3 12\n"), ASKED).events.rows() == [(0, 12), (0, 5), (3, 12)]
    assert read_interactions(written("log.txt", "0 12 5\n3 b\n"), ASKED).events.rows()[0] == (0, "12")


def test_separators_and_a_header_may_be_told(written: Write) -> None:
    file = written("log.csv", "who,items\nann,x,y,x\nbob,z\n")
    columns = ASKED.model_copy(update={"separator": "comma", "header": "yes"})
    assert read_interactions(file, columns).events.rows() == EVENTS


def test_a_user_may_have_more_items_than_a_header_may_have_columns(written: Write) -> None:
    assert len(read_interactions(written("log.txt", "1" + " 2" * 20_000), ASKED)) == 20_000


def test_what_is_no_user_with_items_is_refused_with_its_row(written: Write) -> None:
    file = written("log.txt", "1 2 3\n\n4\n5\n6 7\n")
    assert refusal(file, ASKED) == (
        f"{file}:3:item: the value is missing; every event needs a value, give it or drop the row (2 such rows: 3, 4)"
    )
    file = written("log.txt", "1 2 3\n4  5\n")
    assert refusal(file, ASKED).startswith(f"{file}:2:item: '' is blank; ")


def test_names_of_columns_are_refused_and_so_is_a_header_that_nobody_told(written: Write) -> None:
    file = written("log.txt", "user item\n1 2 3\n")
    assert "look like names of columns" in refusal(file, ASKED)
    told = {
        Columns(user="user"): "holds 'user item item …' without a header; leave out the names of columns",
        Columns(user="1", item="2"): "is read as sequences, whose first field is the user",
    }
    for named, fact in told.items():
        columns = named.model_copy(update={"format": "sequences"})
        assert fact in refusal(file, columns, ConfigurationError)


def test_a_log_of_sequences_is_prepared_as_it_is_read(written: Write, tmp_path: Path) -> None:
    file = written("log.txt", "1 2 3 4 5\n2 3 4 5\n9 9 2 3\n")
    prepare_into(tmp_path / "prepared", str(file), ["columns.format=sequences"])
    raw, prepared = prepare(Recipe(data=str(file), columns=ASKED)), prepare(Recipe(data=str(tmp_path / "prepared")))
    assert raw.log.sequences.tolist() == prepared.log.sequences.tolist()
    assert raw.log.sha256() == prepared.log.sha256()


@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [("Sports_and_Outdoors.txt", 35_598, 18_357, 296_337), ("amazon-cds.txt", 17_052, 35_118, 472_265)],
)
def test_published_sequences_have_their_counts(
    data_folder: Path, name: str, users: int, items: int, events: int
) -> None:
    file = next((data_folder / each for each in (name, f"{name}.gz") if (data_folder / each).is_file()), None)
    if file is None:
        pytest.skip(f"there is no {name} in the folder that NEXTITEM_DATA names")
    found = read_interactions(file, ASKED)
    assert (found.number_of_users, found.number_of_items, len(found)) == (users, items, events)
    with pytest.raises(DataError, match=r"separated by ' ', not 2 .*, or say columns\.format=sequences if a line"):
        read_interactions(file)
