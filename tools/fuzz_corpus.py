"""Logs in every format that is read, made up, and the ways in which files come to harm.

All follows from the random generator that is given: the same one makes the same file.
"""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import polars as pl
import zstandard

ROWS = 60
ITEM_ROWS = 40
_USERS, _ITEMS = 9, 25
_FIRST_TIME = 1_700_000_000
_SPECIAL = (
    b'"', b'""', b",", b"\t", b" ", b"::", b";", b"\n", b"\n\n", b"\r", b"\r\n", b"\r\r\n", b"\0", b"\0" * 40,
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\xc3", b"NaN", b"null", b"-1", b"1e400", b"9" * 25, b"1970-01-01",
    b"\x1f", b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"user,item,time\n", b"#", b"'", b"x" * 3000, b",,,,,,,,", b"\x1a",
)  # fmt: skip
_TEXT = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".txt": " ", ".dat": "::", ".jsonl": ""}
_TABLES = (".parquet", ".arrow")
_PACK = {".gz": partial(gzip.compress, mtime=0), ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}
_COMPRESSIONS = ("zstd", "uncompressed", "snappy", "gzip")


@dataclass(frozen=True)
class Case:
    """A file to be read."""

    name: str
    content: bytes
    is_whole: bool
    """Whether it came to no harm, so that it has to be read."""


def a_case(draws: random.Random) -> Case:
    """A log in one of the formats, or a table of items, in nine cases of ten harmed."""
    if draws.random() < 0.2:
        return draws.choice((_sequences, _items))(draws)
    packed = (f"{ending}{packing}" for ending in _TEXT for packing in _PACK)
    ending = draws.choice((*_TEXT, *packed, *(".csv",) * 4, *_TABLES * 3))
    is_whole = draws.random() < 0.1
    if ending in _TABLES:
        content = _table(draws, ending)
        return Case(f"log{ending}", content if is_whole else harmed(content, draws), is_whole)
    content = _text(draws, f".{ending.split('.')[1]}")
    is_packed, is_inside = ending.endswith(tuple(_PACK)), draws.random() < 0.7
    if not is_whole and (is_inside or not is_packed):
        content = harmed(content, draws)
    if is_packed:
        content = _compressed(content, draws, f".{ending.split('.')[2]}")
        if not is_whole and not is_inside:
            content = harmed(content, draws)
    return Case(f"log{ending}", content, is_whole)


def _sequences(draws: random.Random) -> Case:
    """A log with a user and all of that user's items in a line, which has to be asked for."""
    lines = [
        [f"u{user}", *(f"i{draws.randrange(_ITEMS)}" for _ in range(draws.randrange(1, 12)))] for user in range(_USERS)
    ]
    content = "\n".join(map(" ".join, lines)).encode() + draws.choice((b"", b"\n"))
    return _maybe_harmed("sequences-log.txt", content, draws)


def _items(draws: random.Random) -> Case:
    """A table of items with titles, categories and a number, in one of the forms that are read."""
    rows = [
        {
            "item": f"i{number:02}",
            "title": f"Zoë {number}",
            "genres": draws.choice(("art", "art|war")),
            "year": 1900 + number,
        }
        for number in range(ITEM_ROWS)
    ]
    table, sink = pl.DataFrame(rows), io.BytesIO()
    ending = draws.choice((".csv", ".tsv", ".jsonl", ".json", ".parquet"))
    if ending in (".csv", ".tsv"):
        table.write_csv(sink, separator="," if ending == ".csv" else "\t")
    elif ending == ".parquet":
        table.write_parquet(sink)
    elif ending == ".jsonl":
        sink.write("\n".join(map(json.dumps, rows)).encode())
    else:
        sink.write(json.dumps({row.pop("item"): row for row in rows}).encode())
    return _maybe_harmed(f"items-log{ending}", sink.getvalue(), draws)


def _maybe_harmed(name: str, content: bytes, draws: random.Random) -> Case:
    is_whole = draws.random() < 0.1
    return Case(name, content if is_whole else harmed(content, draws), is_whole)


