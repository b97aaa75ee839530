"""Files of events as they come from elsewhere, damaged: what each is called, and what it holds."""

import gzip
import io
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import polars as pl
import zstandard

HEADER = "user,item,time\n"
GOOD = "ann,x,1700000010\nann,y,1700000020\nbob,x,1700000015\n"
CSV = HEADER + GOOD


def with_row(row: str) -> bytes:
    """A csv whose fourth line is this one."""
    return f"{HEADER}ann,x,1700000010\nann,y,1700000020\n{row}\nbob,x,1700000015\n".encode()


def parquet(columns: Mapping[str, object]) -> bytes:
    """A parquet file of these columns."""
    sink = io.BytesIO()
    pl.DataFrame(columns).write_parquet(sink)
    return sink.getvalue()


def arrow(columns: Mapping[str, object]) -> bytes:
    """An Arrow file of these columns."""
    sink = io.BytesIO()
    pl.DataFrame(columns).write_ipc(sink)
    return sink.getvalue()


NUMBERS = {"user": [1, 2], "item": [1, 2], "time": [1_700_000_000, 1_700_000_001]}
Refused = tuple[str, str, bytes, str]
"""What it is, the file's name, its content, and a pattern of what is said behind the file's name."""

FILES: tuple[Refused, ...] = (
    ("zero bytes", "log.csv", b"", r" is empty; give a file"),
    ("zero bytes", "log.jsonl", b"", r" is empty; give a file"),
    ("zero bytes", "log.parquet", b"", r" is (not a whole parquet file|empty)"),
    ("zero bytes", "log.arrow", b"", r" is not a whole Arrow file"),
    ("header only", "log.csv", HEADER.encode(), r" has a header and no events; give"),
    ("no header", "log.csv", b"196,242,881250949\n186,302,891717742\n", r": the first row looks like data .*by number"),
    ("no header", "log.csv", GOOD.encode(), r": the first row looks like data"),
    ("a header where there is none", "log.dat", b"user::item::rating::time\n1::2::3::4\n", r":1: .*look like names"),
    ("UTF-16", "log.csv", CSV.encode("utf-16"), r" is not text: it begins like UTF-16; save it as UTF-8"),
    ("UTF-16 without a mark", "log.csv", CSV.encode("utf-16-le"), r" is not text: it looks like UTF-16"),
    ("Latin-1", "log.csv", with_row("zoë,x,3").decode().encode("latin-1"), r":4: byte 3 .*0xeb.* is not UTF-8; save"),
    ("Latin-1", "log.jsonl", '{"user":"zoë","item":"x"}'.encode("latin-1"), r":1: byte 12 .*is not UTF-8"),
    ("NUL in an id", "log.csv", with_row("a\0b,x,3"), r":4: there is a NUL byte in the line"),
    ("NUL in an id", "log.parquet", parquet({"user": ["a\0"], "item": ["x"]}), r":1:user: .* has a NUL byte in it"),
    ("NUL in an id", "log.jsonl", b'{"user":"a\\u0000","item":"x"}\n', r":1:user: .* has a NUL byte in it"),
    (
        "CR-only lines",
        "log.csv",
        CSV.replace("\n", "\r").encode(),
        r":1: there is a carriage return inside .*end lines",
    ),
    ("wrong delimiter", "log.csv", CSV.replace(",", ";").encode(), r": the first line is divided by ';'.*separator"),
    ("wrong delimiter", "log.tsv", CSV.encode(), r": the first line is divided by ','.*columns.separator=comma"),
    (
        "truncated last line",
        "log.csv",
        CSV[:-13].encode(),
        r":4: 'bob,' has 2 .*last line and has no end, .*cut off",
    ),
    ("short row", "log.csv", with_row("bob,x"), r":4: 'bob,x' has 2 fields .*not 3 .*correct the row"),
    ("long row", "log.csv", with_row("bob,x,3,4"), r":4: 'bob,x,3,4' has 4 fields"),
    ("unclosed quote", "log.csv", with_row('"bob,x,3'), r":4: unexpected end of data; close every quote"),
    ("duplicate column names", "log.csv", b"user,item,item\na,b,c\n", r": 2 columns are called 'item'; rename all but"),
    ("missing column", "log.csv", b"user,thing\na,b\n", r": there is no column 'item'; .*columns.item=NAME"),
    ("missing column", "log.jsonl", b'{"user":"a","thing":"b"}\n', r": there is no column 'item'"),
    ("missing column", "log.parquet", parquet({"user": [1]}), r": there is no column 'item'"),
    ("a 5 MB id", "log.csv", with_row("x" * 5_000_000 + ",x,3"), r":4:user: .* is longer than the 65,536 bytes"),
    ("a line without an end", "log.csv", with_row("x" * (1 << 24) + ",x,3"), r":4: the line is longer than 16,777,216"),
    ("truncated gzip", "log.csv.gz", gzip.compress(CSV.encode())[:-9], r" is not a complete gzip file"),
    ("truncated Zstandard", "log.csv.zst", zstandard.compress(CSV.encode())[:-3], r" is not a complete Zstandard"),
    (
        "gzip with trailing bytes",
        "log.csv.gz",
        gzip.compress(CSV.encode()) + b"more",
        r" has bytes behind the end of what gzip",
    ),
    ("gzip named .csv", "log.csv", gzip.compress(CSV.encode()), r" is not text: it begins like gzip; name it .gz"),
    (
        "csv named .gz",
        "log.csv.gz",
        CSV.encode(),
        r" is not a complete gzip file \(it does not begin as one\); name it",
    ),
    ("Zstandard named .csv", "log.csv", zstandard.compress(CSV.encode() * 99), r" is not text: it begins like Zstand"),
    ("parquet of the wrong schema", "log.parquet", parquet({"a": [1], "b": [2]}), r": there is no column 'user'"),
    ("parquet truncated", "log.parquet", parquet(NUMBERS)[:-10], r" is not a whole parquet file: it does not end"),
    ("Arrow truncated", "log.arrow", arrow(NUMBERS)[:-10], r" is not a whole Arrow file: it does not end"),
    ("a csv named .parquet", "log.parquet", CSV.encode(), r" is not a whole parquet file: it does not begin"),
    ("parquet named .csv", "log.csv", parquet(NUMBERS), r" is not text: it begins like parquet; name it .parquet"),
)

