"""What has to hold of any file that is read: run as a process of its own, which answers for one file after another.

Each line of stdin is a JSON object with `file`, `is_whole` and `is_deep`; each line of stdout the verdict, which begins
with `read`, `refused` or `wrong`.
"""

import csv
import gzip
import io
import json
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import polars as pl
from fuzz_corpus import ROWS
from fuzz_others import as_frame, on_items
from fuzz_rejected import in_small_pieces, what_is_lost

from nextitem.data.mapped import ordering
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import Prepared, prepare
from nextitem.data.reading.checks import EventPart
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.data.reading.packing import PACKINGS
from nextitem.errors import DataError
from nextitem.experiment.recipe import Recipe

_ROLES = ("user", "item", "time", "nanoseconds")
_HEADLESS = (".txt", ".dat", ".jsonl")
_TABLES = (".parquet", ".arrow")
_PACKED = (".gz", ".zst")


class WrongError(Exception):
    """A property that does not hold."""


def main() -> None:
    """Answer until stdin ends."""
    ordering._AT_ONCE = 32  # so that a prepared log of a few events is dealt out to several stretches
    for line in sys.stdin:
        print(json.dumps(verdict(**json.loads(line))), flush=True)


def verdict(file: str, is_whole: bool, is_deep: bool) -> str:
    """`read`, `refused: …` or `wrong: …`."""
    path = Path(file)
    try:
        if path.name.startswith("items-"):
            return on_items(path, is_whole=is_whole)
        found = _read(path)
        if isinstance(found, str):
            if is_whole:
                raise WrongError(f"what came to no harm is refused: {found}")
        else:
            _require_all_rows(path, found)
        _require_equal(found, _read_in_parts(path), "read in parts")
        if path.name.startswith("sequences-"):
            return "refused" if isinstance(found, str) else "read"
        if path.suffix == ".parquet" and not isinstance(found, str) and (odd := as_frame(path, found)):
            raise WrongError(odd)
        if lost := what_is_lost(path, found, lambda: _content(path), has_header=not _is_headless(path)):
            raise WrongError(f"bad rows skipped: {lost}")
        if is_deep:
            _require_equal(_prepared(path), _prepared_in_files(path, 1), "prepared")
            if not isinstance(found, str) and (files := _can_be_divided(path)):
                _require_equal(_prepared(path), _prepared_in_files(path, files), f"prepared from {files} files")
    except WrongError as error:
        return f"wrong: {error}"
    except BaseException as error:  # a panic of a library is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return f"wrong: {type(error).__name__}: {error}"
    return "read" if not isinstance(found, str) else "refused"


def _read(path: Path) -> pl.DataFrame | str:
    try:
        return read_interactions(path, _columns(path)).events
    except DataError as error:
        if str(path) not in str(error):
            raise WrongError(f"the refusal names no file: {error}") from error
        return str(error)


def _read_in_parts(path: Path) -> pl.DataFrame | str:
    """The same by parts of few events, of a text that is read few bytes at a time."""
    try:
        with in_small_pieces():
            parts = list(read_parts(path, _columns(path), events=9))
    except DataError as error:
        return str(error)
    return pl.DataFrame({role: _joined(parts, role) for role in _ROLES if any(_has(part, role) for part in parts)})


def _columns(path: Path) -> Columns:
    return Columns(format="sequences") if path.name.startswith("sequences-") else Columns()


def _has(part: EventPart, role: str) -> bool:
    return getattr(part, role) is not None


def _joined(parts: list[EventPart], role: str) -> pl.Series:
    """A column of all parts: a part is asked alone whether its times are whole, and whether they leave anything out."""
    columns = [getattr(part, role) if _has(part, role) else pl.repeat(0, len(part), eager=True) for part in parts]
    kinds = {column.dtype for column in columns}
    return pl.concat([column.cast(pl.Float64) if len(kinds) > 1 else column for column in columns])


