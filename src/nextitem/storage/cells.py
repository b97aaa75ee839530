"""Cells of csv that a spreadsheet would run as formulas: written with an apostrophe in front, and read without it.

What begins with `=`, `+`, `-`, `@`, a tab or a carriage return is such a cell, unless it is a number. A cell in which
apostrophes stand before one of these has one more, so that the apostrophe that is taken away is always the one that
was put there.
"""

import polars as pl

_FORMULA = r"^'*[=+\-@\t\r]"
_GUARDED = r"^'+[=+\-@\t\r]"
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def guarded(frame: pl.DataFrame) -> pl.DataFrame:
    """A table whose texts no spreadsheet runs; numbers, and texts that are some, are as they were.

    >>> guarded(pl.DataFrame({"title": ["=1+1", "-5", "plain", "'=x"]}))["title"].to_list()
    ["'=1+1", '-5', 'plain', "''=x"]
    """
    text = pl.col(pl.String)
    is_formula = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return frame.with_columns(pl.when(is_formula).then("'" + text).otherwise(text).name.keep())


def unguarded(texts: pl.Series) -> pl.Series:
    """Texts of a file that was written `guarded`, as they were before.

    >>> unguarded(pl.Series(["'=1+1", "-5", "plain", "''=x"])).to_list()
    ['=1+1', '-5', 'plain', "'=x"]
    """
    column = pl.lit(texts)
    return pl.select(
        pl.when(column.str.contains(_GUARDED)).then(column.str.slice(1)).otherwise(column).alias(texts.name)
    ).to_series()
