"""Every format reads to the same events; every refusal names file, row, column, value and remedy."""

import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from worlds.event_files import CSV, EVENTS, Write, refusal

# formats


@pytest.mark.parametrize("compressed", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("ending", "content"),
    [
        (".csv", CSV),
        (".CSV", CSV),
        (".csv", CSV.replace("\n", "\r\n")),
        (".csv", CSV.rstrip("\n")),
        (".csv", "\ufeff" + CSV),
        (".csv", "\n" + CSV.replace("\n", "\n\n")),
        (".csv", 'user,item,time\n"ann","x","10"\nann,"y",20\nbob,x,15\n'),
        (".csv", 'user,item,time\r\n"ann","x","10"\r\nann,"y",20\r\n\r\nbob,x,15\r\n'),
        (".csv", 'time,title,user,item\n10,"a, ""b""\nc",ann,x\n20,d,ann,y\n15,,bob,x\n'),
        (".tsv", CSV.replace(",", "\t")),
        (
            ".inter",
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\nann\tx\t5\t10\nann\ty\t4\t20\nbob\tx\t\t15\n",
        ),
        (".dat", "ann::x::5::10\nann::y::4::20\nbob::x::::15\n"),
        (".dat", "ann::x::5::10\r\r\nann::y::4::20\r\n\r\nbob::x::::15"),
    ],
)
def test_every_text_format_reads_to_the_same_events(written: Write, ending: str, content: str, compressed: str) -> None:
    interactions = read_interactions(written(f"log{ending}{compressed}", content))
    assert interactions.events.to_dict(as_series=False) == EVENTS


@pytest.mark.parametrize("name", ["pairs.txt", "pairs.txt.gz"])
def test_pairs_are_in_the_order_of_their_lines(written: Write, name: str) -> None:
    events = read_interactions(written(name, "\ufeff2 30\n2 4\r\n\n10 4\n")).events
    assert events.to_dict(as_series=False) == {"user": [2, 2, 10], "item": [30, 4, 4]}


def test_a_path_may_be_text_and_may_hold_wildcards(written: Write) -> None:
    for name in ("a*.csv", "a[1].csv", "a?.txt"):
        content = CSV if name.endswith("csv") else "1 2\n"
        assert len(read_interactions(str(written(name, content)))) == content.count("\n") - content.count("user")


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame(EVENTS).write_parquet(file)
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS
    strings = {"user_id": ["7", "10"], "item_id": pl.Series(["1", "2"], dtype=pl.Categorical), "extra": [None, 1]}
    pl.DataFrame(strings).write_parquet(file)
    assert read_interactions(file).events.to_dict(as_series=False) == {"user": ["7", "10"], "item": ["1", "2"]}
    moments = [datetime.datetime(1970, 1, 1, 0, 0, second) for second in (1, 2)]
    pl.DataFrame({"user": [7, 10], "item": pl.Series([1, 2], dtype=pl.UInt8), "time": moments}).write_parquet(file)
    assert read_interactions(file).events.to_dict(as_series=False) == {"user": [7, 10], "item": [1, 2], "time": [1, 2]}


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_decimals_that_are_whole_are_whole_numbers(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"log{ending}"
    whole = pl.Series(["7", "10"], dtype=pl.String).cast(pl.Decimal(38, 0))
    times = pl.Series(["1700000000000000001", "1700000000000000000"]).cast(pl.Decimal(38, 0))
    table = pl.DataFrame({"user": whole, "item": [1, 2], "timestamp_ns": times})
    write(table, file)
    interactions = read_interactions(file)
    assert interactions.events["user"].to_list() == [7, 10]
    assert interactions.events["nanoseconds"].to_list() == [1, 0]
    write(table.with_columns(user=pl.col("user") + pl.lit("9223372036854775807").cast(pl.Decimal(38, 0))), file)
    assert refusal(file).startswith(f"{file}:1:user: 9223372036854775814 is beyond 64 bits with a sign; store such ids")
    write(table.with_columns(user=pl.col("user").cast(pl.Decimal(38, 2))), file)
    assert refusal(file) == (
        f"{file}: column 'user' holds Decimal(precision=38, scale=2), but ids are strings or integers; convert it"
    )


def write(table: pl.DataFrame, file: Path) -> None:
    table.write_parquet(file) if file.suffix == ".parquet" else table.write_ipc(file)


def test_times_may_be_dates(written: Write) -> None:
    file = written("log.csv", "user,item,timestamp\na,x,1970-01-02T00:00Z\na,y,1970-01-01T00:00:30Z\n")
    assert read_interactions(file).events["time"].to_list() == [24 * 3600, 30]


# ids


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["9", "10", "-3", "0"], [9, 10, -3, 0]),
        (["007", "7"], ["007", "7"]),
        (["7", "B00X"], ["7", "B00X"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["-0", "1"], ["-0", "1"]),
        (["+1", "1"], ["+1", "1"]),
        ([" 1", "1"], [1, 1]),
        ([" 01", "1"], ["01", "1"]),
        (["1e3", "2"], ["1e3", "2"]),
        (["9223372036854775807"], [2**63 - 1]),
        (["9223372036854775808"], ["9223372036854775808"]),
        (["no", "nil", "Nan", "true"], ["no", "nil", "Nan", "true"]),
    ],
)
def test_ids_are_integers_only_if_every_one_is_canonical(
    written: Write, ids: list[str], expected: list[object]
) -> None:
    file = written("log.csv", "user,item\n" + "".join(f"u,{each}\n" for each in ids))
    assert read_interactions(file).events["item"].to_list() == expected


