"""Other separators, files without a header and headers where none is expected are told of, or read as was said."""

import polars as pl
import pytest

from nextitem.data.reading.columns import Columns, parse_columns
from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.errors import ConfigurationError, DataError
from worlds.event_files import CSV, EVENTS, Write, refusal

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "colons": "::", "space": " "}


@pytest.mark.parametrize("word", SEPARATORS)
@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.inter", "log.csv.gz"])
def test_another_separator_is_named_and_can_be_said(written: Write, word: str, name: str) -> None:
    own, other = "," if "csv" in name else "\t", SEPARATORS[word]
    file = written(name, CSV.replace(",", other))
    if own != other:
        assert refusal(file) == (
            f"{file}: the first line is divided by {other!r} and not by {own!r}; say so by columns.separator={word} "
            f"(or --columns separator={word})"
        )
    for said in (word, other):
        assert read_interactions(file, Columns(separator=said)).events.to_dict(as_series=False) == EVENTS
    assert read_interactions(file, parse_columns(f"separator={word}")).events.to_dict(as_series=False) == EVENTS


def test_a_separator_in_pairs_is_named_at_the_row(written: Write) -> None:
    file = written("log.txt", "1\t2\n1\t3\n")
    assert refusal(file) == (
        f"{file}:1: '1\\t2' has 1 fields separated by ' ', not 2 (user, item); correct the row or drop it, or say "
        f"columns.separator=tab if '\\t' divides rows (2 such rows: 1, 2)"
    )
    assert read_interactions(file, Columns(separator="tab")).events.rows() == [(1, 2), (1, 3)]


@pytest.mark.parametrize("text", ["", '"', "\n", "a" * 17])
def test_what_can_divide_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="separator"):
        Columns(separator=text)


def test_quotes_count_in_csv_with_any_separator(written: Write) -> None:
    file = written("log.csv", 'user;item\n"a;b";x\n')
    assert read_interactions(file, Columns(separator=";")).events.rows() == [("a;b", "x")]


@pytest.mark.parametrize("row", ["2836,2645,5,978300760", "ann,x,5,2024-01-31", "ann,x,-1.5e3,z"])
def test_a_first_row_that_looks_like_data_is_told_of(written: Write, row: str) -> None:
    file = written("log.csv", f"{row}\n{row}\n")
    assert refusal(file) == (
        f"{file}: the first row looks like data ({row.replace(',', ', ')}) and not like names of columns; of a file "
        f"without a header give columns by number, such as columns.user=1 columns.item=2 columns.time=4, or --columns "
        f"user=1,item=2,time=4"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", "ann,x,5,10\nann,y,4,20\nbob,x,3,15\n"),
        ("log.tsv", "ann\tx\t5\t10\nann\ty\t4\t20\nbob\tx\t3\t15\n"),
        ("log.txt", "ann x 5 10\nann y 4 20\nbob x 3 15\n"),
        ("log.dat", "ann::x::5::10\nann::y::4::20\nbob::x::3::15\n"),
    ],
)
def test_columns_may_be_given_by_number(written: Write, name: str, content: str) -> None:
    file = written(name, content)
    columns = Columns(user="1", item="2", time="4")
    assert read_interactions(file, columns).events.to_dict(as_series=False) == EVENTS
    assert read_interactions(file, Columns(user="2", item="1")).events["item"].to_list() == ["ann", "ann", "bob"]
    assert "there are 4 columns, no number 5" in refusal(file, Columns(user="1", item="5"))


def test_numbers_are_places_even_where_the_first_row_has_those_ids(written: Write) -> None:
    file = written("log.csv", "2,1\n2,3\n")
    assert read_interactions(file, Columns(user="1", item="2")).events.rows() == [(2, 1), (2, 3)]


def test_numbers_beside_a_header_are_places_too(written: Write, tmp_path: object) -> None:
    file = written("log.csv", "what,who\nx,ann\n")
    assert read_interactions(file, Columns(user="2", item="1", header="yes")).events.rows() == [("ann", "x")]
    assert read_interactions(file, Columns(user="2", item="what")).events.rows() == [("ann", "x")]
    table = file.with_suffix(".parquet")
    pl.DataFrame({"what": ["x"], "who": ["ann"]}).write_parquet(table)
    assert read_interactions(table, Columns(user="2", item="1")).events.rows() == [("ann", "x")]
    with pytest.raises(ConfigurationError, match=r"is read as parquet, .* leave out columns\.separator and col"):
        read_interactions(table, Columns(separator="tab"))


@pytest.mark.parametrize("header", ["user item", "userId movieId", "whose what"])
def test_a_header_among_pairs_is_no_event(written: Write, header: str) -> None:
    file = written("log.txt", f"{header}\n1 2\n1 3\n")
    user, item = header.split()
    assert refusal(file) == (
        f"{file}:1: '{user}' and '{item}' look like names of columns and not like the user and the item of an event; "
        f"say columns.header=yes if they are names, columns.header=no if not"
    )
    named = Columns(header="yes") if user != "whose" else Columns(header="yes", user="whose", item="what")
    assert read_interactions(file, named).events.rows() == [(1, 2), (1, 3)]
    assert read_interactions(file, Columns(header="no")).events.rows()[0] == (user, item)


def test_a_header_before_numbered_columns_is_no_event(written: Write) -> None:
    file = written("log.csv", "whose,what\n007,1\n008,2\n")
    assert f"{file}:1: 'whose' and 'what' look like names" in refusal(file, Columns(user="1", item="2"))
    ratings = written("log.dat", "UserID::MovieID::Rating::Timestamp\n1::2::5::10\n")
    assert f"{ratings}:1: 'UserID' and 'MovieID' look like names" in refusal(ratings)
    assert read_interactions(ratings, Columns(header="yes")).events.rows() == [(1, 2, 10)]


def test_names_among_the_ids_of_other_rows_are_ids(written: Write) -> None:
    assert len(read_interactions(written("log.txt", "ann x\nbob 7\n"))) == 2
    assert len(read_interactions(written("one.txt", "ann x\n"))) == 1


def test_a_header_is_told_from_an_event_by_the_rows_that_follow_it_closely(written: Write) -> None:
    file = written("log.txt", "whose what\n" + "1 2\n" * 1_000 + "ann x\n")
    for read in (read_interactions, lambda path: list(read_parts(path, events=1_001))):
        with pytest.raises(DataError, match="'whose' and 'what' look like names of columns"):
            read(file)


@pytest.mark.parametrize(
    ("name", "said"),
    [("log.txt", "columns.separator=pipe if '|' divides rows, and "), ("log.dat", "columns.separator=pipe if '|'")],
)
def test_a_first_row_with_names_where_none_are_expected_is_told_of(written: Write, name: str, said: str) -> None:
    file = written(name, CSV.replace(",", "|"))
    assert f"say {said}" in refusal(file)
    assert (
        "say columns.header=yes if this row names columns" in refusal(file, Columns(separator="pipe")) or "dat" in name
    )
    assert read_interactions(file, Columns(separator="pipe", header="yes")).events.to_dict(as_series=False) == EVENTS
