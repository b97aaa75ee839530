"""A text with an item a line, divided at a separator -> its rows. Every cell is a text here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from nextitem.data.features.columns import Features
from nextitem.data.features.rows import EACH, Rows
from nextitem.data.reading.appearance import other_separator, word_for
from nextitem.data.reading.format import Layout
from nextitem.data.reading.names import clipped, listed
from nextitem.data.reading.opening import stretches
from nextitem.data.reading.records import Divided
from nextitem.errors import DataError


def rows_of_lines(file: Path, form: Divided, features: Features) -> Rows:
    """The rows of a file that is divided so, unless `features` say otherwise.

    Raises DataError for a line of another width than the header, with its row.
    """
    require_encoding(file, features.encoding)
    asked = features.columns
    layout = Layout(asked.divided_at, asked.has_header, is_numbered=asked.has_header is False)
    content = replace(form, encoding=features.encoding).content(file, layout)
    if content is None:
        raise DataError(f"{file} is empty; {EACH}")
    header, separator = [str(name) for name in content.header], str(content.separator)
    if len(header) == 1 and (other := other_separator(header[0], separator)):
        raise DataError(
            f"{file}: the first line is divided by {other!r} and not by {separator!r}; say so by "
            f"--item-columns separator={word_for(other)}"
        )
    places = {str(place): place for place in range(len(header))}
    found = pl.concat([frame.collect() for frame in content.frames(places)], how="diagonal")
    _require_sound(file, found)
    _require_even(file, found, header, separator)
    columns = [found[key].str.strip_chars().alias(header[place]) for key, place in places.items()]
    if len({*header}) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{file}: two columns are called {clipped(twice)!r}; rename one of them")
    return Rows(str(file), pl.DataFrame(columns), found["row"])


def _require_sound(file: Path, found: pl.DataFrame) -> None:
    """Raise DataError for a line that cannot be divided."""
    if "told" in found.columns and (flawed := found.filter(pl.col("told").is_not_null()).sort("row")).height:
        raise DataError(f"{file}:{flawed['row'][0]}: {flawed['told'][0]}")


def _require_even(file: Path, found: pl.DataFrame, header: Sequence[str], separator: str) -> None:
    uneven = found.filter(pl.col("uneven").is_not_null())
    if not uneven.height:
        return
    row, width, text = uneven.select("row", "width", "uneven").row(0)
    others = "" if uneven.height == 1 else f" ({uneven.height:,} such rows)"
    advice = "correct the row"
    if uneven.height == found.height:
        advice = "give columns by number, such as --item-columns id=1,title=2"
    elif other := other_separator(text, separator):
        advice += f", or say --item-columns separator={word_for(other)} if {other!r} divides rows"
    raise DataError(
        f"{file}:{row}: {clipped(repr(text))} has {width:,} fields divided by {separator!r}, not {len(header):,} "
        f"({listed([*header])}){others}; {advice}"
    )


def require_encoding(file: Path, encoding: str) -> None:
    """Raise DataError where a text is not in its encoding: which byte of which line, and what else it may be in."""
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