def test_each_column_decides_for_itself(written: Write) -> None:
    assert read_interactions(written("log.txt", "7 007\n")).events.rows() == [(7, "007")]


@pytest.mark.parametrize("blank", ["", " ", "\u3000"])
def test_blank_ids_are_refused_with_their_rows(written: Write, blank: str) -> None:
    file = written("log.csv", f"user,sku\na,x\na,{blank}\n\nb,{blank}\n")
    message = refusal(file, Columns(item="sku"))
    assert message == (
        f"{file}:3:sku: {blank!r} is blank; every event needs an id, give it or drop the row (2 such rows: 3, 5)"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", "user , item, time\nann, x,10\nann ,y , 20\n bob,x, 15\n"),
        ("log.csv", 'user,item,time\n" ann","x ",10\nann,y,20\nbob,x,15\n'),
        ("log.tsv", "user\titem\ttime\nann \tx\t10\n ann\ty\t20\nbob\t x\t15\n"),
    ],
)
def test_blanks_around_ids_do_not_count_in_text(written: Write, name: str, content: str) -> None:
    file = written(name, content)
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS
    assert read_interactions(file, Columns(item="item")).events.to_dict(as_series=False) == EVENTS


def test_blanks_around_numbers_make_no_text_of_them(written: Write) -> None:
    events = read_interactions(written("log.csv", "user,item\n1, 7\n1, 12\n")).events
    assert events["item"].to_list() == [7, 12]


def test_blanks_inside_ids_and_in_parquet_stay(written: Write, tmp_path: Path) -> None:
    assert read_interactions(written("log.csv", "user,item\nann lee,x\n")).events["user"].to_list() == ["ann lee"]
    pl.DataFrame({"user": [" ann"], "item": ["x "]}).write_parquet(tmp_path / "log.parquet")
    assert read_interactions(tmp_path / "log.parquet").events.rows() == [(" ann", "x ")]


def test_integers_beyond_64_bits_in_parquet_are_refused_with_their_rows(tmp_path: Path) -> None:
    users = pl.Series([1, 2**63, 2**64 - 1], dtype=pl.UInt64)
    pl.DataFrame({"user": users, "item": ["x"] * 3}).write_parquet(tmp_path / "log.parquet")
    message = refusal(tmp_path / "log.parquet")
    assert "log.parquet:2:user: 9223372036854775808 is beyond 64 bits with a sign; store such ids as strings" in message
    assert message.endswith("(2 such rows: 2, 3)")


def test_missing_values_in_parquet_are_refused_with_their_rows(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame({"user": [1, 2, 3], "item": [1, None, 3], "time": [1, 2, None], "row": [1, 2, 3]}).write_parquet(file)
    assert refusal(file) == (f"{file}:2:item: the value is missing; every event needs a value, give it or drop the row")
    assert f"{file}:3:time: the value is missing" in refusal(file, Columns(item="row"))


@pytest.mark.parametrize("word", ["NaN", "nan", "null", "NULL", "None", "\\N", "NA", "<NA>", "N/A"])
@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("log.csv", "user,item\n", " {} ,x\n"),
        ("log.csv.gz", "user,item\n", '"{}",x\n'),
        ("log.tsv", "user\titem\n", "{}\tx\n"),
        ("log.txt", "", "{} x\n"),
        ("log.dat", "", "{}::x::5::10\n"),
        ("log.parquet", "", ""),
    ],
)
def test_words_for_missing_values_are_no_ids(written: Write, name: str, header: str, line: str, word: str) -> None:
    users = ["ann", word, "bob", word]
    file = written(name, header + "".join(line.format(user) for user in users))
    if name.endswith("parquet"):
        pl.DataFrame({"user": users, "item": ["x"] * 4}).write_parquet(file)
    first = 3 if header else 2
    message = refusal(file)
    assert message.startswith(f"{file}:{first}:user: ")
    assert message.endswith(
        f"stands for a missing value; give it, drop the row, or say columns.missing=ids if it is an id "
        f"(2 such rows: {first}, {first + 2})"
    )
    assert read_interactions(file, Columns(missing="ids")).events["user"].to_list() == users


