"""With columns.on_bad_rows=skip every row of a file is an event that is used, or stands in a table with its reason."""

import csv
import gzip
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions, read_parts, rows_of
from nextitem.data.reading.rejected import REJECTED, RejectedRows
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.recipe import Recipe
from nextitem.storage import append_csv
from worlds.event_files import Write

SKIP = Columns(on_bad_rows="skip")
BAD = b"""user,item,time
ann,x,10
,y,20
bob,NaN,1
b\xe9,x,15
u\0,x,15
user,item,time
bob,x
a,b,c,d
ann,y,soon
ann,z,2024-01-01
cr\rinside,x,5
ann,q,"7"
"open,x,9
bob,y,9
"""
REASONS = {
    3: ("user", "is blank", ",y,20"),
    4: ("item", "stands for a missing value", "bob,NaN,1"),
    5: ("", "is not UTF-8", "b\\xe9,x,15"),
    6: ("", "has a NUL byte", "u\\x00,x,15"),
    7: ("", "is the header a second time", "user,item,time"),
    8: ("", "has too few fields", "bob,x"),
    9: ("", "has too many fields", "a,b,c,d"),
    10: ("time", "is not a time", "ann,y,soon"),
    11: ("time", "is a date where the column begins with numbers", "ann,z,2024-01-01"),
    12: ("", "has a carriage return inside", "cr\rinside,x,5"),
    14: ("", "has quotes that do not match", '"open,x,9'),
}


def skipped(file: Path, columns: Columns = SKIP) -> tuple[pl.DataFrame, RejectedRows]:
    rejected = RejectedRows()
    return read_interactions(file, columns, rejected=rejected).events, rejected


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_rows_that_cannot_be_used_are_left_out_each_with_its_reason_and_what_stands_there(
    written: Write, name: str
) -> None:
    file = written(name, BAD)
    events, rejected = skipped(file)
    assert events.rows() == [("ann", "x", 10), ("ann", "q", 7), ("bob", "y", 9)]
    expected = [(str(file), row, *told) for row, told in REASONS.items()]
    assert rejected.table.rows() == expected
    assert rows_of(file, SKIP).to_list() == [2, 13, 15]


def test_strict_is_the_default_and_skipping_without_a_place_for_the_rows_is_refused(written: Write) -> None:
    file = written("log.csv", BAD)
    with pytest.raises(DataError, match=f"{file}:5: byte 2 of the line"):
        read_interactions(file)
    with pytest.raises(ConfigurationError, match=r"pass rejected=RejectedRows\(\)"):
        read_interactions(file, SKIP)


def test_a_file_in_which_no_row_can_be_used_is_refused_with_the_reasons(written: Write) -> None:
    file = written("log.csv", "user,item\n,x\nann,\n,y\n")
    with pytest.raises(DataError) as caught:
        skipped(file)
    assert str(caught.value) == (
        f"{file} has no row that can be used: 3 rows left out, since they cannot be used: user is blank (2), item is "
        f"blank (1); correct the file"
    )


def test_a_log_that_cannot_be_split_is_named_with_the_rows_that_were_left_out(written: Write, tmp_path: Path) -> None:
    file = written("log.csv", "user,item\nann,x\nann,y\nann,\n")
    told = (
        f"{file}: of 1 user none has 3 events, so nothing can be held out; leave-one-out needs one event each for "
        f"test, validation and training (1 row left out, since it cannot be used: item is blank (1))"
    )
    with pytest.raises(DataError) as caught:
        prepare(Recipe(data=str(file), columns=SKIP))
    assert str(caught.value) == told
    with pytest.raises(DataError) as caught:
        prepare_into(tmp_path / "log", str(file), ["columns.on_bad_rows=skip"])
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv.gz", gzip.compress(BAD)[:-9], "is not a complete gzip file"),
        ("log.csv", BAD.replace(b"item", b"thing"), "no column 'item'"),
        ("log.csv", gzip.compress(BAD), "it begins like gzip; name it .gz"),
        ("log.csv", BAD.decode("latin-1").encode("utf-16"), "it begins like UTF-16"),
        ("log.csv", b"us\xe9r," + BAD, ":1: byte 3 of the line"),
        ("log.csv", b"user,item\nann," + b"x" * (1 << 24), "the line is longer than 16,777,216 bytes"),
    ],
    ids=["truncated", "no column", "gzip", "UTF-16", "header", "line"],
)
def test_what_is_wrong_with_all_of_a_file_is_refused_in_any_case(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    for columns in (Columns(), SKIP):
        with pytest.raises(DataError, match=message):
            read_interactions(tmp_path / name, columns, rejected=RejectedRows())


def test_a_wrong_type_of_a_column_is_refused_in_any_case(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1.5], "item": [1]}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="column 'user' holds Float64"):
        skipped(tmp_path / "log.parquet")


