"""A text with an item or user a line, divided at a separator -> its rows. Every cell is a text here."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from nextitem.data.features.columns import Features, said_by
from nextitem.data.features.rows import Rows, each
from nextitem.data.features.table import Of
from nextitem.data.reading.appearance import other_separator, word_for
from nextitem.data.reading.columns import USUAL, Found
from nextitem.data.reading.format import Layout
from nextitem.data.reading.names import clipped, listed
from nextitem.data.reading.opening import is_cut_off_at, stretches
from nextitem.data.reading.records import Divided
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.sieve import BadRowsError, Sieve
from nextitem.errors import DataError


def rows_of_lines(
    file: Path, form: Divided, features: Features, rejected: RejectedRows | None = None, of: Of = "item"
) -> Rows:
    """The rows of a file that is divided so, unless `features` say otherwise.

    Raises DataError for a line that cannot be divided or is of another width than the header, with its row; where there
    is a place for `rejected` rows, such a line goes there.
    """
    require_encoding(file, features.encoding, rejected)
    asked = features.columns
    layout = Layout(asked.divided_at, asked.has_header, is_numbered=asked.has_header is False)
    content = replace(form, encoding=features.encoding).content(file, layout)
    if content is None:
        raise DataError(f"{file} is empty; {each(of)}")
    header, separator = [str(name) for name in content.header], str(content.separator)
    if len(header) == 1 and (other := other_separator(header[0], separator)):
        raise DataError(
            f"{file}: the first line is divided by {other!r} and not by {separator!r}; say so by "
            f"{said_by(of, f'separator={word_for(other)}')}"
        )
    places = {str(place): place for place in range(len(header))}
    found = pl.concat([frame.collect() for frame in content.frames(places)], how="diagonal").sort("row")
    sieve = Sieve(file, Found(USUAL, {}, tuple(header)), separator, rejected)
    try:
        found = _even(sieve, _sound(sieve, found), of)
    except BadRowsError as error:
        raise DataError(error.told()) from None
    columns = [found[key].str.strip_chars().alias(header[place]) for key, place in places.items()]
    if len({*header}) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{file}: two columns are called {clipped(twice)!r}; rename one of them")
    return Rows(str(file), pl.DataFrame(columns), found["row"], separator, rejected, of)


def _sound(sieve: Sieve, found: pl.DataFrame) -> pl.DataFrame:
    """Without lines that cannot be divided. Raises BadRowsError where they are refused."""

    def tell(bad: pl.DataFrame) -> str:
        return f"{sieve.file}:{bad['row'][0]}{bad['told'][0]}"

    if "flaw" not in found.columns:
        return found
    for flaw in found["flaw"].drop_nulls().unique(maintain_order=True):
        found = sieve.passed(found, partial(_are_flawed, flaw=flaw), flaw, tell)
    return found


def _are_flawed(found: pl.DataFrame, flaw: str) -> pl.Series:
    return found["flaw"] == flaw


def _even(sieve: Sieve, found: pl.DataFrame, of: Of) -> pl.DataFrame:
    """Without lines of another width than the header. Raises BadRowsError where they are refused."""
    header, separator = list(sieve.found.header), str(sieve.separator)

    def tell(bad: pl.DataFrame) -> str:
        row, width, text = bad.select("row", "width", "uneven").row(0)
        second = "title" if of == "item" else "categories"
        advice = "correct the row"
        if bad.height == found.height:
            advice = f"give columns by number, such as {said_by(of, f'id=1,{second}=2')}"
        elif other := other_separator(text, separator):
            advice += f", or say {said_by(of, f'separator={word_for(other)}')} if {other!r} divides rows"
        elif is_cut_off_at(Path(sieve.file), row):
            advice = "it is the last line and has no end, as where a file was cut off: copy or download it again"
        return (
            f"{sieve.file}:{row}: {clipped(repr(text))} has {width:,} fields divided by {separator!r}, not "
            f"{len(header):,} ({listed(header)}); {advice}"
        )

    few = sieve.passed(found, lambda rows: rows["width"] < len(header), "has too few fields", tell)
    return sieve.passed(few, lambda rows: rows["width"] > len(header), "has too many fields", tell)


def require_encoding(file: Path, encoding: str, rejected: RejectedRows | None = None) -> None:
    """Raise DataError where a text is not in its encoding: which byte of which line, and what else it may be in.

    Where rows may be `rejected`, whoever divides the text into lines finds those that are none.
    """
    if rejected is not None:
        return
    for stretch in stretches(file):
        try:
            stretch.content.decode(encoding)
        except UnicodeDecodeError as error:
            row = stretch.row + stretch.content.count(b"\n", 0, error.start)
            others = [f"features.encoding={one}" for one in ("latin-1", "windows-1252") if one != encoding]
            raise DataError(
                f"{file}:{row}: the byte 0x{stretch.content[error.start]:02x} is not {encoding.upper()}; if the file "
                f"is in ISO-8859-1, or comes from Windows, say {' or '.join(others)}; else save it as UTF-8"
            ) from None
