"""A format is told by name, by the ending of the file's name or by its separator, in this order."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from nextitem.data.reading.columns import Columns, parse_columns
from nextitem.data.reading.files import found_in, is_text, read_interactions
from nextitem.errors import ConfigurationError
from worlds.event_files import CSV, EVENTS, Write, refusal

NUMBERED = Columns(user="1", item="2", time="4")


def read(file: Path, columns: Columns) -> dict[str, list[object]]:
    return read_interactions(file, columns).events.to_dict(as_series=False)


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_a_file_of_any_name_is_read_in_the_format_that_is_told(written: Write, packing: str) -> None:
    file = written(f"u.data{packing}", "ann\tx\t5\t10\nann\ty\t4\t20\nbob\tx\t\t15\n")
    assert read(file, NUMBERED.model_copy(update={"format": "tsv"})) == EVENTS
    assert read(file, NUMBERED.model_copy(update={"separator": "tab"})) == EVENTS
    assert read(file, parse_columns("user=1,item=2,time=4,separator=tab")) == EVENTS


@pytest.mark.parametrize(
    ("separator", "content"),
    [
        ("comma", CSV.replace("bob", '"bob"')),
        ("semicolon", CSV.replace(",", ";")),
        ("tab", CSV.replace(",", "\t")),
        ("pipe", CSV.replace(",", "|")),
        ("~", CSV.replace(",", "~")),
        ("colons", "ann::x::5::10\nann::y::4::20\nbob::x::::15\n"),
    ],
)
def test_of_a_text_its_separator_alone_suffices(written: Write, separator: str, content: str) -> None:
    for name in ("events", "events.log", "events.data.gz"):
        assert read(written(name, content), Columns(separator=separator)) == EVENTS


def test_a_space_alone_stands_for_pairs(written: Write) -> None:
    assert read(written("links", "1 2\n1 3\n"), Columns(separator="space")) == {"user": [1, 1], "item": [2, 3]}


def test_what_is_told_wins_over_the_ending(written: Write, tmp_path: Path) -> None:
    assert read(written("log.txt", CSV), Columns(format="csv")) == EVENTS
    assert read(written("log.dat", CSV.replace(",", "\t")), Columns(format="tsv")) == EVENTS
    table = tmp_path / "part-0000"
    pl.DataFrame(EVENTS).write_parquet(table)
    assert read(table, Columns(format="parquet")) == EVENTS
    assert not is_text(table, Columns(format="parquet"))


def test_what_is_told_wrongly_is_named_for_what_it_is(written: Write, tmp_path: Path) -> None:
    file = written("log.csv", CSV)
    assert refusal(file, Columns(format="parquet")).startswith(f"{file} is not a whole parquet file: ")
    pl.DataFrame(EVENTS).write_parquet(tmp_path / "log.parquet")
    assert "is not text: it begins like parquet" in refusal(tmp_path / "log.parquet", Columns(format="csv"))
    assert "leave out columns.separator" in refusal(
        tmp_path / "log.parquet", Columns(separator="comma"), ConfigurationError
    )


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_parquet_inside_another_packing_is_refused(tmp_path: Path, packing: str) -> None:
    file = tmp_path / f"log.parquet{packing}"
    file.write_bytes(gzip.compress(b"PAR1"))
    assert refusal(file) == f"{file}: parquet packs its columns itself, and is not read out of another file; unpack it"


def test_new_events_are_read_like_the_log_where_their_name_says_little(written: Write) -> None:
    asked = Columns(format="tsv", user="1", item="2", time="4")
    learnt = found_in(written("u.data", "ann\tx\t5\t10\n"), asked).columns
    assert read_interactions(written("today", "bob\ty\t3\t12\n"), like=learnt).events.rows() == [("bob", "y", 12)]
    assert read_interactions(written("new.txt", "bob\ty\t3\t12\n"), like=learnt).events.rows() == [("bob", "y", 12)]
