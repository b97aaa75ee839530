"""Objects a line: ids keep their types, keys stand in any order, and what is no event is told by its line."""

import json
from pathlib import Path

import pytest

from nextitem.data.reading import opening
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import found_in, read_interactions, read_parts, rows_of
from nextitem.data.reading.formats import json_lines
from nextitem.errors import ConfigurationError
from worlds.event_files import EVENTS, Write, refusal

ROWS = [dict(zip(EVENTS, event, strict=True)) for event in zip(*EVENTS.values(), strict=True)]
LINES = "".join(f"{json.dumps(row)}\n" for row in ROWS)


def read(file: Path, columns: Columns | None = None) -> list[tuple[object, ...]]:
    return read_interactions(file, columns or Columns()).events.rows()


@pytest.mark.parametrize("name", ["log.jsonl", "log.ndjson", "log.json", "LOG.JSONL.gz", "log.jsonl.zst"])
@pytest.mark.parametrize(
    "content",
    [
        LINES,
        LINES.rstrip("\n"),
        "\ufeff\n" + LINES.replace("\n", "\r\n\r\n"),
        "".join(f"{json.dumps(dict(reversed(row.items())))}\n" for row in ROWS),
        "".join(f"{json.dumps({'extra': {'a': [1, None]}, **row})}\n" for row in ROWS),
        "".join(f'  {{"user_id":"{r["user"]}", "sku":"{r["item"]}","ts": {r["time"]}}} \n' for r in ROWS),
    ],
)
def test_objects_read_to_the_same_events(written: Write, name: str, content: str) -> None:
    assert read_interactions(written(name, content)).events.to_dict(as_series=False) == EVENTS


def test_ids_keep_their_types_and_their_blanks(written: Write) -> None:
    file = written("log.jsonl", '{"user": 7, "item": "7"}\n{"user": 10, "item": " 12 "}\n')
    assert read(file) == [(7, "7"), (10, " 12 ")]


def test_a_text_may_hold_what_ends_lines_elsewhere(written: Write) -> None:
    file = written("log.jsonl", '{"user": "a\u2028b", "item": "x\\ny"}\n{"user": "a\x85b", "item": "漢"}\n')
    assert read(file) == [("a\u2028b", "x\ny"), ("a\x85b", "漢")]
    assert rows_of(file).to_list() == [1, 2]


def test_times_are_as_exact_as_they_are_written(written: Write) -> None:
    lines = [f'{{"user": 1, "item": {n}, "timestamp_ns": {1_700_000_000_000_000_000 + n}}}' for n in (2, 1)]
    events = read_interactions(written("log.jsonl", "\n".join(lines))).in_time_order()
    assert events["item"].to_list() == [1, 2]
    mixed = written("mixed.jsonl", '{"user": 1, "item": 1, "time": 1}\n{"user": 1, "item": 1, "time": 2.5}\n')
    assert read_interactions(mixed).events["time"].to_list() == [1, 2.5]
    dates = written("dates.jsonl", '{"user": 1, "item": 1, "time": "1970-01-02T00:00:00Z"}\n')
    assert read_interactions(dates).events["time"].to_list() == [86_400]


def test_a_record_may_leave_columns_out_that_are_not_read(written: Write) -> None:
    file = written("log.jsonl", '{"user": 1, "item": 1}\n{"item": 2, "price": 3, "user": 1}\n')
    assert found_in(file).header == ("user", "item", "price")
    assert read(file) == [(1, 1), (1, 2)]
    assert refusal(file, Columns(user="price")).startswith(f"{file}:1:price: the value is missing; ")


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_a_file_is_read_in_parts(written: Write, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(json_lines, "raw_stretches", lambda file, _=0: opening.raw_stretches(file, at_once))
    file = written("log.jsonl", LINES * 5)
    assert [user for part in read_parts(file, events=2) for user in part.user] == EVENTS["user"] * 5
    assert len(read(file)) == 15


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"user": [1], "item": "x"}', "user: [1] is neither a text nor a whole number; ids are one of both"),
        ('{"user": {"id": 1}, "item": "x"}', "user: {'id': 1} is neither a text nor a whole number"),
        ('{"user": true, "item": "x"}', "user: True is neither a text nor a whole number"),
        ('{"user": 7.0, "item": "x"}', "user: 7.0 is neither a text nor a whole number"),
        ('{"user": "7", "item": "x"}', "user: '7' is a text, and other ids of the column are of another kind; write"),
        ('{"user": 7, "item": 8}', "item: 8 is a whole number, and other ids of the column are of another kind"),
        (
            '{"user": 9223372036854775808, "item": "x"}',
            "user: 9223372036854775808 is beyond 64 bits with a sign; store",
        ),
        ('{"user": 7}', "item: the value is missing; every event needs a value"),
        ('{"user": null, "item": "x"}', "user: the value is missing"),
        ('{"user": NaN, "item": "x"}', "user: the value is missing"),
        ('{"user": 7, "item": " "}', "item: ' ' is blank"),
        ('{"user": 7, "item": "null"}', "item: 'null' stands for a missing value"),
        ('{"user": 7, "item": "x", "time": [1]}', "time: [1] is neither a number nor a text"),
        ('{"user": 7, "item": "x", "time": true}', "time: True is neither a number nor a text"),
        ('{"user": 7, "item": "x", "time": "soon"}', "time: 'soon' is not a time"),
        ('{"user": 7, "item": "x", "time": null}', "time: the value is missing"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_by_its_line(written: Write, line: str, told: str) -> None:
    file = written("log.jsonl", f'{{"user": 1, "item": "a", "time": 5}}\n\n{line}\n')
    assert refusal(file).startswith(f"{file}:3:{told}")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[1, 2]", "'[1, 2]' is no object; write one object a line, such as {"),
        ("7", "'7' is no object"),
        ('{"user": 1, "item": "a"', '\'{"user": 1, "item": "a"\' is no JSON (Expecting \',\' delimiter'),
        ('{"user": 1, "item": "a"}{}', "is no JSON (Extra data"),
        ("user,item", "'user,item' is no JSON (Expecting value"),
        ('{"user": 1, "user": 2, "item": "a"}', "is no JSON (the key 'user' stands there twice)"),
        ("[" * 100_000, "is no JSON (it is nested too deep)"),
        ('{"user": 1e99999999999999999999}', "is no JSON ("),
        ('{"user": ' + "1" * 5000 + "}", "is no JSON (Exceeds the limit"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_line_that_is_no_object_is_told(written: Write, line: str, told: str, is_first: bool) -> None:
    file = written("log.jsonl", line if is_first else f'{{"user": 1, "item": "a"}}\n{line}\n')
    message = refusal(file)
    assert message.startswith(f"{file}:{1 if is_first else 2}: ")
    assert told in message
    assert len(message) < 400


def test_what_is_no_utf_8_and_nuls_are_told_by_their_lines(written: Write) -> None:
    file = written("log.jsonl", LINES.encode() + b'{"user": "caf\xe9", "item": "x", "time": 3}\n')
    assert refusal(file).startswith(f"{file}:4: byte 14 of the line (0xe9) is not UTF-8")
    assert refusal(written("nul.jsonl", LINES + "\0\n")).endswith("drop the line, or write or download the file again")


def test_neither_separators_nor_headers_are_about_such_files(written: Write) -> None:
    for columns in (Columns(separator="comma"), Columns(header="yes")):
        assert refusal(written("log.jsonl", LINES), columns, ConfigurationError).endswith(
            "is read as jsonl, where columns have names and nothing divides them; leave out columns.separator and "
            "columns.header"
        )