IDS: tuple[Refused, ...] = (
    ("float ids with NaN", "log.parquet", parquet({"user": [1.0, float("nan")], "item": [1, 2]}),
     r": column 'user' holds Float64 with 1 missing value.*but ids are strings or integers"),
    ("nested ids", "log.parquet", parquet({"user": [[1], [2]], "item": [1, 2]}),
     r": column 'user' holds List\(Int64\), but ids are strings or integers; convert it"),
    ("nested ids", "log.arrow", arrow({"user": [{"a": 1}], "item": [1]}), r": column 'user' holds Struct"),
    ("nested ids", "log.jsonl", b'{"user":[1],"item":1}\n', r":1:user: \[1\] is neither a text nor a whole number"),
    ("decimal ids", "log.parquet", parquet({"user": [Decimal("1.50")], "item": [1]}), r": column 'user' holds Decimal"),
    ("dates as ids", "log.parquet", parquet({"user": [date(2024, 1, 31)], "item": [1]}), r": column 'user' holds Date"),
    ("null", "log.csv", with_row(",x,3"), r":4:user: '' is blank; every event needs an id"),
    ("null", "log.parquet", parquet({"user": [1, None], "item": [1, 2]}), r":2:user: the value is missing"),
    ("null", "log.jsonl", b'{"user":null,"item":1}\n', r":1:user: the value is missing"),
    *((word, "log.csv", with_row(f"{word},x,3"), rf":4:user: '{word}' stands for a missing value; .*missing=ids")
      for word in ("NaN", "None", "null", "<NA>")),
    ("blank", "log.csv", with_row("  ,x,3"), r":4:user: '  ' is blank"),
    ("beyond 64 bits", "log.parquet", parquet({"user": pl.Series([2**63], dtype=pl.UInt64), "item": [1]}),
     r":1:user: 9223372036854775808 is beyond 64 bits with a sign; store such ids as strings"),
    ("beyond 64 bits", "log.jsonl", b'{"user":9223372036854775808,"item":1}\n', r":1:user: .* is beyond 64 bits"),
    ("integer and text mixed", "log.jsonl", b'{"user":1,"item":1}\n{"user":"a","item":1}\n',
     r":2:user: 'a' is a text, and other ids of the column are of another kind"),
)  # fmt: skip