@pytest.mark.parametrize("value", ["", " ", "NaN", "null", "None", "NaT"])
@pytest.mark.parametrize("row", [0, 1])
def test_a_missing_time_is_told_of_at_its_row(written: Write, value: str, row: int) -> None:
    times = ["10", "20", "30"]
    times[row] = value
    file = written("log.csv", "user,item,time\n" + "".join(f"ann,x,{time}\n" for time in times))
    assert refusal(file) == (
        f"{file}:{row + 2}:time: {value!r} is missing; every event needs a time, give it or drop the row"
    )


def test_ids_of_other_types_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame({"user": [1], "item": [1.5]}).write_parquet(file)
    assert refusal(file) == f"{file}: column 'item' holds Float64, but ids are strings or integers; convert it"


# times


@pytest.mark.parametrize("value", ["31/12/2023", "soon", "inf"])
def test_a_value_that_is_no_time_is_refused(written: Write, value: str) -> None:
    file = written("log.csv", f"user,item,ts\na,x,17\na,x,{value}\na,x,18\n")
    assert refusal(file, Columns(time="ts")) == (
        f"{file}:3:ts: {value!r} is not a time; write unix seconds or ISO 8601 (2024-01-31T12:00:00Z), one of them "
        f"throughout the column"
    )


def test_milliseconds_are_refused(written: Write) -> None:
    file = written("log.csv", "user,item,time\na,x,1700000000000\n")
    assert refusal(file) == (
        f"{file}:2:time: '1700000000000' lies outside the years 1 to 9999 if taken as unix seconds; if the column "
        f"holds milliseconds, say columns.time_unit=ms"
    )


@pytest.mark.parametrize(
    ("unit", "zeros", "word"), [("ms", 3, "milliseconds"), ("us", 6, "microseconds"), ("ns", 9, "nanoseconds")]
)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_the_unit_that_a_message_names_is_taken(tmp_path: Path, unit: Any, zeros: int, word: str, ending: str) -> None:
    file = tmp_path / f"log{ending}"
    table = pl.DataFrame(EVENTS).with_columns((pl.col("time") + 1_700_000_000) * 10**zeros)
    table.write_csv(file) if ending == ".csv" else table.write_parquet(file)
    assert f"if the column holds {word}, say columns.time_unit={unit} (3 such rows: " in refusal(file)
    assert read_interactions(file, Columns(time_unit=unit)).events["time"].to_list() == [
        1_700_000_010, 1_700_000_020, 1_700_000_015,
    ]  # fmt: skip
    if unit != "ns":
        wrong = refusal(file, Columns(time_unit="s"))
        assert f"as unix seconds; if the column holds {word}" in wrong
    else:
        wrong = refusal(file, Columns(time_unit="ms"))
        assert "as unix milliseconds; if the column holds nanoseconds, say columns.time_unit=ns" in wrong


def test_seconds_and_milliseconds_in_one_column_are_refused(written: Write) -> None:
    file = written("log.csv", "user,item,time\na,x,1700000000\na,y,1700000000000\n")
    assert refusal(file) == (
        f"{file}:3:time: '1700000000000' looks like milliseconds where other times of the column are seconds; write "
        f"the whole column in one unit"
    )


def test_a_time_of_no_unit_is_refused(written: Write) -> None:
    file = written("log.csv", "user,item,time\na,x,1\na,y,1e40\n")
    assert refusal(file) == (
        f"{file}:3:time: '1e40' lies outside the years 1 to 9999 if taken as unix seconds, and in any smaller unit; "
        f"correct the row or drop it"
    )


def test_dates_have_no_unit(written: Write) -> None:
    file = written("log.csv", "user,item,time\na,x,2024-01-31\n")
    assert refusal(file, Columns(time_unit="ms")) == (
        f"{file}: column 'time' holds dates, which have no unit; leave out columns.time_unit=ms"
    )
    named = written("named.csv", "user,item,time_ms\na,x,1970-01-02\n")  # a name may be wrong, what is said must not
    assert read_interactions(named).events["time"].to_list() == [86_400]