def _events(draws: random.Random) -> dict[str, list[str]]:
    """Columns of text; every user has several events, and none repeats what another column means."""
    user = draws.choice((lambda n: str(n), lambda n: f"u{n:02}", lambda n: f"Zoë {n}", lambda n: f"00{n}"))
    item = draws.choice((lambda n: str(n), lambda n: f"i-{n}", lambda n: f"漢{n}"))
    moments = [_FIRST_TIME + draws.randrange(10**6) for _ in range(ROWS)]
    write = draws.choice(
        (str, lambda t: f"{t}.25", lambda t: datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    )
    return {
        "user": [user(draws.randrange(_USERS)) for _ in range(ROWS)],
        "item": [item(draws.randrange(_ITEMS)) for _ in range(ROWS)],
        "rating": [str(draws.randrange(1, 6)) for _ in range(ROWS)],
        "time": [write(moment) for moment in moments],
    }


def _text(draws: random.Random, ending: str) -> bytes:
    separator, columns = _TEXT[ending], _events(draws)
    if ending == ".txt":
        columns = {role: [value.replace(" ", "_") for value in columns[role]] for role in ("user", "item")}
    elif ending != ".dat" and draws.random() < 0.5:
        columns = {role: columns[role] for role in draws.sample(("user", "item", "time"), 3)}
    rows = list(zip(*columns.values(), strict=True))
    if ending == ".jsonl":
        return _objects(draws, list(columns), rows)
    if ending == ".csv" and draws.random() < 0.4:
        return _quoted(draws, list(columns), rows)
    named = {".inter": [f"{name}:token" for name in columns], ".csv": list(columns), ".tsv": list(columns)}
    header = [separator.join(named[ending])] if ending in named else []
    end = draws.choice(("\n", "\n", "\r\n", "\n\n"))
    text = end.join([*header, *(separator.join(row) for row in rows)]) + draws.choice(("", end))
    return draws.choice((b"", b"", b"\xef\xbb\xbf")) + text.encode()


def _quoted(draws: random.Random, header: list[str], rows: list[tuple[str, ...]]) -> bytes:
    titles = [draws.choice(("", "a title", "with, comma", 'a "word"', "two\nlines", "end\r\n")) for _ in rows]
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, quoting=draws.choice((csv.QUOTE_ALL, csv.QUOTE_MINIMAL)), lineterminator="\n")
    writer.writerow([*header, "title"])
    writer.writerows([*row, title] for row, title in zip(rows, titles, strict=True))
    return sink.getvalue().encode()


def _objects(draws: random.Random, names: list[str], rows: list[tuple[str, ...]]) -> bytes:
    is_ascii, end = draws.random() < 0.5, draws.choice(("\n", "\n", "\r\n", "\n\n"))
    return end.join(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=is_ascii) for row in rows).encode()


def _table(draws: random.Random, ending: str) -> bytes:
    columns = _events(draws)
    numbers = [_FIRST_TIME + draws.randrange(10**6) for _ in range(ROWS)]
    kind = draws.choice((pl.Int64(), pl.Float64(), pl.Datetime("us"), pl.Datetime("ms"), pl.Datetime("ns", "UTC")))
    per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}.get(getattr(kind, "time_unit", ""), 1)
    table = pl.DataFrame({**columns, "time": pl.Series([number * per_second for number in numbers]).cast(kind)})
    if draws.random() < 0.5:
        table = table.with_columns(pl.Series("user", [draws.randrange(_USERS) for _ in range(ROWS)]))
    sink = io.BytesIO()
    if ending == ".arrow":
        table.write_ipc(sink, compression=draws.choice(("uncompressed", "lz4", "zstd")), record_batch_size=25)
        return sink.getvalue()
    table.write_parquet(
        sink, compression=draws.choice(_COMPRESSIONS), row_group_size=draws.choice((ROWS, 25)),
        statistics=draws.random() < 0.7,
    )  # fmt: skip
    return sink.getvalue()


def _compressed(content: bytes, draws: random.Random, packing: str) -> bytes:
    place = draws.randrange(len(content) + 1)
    streams = (content[:place], content[place:]) if draws.random() < 0.3 else (content,)
    return b"".join(map(_PACK[packing], streams)) + draws.choice((b"", b"", b"\0" * 100))


# harm


def harmed(content: bytes, draws: random.Random) -> bytes:
    """The content after one to three accidents."""
    for _ in range(draws.choice((1, 1, 2, 3))):
        content = draws.choice(_ACCIDENTS)(content, draws)
    return content


def _place(content: bytes, draws: random.Random) -> tuple[int, int]:
    start = draws.randrange(len(content) + 1)
    return start, min(len(content), start + draws.choice((1, 2, 5, 20, 200)))


def _flip(content: bytes, draws: random.Random) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
    return bytes(changed)


def _cut_out(content: bytes, draws: random.Random) -> bytes:
    start, stop = _place(content, draws)
    return content[:start] + content[stop:]


def _repeat(content: bytes, draws: random.Random) -> bytes:
    start, stop = _place(content, draws)
    return content[:stop] + content[start:stop] * draws.choice((1, 1, 2, 50)) + content[stop:]


def _insert(content: bytes, draws: random.Random) -> bytes:
    start, _ = _place(content, draws)
    return content[:start] + draws.choice(_SPECIAL) + content[start:]


def _overwrite(content: bytes, draws: random.Random) -> bytes:
    start, _ = _place(content, draws)
    new = draws.choice((draws.choice(_SPECIAL), draws.randbytes(4), b"\xff" * 4))
    return content[:start] + new + content[start + len(new) :]


def _truncate(content: bytes, draws: random.Random) -> bytes:
    return content[: draws.randrange(len(content) + 1)]


def _swap_lines(content: bytes, draws: random.Random) -> bytes:
    lines = content.split(b"\n")
    one, other = draws.randrange(len(lines)), draws.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _append(content: bytes, draws: random.Random) -> bytes:
    return content + draws.choice((draws.choice(_SPECIAL), content, b"\0" * 512, draws.randbytes(9)))


_ACCIDENTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut_out, _repeat, _insert, _insert, _overwrite, _truncate, _swap_lines, _append,
)  # fmt: skip