TIMES: tuple[Refused, ...] = (
    ("missing", "log.csv", with_row("bob,x,"), r":4:time: '' is missing; every event needs a time"),
    ("missing", "log.parquet", parquet({**NUMBERS, "time": [1, None]}), r":2:time: the value is missing"),
    ("text", "log.csv", with_row("bob,x,soon"), r":4:time: 'soon' is not a time; write unix seconds or ISO 8601"),
    ("NaN", "log.parquet", parquet({**NUMBERS, "time": [1.5, float("nan")]}), r":2:time: nan is not a time"),
    ("ISO among epoch", "log.csv", with_row("bob,x,2024-01-31"), r":4:time: .* is a date where the column begins with"),
    ("epoch among ISO", "log.csv", b"user,item,time\na,x,2024-01-31\na,y,1700000000\n",
     r":3:time: '1700000000' is a number where the column begins with dates"),
    ("milliseconds among seconds", "log.csv", with_row("bob,x,1700000000000"),
     r":4:time: '1700000000000' looks like milliseconds where other times of the column are seconds; write"),
    ("seconds among milliseconds", "log.parquet",
     parquet({"user": [1, 2], "item": [1, 2], "time_ms": [1_700_000_000_000, 1_700_000_000]}),
     r":2:time_ms: 1700000000 looks like seconds where other times of the column are milliseconds"),
    ("all in milliseconds", "log.csv", b"user,item,time\na,x,1700000000000\n",
     r":2:time: .* lies outside the years 1 to 9999 .* say columns.time_unit=ms"),
    ("absurd", "log.csv", with_row("bob,x,1e40"), r":4:time: '1e40' lies outside the years 1 to 9999"),
    ("naive among zoned", "log.csv", b"user,item,time\na,x,2024-01-31T12:00:00Z\na,y,2024-01-31 12:00\n",
     r":3:time: .* names no offset from UTC where the first time of the column does; write all"),
    ("zoned among naive", "log.jsonl",
     b'{"user":1,"item":1,"time":"2024-01-31T12:00"}\n{"user":1,"item":2,"time":"2024-01-31T12:00+02:00"}\n',
     r":2:time: .* names an offset from UTC where the first time of the column does not"),
    ("not one", "log.parquet", parquet({**NUMBERS, "time": [True, False]}), r": column 'time' holds Boolean, but"),
)  # fmt: skip

REFUSED = {"files": FILES, "ids": IDS, "times": TIMES}

Read = tuple[str, str, bytes, list[tuple[object, object]]]
"""What it is, the file's name, its content, and the users and items of its events."""
_PAIRS: list[tuple[object, object]] = [("ann", "x"), ("ann", "y"), ("bob", "x")]

ACCEPTED: tuple[Read, ...] = (
    ("UTF-8 BOM", "log.csv", b"\xef\xbb\xbf" + CSV.encode(), _PAIRS),
    ("UTF-8 BOM", "log.jsonl", b'\xef\xbb\xbf{"user":"ann","item":"x"}\n', [("ann", "x")]),
    ("blank lines", "log.csv", CSV.replace("\n", "\n\n\r\n").encode(), _PAIRS),
    ("no line end at the end", "log.csv", CSV.rstrip("\n").encode(), _PAIRS),
    ("a 5 MB field that is not read", "log.csv",
     b"user,item,time,review\nann,x,1," + b"w" * 5_000_000 + b"\n", [("ann", "x")]),
    ("padded with blanks", "log.csv", b"user,item\n ann ,x\n", [("ann", "x")]),
    ("padded with blanks, kept where values are typed", "log.jsonl", b'{"user":" ann","item":"x"}\n', [(" ann", "x")]),
    ("007 against 7", "log.csv", b"user,item\na,007\na,7\n", [("a", "007"), ("a", "7")]),
    ("integers and text", "log.csv", b"user,item\na,7\na,B7\n", [("a", "7"), ("a", "B7")]),
    ("beyond 64 bits", "log.csv", b"user,item\na,9223372036854775808\n", [("a", "9223372036854775808")]),
    ("formulas", "log.csv", b"user,item\na,=1+1\n", [("a", "=1+1")]),
    ("categorical", "log.parquet",
     parquet({"user": pl.Series(["a"], dtype=pl.Categorical), "item": [1]}), [("a", 1)]),
    ("decimal times", "log.parquet", parquet({"user": ["a"], "item": [1], "time": [Decimal("1.50")]}), [("a", 1)]),
    ("dates", "log.arrow", arrow({"user": ["a"], "item": [1], "time": [date(2024, 1, 31)]}), [("a", 1)]),
    ("categorical times", "log.parquet",
     parquet({"user": ["a"], "item": [1], "time": pl.Series(["2024-01-31"], dtype=pl.Categorical)}), [("a", 1)]),
)  # fmt: skip