def test_typed_rows_are_kept_as_json(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame({"user": [1, None, 3], "item": ["x", "y", None], "time": [1, 2, 3]}).write_parquet(file)
    events, rejected = skipped(file)
    assert events.rows() == [(1, "x", 1)]
    assert rejected.table.rows() == [
        (str(file), 2, "user", "is missing", '{"user": null, "item": "y", "time": 2}'),
        (str(file), 3, "item", "is missing", '{"user": 3, "item": null, "time": 3}'),
    ]
    lines = tmp_path / "log.jsonl"
    lines.write_text('{"user": 1, "item": "x"}\nno\n[1]\n{"user": 1.5, "item": "x"}\n{"item": "x"}\n')
    events, rejected = skipped(lines)
    assert events.rows() == [(1, "x")]
    assert rejected.table.rows() == [
        (str(lines), 2, "", "is no JSON", "no"),
        (str(lines), 3, "", "is no object", "[1]"),
        (str(lines), 4, "", "user is neither a text nor a whole number", '{"user": "1.5", "item": "x"}'),
        (str(lines), 5, "user", "is missing", '{"user": null, "item": "x"}'),
    ]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_the_reason_of_a_time_beyond_all_years_rests_on_its_row_alone(tmp_path: Path, ending: str) -> None:
    far, milliseconds = "lies outside the years 1 to 9999 if taken as unix seconds", "looks like milliseconds, not like"
    reasons = {2: far, 3: f"{milliseconds} seconds", 6: far, 7: f"{milliseconds} seconds", 8: far}
    times = [5.0, 1e13, 1.7e12, 6.0, 1.7e9, 1e40, 1.6e12, -1e13]
    file = tmp_path / f"log{ending}"
    log = pl.DataFrame({"user": [1] * 8, "item": range(8), "time": times})
    log.write_csv(file) if ending == ".csv" else log.write_parquet(file, row_group_size=3)
    _, rejected = skipped(file)
    before = int(ending == ".csv")
    assert dict(rejected.table.select("row", "reason").rows()) == {row + before: why for row, why in reasons.items()}
    _rows(file)  # in parts, of which the first has no time of today and the second begins with another time


def test_moments_that_python_cannot_write_are_kept_as_numbers(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    times = pl.Series([0, 2**60], dtype=pl.Int64).cast(pl.Datetime("us"))
    pl.DataFrame({"user": [1, 1], "item": [1, 2], "time": times}).write_parquet(file)
    _, rejected = skipped(file)
    assert rejected.table["content"].to_list() == ['{"user": 1, "item": 2, "time": 1152921504606846976}']


def test_a_prepared_log_has_them_in_a_file_and_counts_them(written: Write, tmp_path: Path) -> None:
    first = "user,item,time\n" + "".join(f"ann,x{n},{n}\n" for n in range(5))
    written("a.csv", first + "ann,,9\n")
    written("b.csv", first.replace("ann", "bob") + "bob,x\nbob,y,soon\n")
    manifest = prepare_into(tmp_path / "log", str(tmp_path / "*.csv"), ["columns.on_bad_rows=skip"])
    assert (manifest.events_read, manifest.rejected) == (
        10, {"item is blank": 1, "has too few fields": 1, "time is not a time": 1},
    )  # fmt: skip
    assert "3 rows left out, since they cannot be used" in " ".join(manifest.notes)
    table = pl.read_csv(tmp_path / "log" / REJECTED)
    assert [Path(file).name for file in table["file"]] == ["a.csv", "b.csv", "b.csv"]
    assert table["row"].to_list() == [7, 7, 8]
    prepared = prepare(Recipe(data=str(tmp_path / "log")))
    assert len(prepared.rejected) == 3
    assert any("3 rows left out" in note for note in prepared.notes)
    written("c.csv", first)
    whole = prepare_into(tmp_path / "whole", str(tmp_path / "c.csv"), ["columns.on_bad_rows=skip"])
    assert whole.rejected == {}
    assert not (tmp_path / "whole" / REJECTED).exists()


def test_what_is_appended_has_one_header_and_no_formulas(tmp_path: Path) -> None:
    rejected = RejectedRows()
    for row in (1, 2):
        rejected.add(Path("log.csv"), pl.DataFrame({"row": [row], "content": ["=1+1"]}), "user", "is blank")
        append_csv(tmp_path / REJECTED, rejected.drain())
    append_csv(tmp_path / REJECTED, rejected.drain())
    lines = (tmp_path / REJECTED).read_text().splitlines()
    assert lines == ["file,row,column,reason,content", *(f"log.csv,{row},user,is blank,'=1+1" for row in (1, 2))]
    assert len(rejected) == 2


# rows in = rows used + rows left out

FIELD = st.sampled_from(["ann", "7", "", " ", "NaN", "x" * 40, "17", "1e999", "2024-01-31", "漢", '"', '""', "\r", "'"])
LINE = st.lists(FIELD, max_size=5).map(lambda fields: fields)
RAW = st.sampled_from([b"\xff\xfe", b"\xe9", b"\0", b'"', b"a\rb", b"user", b"user,item,time", b"ann,x,10"])


def lines_of(content: bytes, header: int) -> set[int]:
    """The lines behind the header that are not blank."""
    lines = content.split(b"\n")
    return {n for n, line in enumerate(lines, 1) if line.rstrip(b"\r") and n > header}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(LINE, max_size=12), st.lists(RAW, max_size=4), st.sampled_from([".csv", ".tsv", ".dat", ".txt", ".inter"])
)
def test_every_line_is_an_event_or_left_out(rows: list[list[str]], raw: list[bytes], ending: str) -> None:
    separator = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".dat": "::", ".txt": " "}[ending]
    names = {".txt": ("ann", "x"), ".dat": ("ann", "x", "5", "10")}.get(ending, ("user", "item", "time"))
    lines = [separator.join(names).encode(), *raw, *(separator.join(row).encode() for row in rows)]
    if ending == ".csv":  # in which a quote may hold a line break; those are counted below
        lines = [line.replace(b'"', b"'") for line in lines]
    content = b"\n".join(lines)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"log{ending}"
        file.write_bytes(content)
        has_header = ending not in (".txt", ".dat")
        expected = lines_of(content, int(has_header))
        assert _accounted_for(file) in (None, expected)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.one_of(LINE.map(",".join), st.just('ann,"x\n\ny",5'), st.just('ann,"x,5'), st.just('"a"b,x,5'))))