def _require_equal(one: Any, other: Any, how: str) -> None:
    if isinstance(one, str) != isinstance(other, str):
        raise WrongError(f"whole: {_told(one)}; {how}: {_told(other)}")
    if isinstance(one, pl.DataFrame):
        # Whether text stands for integers, and numbers for whole ones, is decided when all of it is known.
        if one.columns != other.columns or one.height != other.height:
            raise WrongError(f"{how}: {other.height} rows of {other.columns}, whole {one.height} of {one.columns}")
        for name in one.columns:
            kind = pl.String if name in ("user", "item") else pl.Float64
            if not one[name].cast(kind).equals(other[name].cast(kind)):
                raise WrongError(f"{how}: column {name} differs")
    elif one != other and not isinstance(one, str):
        raise WrongError(f"{how}: the log differs")


def _told(found: Any) -> str:
    return f"refused ({found})" if isinstance(found, str) else "read"


# rows


def _require_all_rows(path: Path, found: pl.DataFrame) -> None:
    expected = ROWS if path.suffix in _TABLES else _records(path)
    if found.height != expected:
        raise WrongError(f"{found.height} events of {expected} records")


def _records(path: Path) -> int:
    """The records of a text, counted apart from the readers."""
    text = _text(path)
    if path.name.startswith("sequences-"):
        return sum(len(line.rstrip("\r").split(" ")) - 1 for line in text.split("\n") if line.rstrip("\r"))
    is_csv = ".csv" in path.name
    rows = (
        csv.reader(io.StringIO(text, newline=""), strict=True)
        if is_csv
        else (line.rstrip("\r") for line in text.split("\n"))
    )
    return sum(1 for row in rows if row) - (not _is_headless(path))


def _is_headless(path: Path) -> bool:
    return _unpacked_name(path).endswith(_HEADLESS)


def _unpacked_name(path: Path) -> str:
    return path.stem if path.suffix in _PACKED else path.name


def _text(path: Path) -> str:
    return _content(path).decode("utf-8-sig")


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".zst":
        return PACKINGS[".zst"].unpack(io.BytesIO(content)).read()
    return gzip.decompress(content) if path.suffix == ".gz" else content


# logs larger than the memory


def _prepared(path: Path) -> tuple[Any, ...] | str:
    try:
        return _facts(prepare(Recipe(data=str(path))))
    except DataError as error:
        return str(error)


def _prepared_in_files(path: Path, files: int) -> tuple[Any, ...] | str:
    folder = path.parent / "prepared"
    source = path if files == 1 else _divided(path, files)
    try:
        prepare_into(folder, str(source))
        return _facts(prepare(Recipe(data=str(folder))))
    except DataError as error:
        return str(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _facts(prepared: Prepared) -> tuple[Any, ...]:
    times = prepared.log.sequences.events.times
    log = prepared.log
    return (
        log.users.ids.to_list(), log.items.ids.to_list(), log.sequences.tolist(), log.sha256(),
        None if times is None else times[: len(times)].tolist(), prepared.split.test.sha256,
    )  # fmt: skip


def _can_be_divided(path: Path) -> int:
    """Into how many files lines can be dealt out: none where a record may have several, or where bytes are no lines."""
    if path.suffix in _TABLES or '"' in _text(path) or zlib.crc32(path.read_bytes()) % 2:
        return 0
    return 2 + zlib.crc32(path.read_bytes()) % 3


def _divided(path: Path, files: int) -> Path:
    """Write the lines into so many files beside each other, each with the header; the pattern that fits them."""
    lines = _text(path).split("\n")
    is_headless = _is_headless(path)
    first = next(number for number, line in enumerate(lines) if line.strip("\r"))
    header, events = ([], lines) if is_headless else ([lines[first]], lines[first + 1 :])
    events = [line for line in events if line.strip("\r")]
    size = max(1, -(-len(events) // files))
    for number, start in enumerate(range(0, len(events), size)):
        part = path.with_name(f"part-{number}-{_unpacked_name(path)}")
        part.write_text("\n".join([*header, *events[start : start + size]]), encoding="utf-8", newline="")
    return path.with_name(f"part-*-{_unpacked_name(path)}")


if __name__ == "__main__":
    main()
