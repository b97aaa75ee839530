"""What a line looks like: names of columns or an event, and divided at another separator than was expected."""

import re
from collections.abc import Sequence

from nextitem.data.reading.names import usual

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "colons": "::", "space": " "}
"""Words for what may divide a line into fields, which a shell would not always let through."""

_NUMBER_OR_DATE = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}.*")


def looks_like_data(fields: Sequence[str]) -> bool:
    """Whether a first line that should name columns has a number or a date among its fields.

    >>> looks_like_data(["2836", "2645"]), looks_like_data(["visitor", "sku"])
    (True, False)
    """
    return any(_NUMBER_OR_DATE.fullmatch(field.strip()) for field in fields)


def looks_like_names(user: str, item: str) -> bool:
    """Whether the first event of a file without a header rather is one.

    >>> looks_like_names("userId", "movieId"), looks_like_names("ann", "pen")
    (True, False)
    """
    return bool(usual("user", [user]) and usual("item", [item]))


def word_for(separator: str) -> str:
    """What `columns.separator` may be given for a separator."""
    return next((word for word, text in SEPARATORS.items() if text == separator), separator)


def advice_on(line: str, separator: str, header: Sequence[str]) -> str:
    """What to say behind a line that has not as many fields as the header: how it may have to be read.

    >>> advice_on("7 12 5 3", " ", ["user", "item"])
    ", or say columns.format=sequences if a line is a user and all of that user's items"
    >>> advice_on("user|item|time", "|", ["user", "item"])
    ', or say columns.header=yes if this row names columns'
    """
    other = other_separator(line, separator)
    fields = line.split(other or separator)
    named = "columns.header=yes if this row names columns" if usual("user", fields) and usual("item", fields) else ""
    if other is not None:
        divided = f", or say columns.separator={word_for(other)} if {other!r} divides rows"
        return f"{divided}, and {named}" if named else divided
    if named:
        return f", or say {named}"
    if list(header) == ["user", "item"] and line.count(separator) > 1:
        return ", or say columns.format=sequences if a line is a user and all of that user's items"
    return ""


def other_separator(line: str, expected: str) -> str | None:
    """The separator that a line has where it has none of the expected ones; None where it has none of the usual ones.

    >>> other_separator("user;item;time", ",")
    ';'
    """
    if expected in line:
        return None
    counts = {separator: line.count(separator) for separator in SEPARATORS.values() if separator != expected}
    best = max(counts, key=lambda separator: counts[separator])
    return best if counts[best] else None