def test_of_records_with_quotes_every_line_is_an_event_or_left_out(rows: list[str]) -> None:
    content = "\n".join(["user,item,time", 'ann,"x",5', *rows])
    with TemporaryDirectory() as folder:
        file = Path(folder) / "log.csv"
        file.write_bytes(content.encode())
        used, left_out = _rows(file)
        assert not used & left_out
        lines = content.split("\n")
        # Whatever is neither is blank, or stands in quotes that are opened and closed in the row before it.
        for row in sorted(lines_of(content.encode(), 1) - used - left_out):
            begins = max(one for one in used | left_out if one < row)
            record = next(csv.reader(io.StringIO("\n".join(lines[begins - 1 :]), newline=""), strict=True))
            assert sum(field.count("\n") for field in record) >= row - begins


def _accounted_for(file: Path) -> set[int] | None:
    """The rows that are used or left out, none of them both; None where the file is refused for a reason."""
    try:
        used, left_out = _rows(file)
    except DataError as error:
        assert str(file) in str(error)  # noqa: PT017
        assert "no row that can be used" in str(error) or "look like names" in str(error) or "no events" in str(error)  # noqa: PT017
        return None
    assert not used & left_out
    return used | left_out


def _rows(file: Path) -> tuple[set[int], set[int]]:
    """The rows that are used and those that are left out: the same whether a file is read whole or in parts."""
    events, rejected = skipped(file)
    used = rows_of(file, SKIP).to_list()
    assert len(used) == len(events)
    in_parts = RejectedRows()
    parts = list(read_parts(file, SKIP, events=3, rejected=in_parts))
    assert [row for part in parts for row in part.row] == used
    assert in_parts.table.equals(rejected.table)
    assert len(in_parts) == len(rejected) == rejected.table.height
    return set(used), set(rejected.table["row"].to_list())