def test_times_of_other_types_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame({"user": [1], "item": [1], "time": [True]}).write_parquet(file)
    assert refusal(file) == (
        f"{file}: column 'time' holds Boolean, but times are numbers (unix seconds), dates, or text in ISO 8601; "
        f"convert it"
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("kind", "number", "seconds"),
    [
        (pl.Date(), 2**31 - 1, "185,542,587,100,800"),
        (pl.Datetime("ms"), 2**62, "4,611,686,018,427,388"),
        (pl.Datetime("us"), 2**62, "4,611,686,018,427"),
        (pl.Datetime("us", "UTC"), 2**62, "4,611,686,018,427"),
        (pl.Datetime("ms", "Asia/Tokyo"), 2**62, "4,611,686,018,427,388"),
    ],
    ids=str,
)
def test_moments_beyond_all_years_are_refused_with_their_row(
    tmp_path: Path, kind: pl.DataType, number: int, seconds: str, sign: int
) -> None:
    times = pl.Series([0, sign * number, 5]).cast(pl.Int32 if kind == pl.Date else pl.Int64).cast(kind)
    file = tmp_path / "log.parquet"
    pl.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3], "time": times}).write_parquet(file)
    assert refusal(file) == (
        f"{file}:2:time: a moment {'-' if sign < 0 else ''}{seconds} seconds after 1970 lies outside the years 1 to "
        f"9999; correct the row or drop it"
    )


# files and rows that cannot be read


def test_a_missing_file_is_refused_with_similar_names(written: Write, tmp_path: Path) -> None:
    written("events.csv.gz", CSV)
    assert (
        refusal(tmp_path / "event.csv") == f"there is no file {tmp_path / 'event.csv'}; did you mean 'events.csv.gz'?"
    )
    assert refusal(tmp_path / "zzz") == f"there is no file {tmp_path / 'zzz'}; none of the 1 names beside it is similar"
    nowhere = tmp_path / "no" / "log.csv"
    assert refusal(nowhere) == f"there is no file {nowhere}; nor is there a folder {tmp_path / 'no'}; check the path"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    told = f"{tmp_path} is a folder without files; give a file of events, or a folder of such files"
    assert refusal(tmp_path) == told


@pytest.mark.parametrize("name", ["log.xlsx", "log", "log.gz"])
def test_an_unknown_ending_is_refused_with_the_known_ones(written: Write, name: str) -> None:
    message = refusal(written(name, CSV))
    assert "the ending of the name has to tell the format" in message
    assert ".csv, .tsv, .inter, .txt, .dat, " in message


@pytest.mark.parametrize("name", ["log.csv", "log.tsv.gz", "log.txt", "log.inter", "log.dat"])
@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_refused(written: Write, name: str, content: str) -> None:
    file = written(name, content)
    assert refusal(file) == f"{file} is empty; give a file with at least one event"


def test_a_header_without_events_is_refused(written: Write, tmp_path: Path) -> None:
    table = tmp_path / "log.parquet"
    pl.DataFrame({"user": [], "item": [], "time": []}).write_parquet(table)
    for file in (written("log.csv", "user,item,time\n"), written("quoted.csv", '"user","item","time"\n'), table):
        assert refusal(file) == f"{file} has a header and no events; give a file with at least one event"


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame(EVENTS).write_parquet(file)
    file.write_bytes(file.read_bytes()[:-10])
    message = refusal(file)
    assert message.startswith(f"{file} is not a whole parquet file: it does not end like one")
    assert message.endswith("write or download the file again")


# published files


@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [
        ("ml-1m.txt", 6040, 3416, 999_611),
        ("beauty.txt", 40_226, 54_542, 353_962),
        ("ml-100k.inter", 943, 1682, 100_000),
        ("ml-1m.ratings_users_1-2999.dat", 2999, 3615, 487_650),
    ],
)
def test_published_files_have_their_published_counts(
    data_folder: Path, name: str, users: int, items: int, events: int
) -> None:
    file = next((data_folder / each for each in (name, f"{name}.gz") if (data_folder / each).is_file()), None)
    if file is None:
        pytest.skip(f"there is no {name} in the folder that NEXTITEM_DATA names")
    interactions = read_interactions(file)
    assert (interactions.number_of_users, interactions.number_of_items, len(interactions)) == (users, items, events)
    assert interactions.events["item"].dtype == pl.Int64
