"""What has to hold of what is read beside files of events: tables of items, and frames that a program gives."""

from pathlib import Path

import polars as pl
from fuzz_corpus import ITEM_ROWS

from nextitem.data.features.columns import FeatureColumns, Features
from nextitem.data.features.files import rows_of_file
from nextitem.data.features.joining import join
from nextitem.data.log import Catalog
from nextitem.data.reading.files import read_interactions
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import DataError

_KNOWN = Catalog(pl.Series([f"i{number:02}" for number in range(ITEM_ROWS)]))


def on_items(path: Path, *, is_whole: bool) -> str:
    """`read`, `refused`, or what is wrong: a table that is whole has a row for each item, and features for all."""
    if fault := _skipping(path):
        return f"wrong: {fault}"
    try:
        rows = rows_of_file(Features(file=str(path)))
        features = join(rows, _KNOWN, FeatureColumns()).features
    except DataError as error:
        if str(path) not in str(error):
            return f"wrong: the refusal names no file: {error}"
        return f"wrong: what came to no harm is refused: {error}" if is_whole else "refused"
    if is_whole and (rows.table.height != ITEM_ROWS or features.table.null_count().sum_horizontal()[0]):
        return f"wrong: of {ITEM_ROWS} items {rows.table.height} rows and {features.table.null_count().row(0)} missing"
    if features.table.height != len(_KNOWN):
        return f"wrong: {features.table.height} rows of features for {len(_KNOWN)} items"
    return "read"


def _skipping(path: Path) -> str:
    """What is wrong where rows that cannot be used are left out; "" where each of them is reported once.

    What is read without that is the same with it.
    """
    asked, rejected = FeatureColumns(on_bad_rows="skip"), RejectedRows()
    try:
        rows = rows_of_file(Features(file=str(path), columns=asked), rejected)
        features = join(rows, _KNOWN, asked).features
    except DataError as error:
        return "" if str(path) in str(error) else f"the refusal while skipping names no file: {error}"
    reported = rejected.table["row"]
    if reported.n_unique() < len(reported):
        return f"rows are reported twice: {reported.filter(reported.is_duplicated()).unique().to_list()[:5]}"
    try:
        strict = join(rows_of_file(Features(file=str(path))), _KNOWN, FeatureColumns()).features
    except DataError:
        return ""
    return "" if strict.table.equals(features.table) else "a table that is read is another one where rows are skipped"


def as_frame(path: Path, found: pl.DataFrame) -> str:
    """What is wrong where a program reads a parquet file and gives the frame; "" where that is the same as the file.

    A program reads every column, so that harm to one that the log does not need keeps it from having a frame at all.
    """
    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError:
        return ""
    try:
        given = read_interactions(frame).events
    except DataError as error:
        return f"read from the file, and refused as a frame: {error}"
    return "" if given.equals(found) else "another log as a frame than from the file"
