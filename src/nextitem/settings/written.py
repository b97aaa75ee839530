"""Trees of settings as text: TOML is read, JSON is written."""

import datetime
import json
import re
import tomllib
from collections.abc import Mapping

from pydantic_core import to_json

from nextitem.errors import ConfigurationError

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHORT_NUMBER = re.compile(r"[+-]?(\d+\.|\.\d+)([eE][+-]?\d+)?")


def load_toml(text: str, where: str) -> dict[str, object]:
    """The tree that `text` holds, dates as ISO text. Raises ConfigurationError naming `where`, line and column."""
    try:
        return {key: without_dates(value) for key, value in read_toml(text).items()}
    except RecursionError:
        raise ConfigurationError(f"{where}: lists or tables are nested too deeply") from None
    except ValueError as error:
        fact, place = str(error), where
        if found := re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", fact, re.DOTALL):
            fact = found[1]
            place = f"{where}:{found[2]}:{found[3]}" if found[2] else f"{where}:{len(text.splitlines())}"
        raise ConfigurationError(f"{place}: this is not TOML: {fact}") from None


def read_toml(text: str) -> dict[str, object]:
    """As tomllib. Raises ValueError, also where tomllib would exhaust the stack."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("lists or tables are nested too deeply") from None


def one_value(typed: str) -> object:
    """The one TOML value in `typed`, dates as typed; .5 and 1. are numbers as well. Raises ValueError without one.

    >>> one_value("[1, 2]"), one_value(".5")
    ([1, 2], 0.5)
    """
    if _SHORT_NUMBER.fullmatch(typed):  # not TOML, but how people and other tools write it
        return float(typed)
    tree = read_toml(f"x = {typed}")
    if tree.keys() != {"x"}:
        raise ValueError("more than one value")
    return typed if isinstance(tree["x"], datetime.date | datetime.time) else without_dates(tree["x"])


def without_dates(value: object) -> object:
    """A value read from TOML, each date or time in it as ISO text, since JSON has none."""
    if isinstance(value, dict):
        return {key: without_dates(below) for key, below in value.items()}
    if isinstance(value, list):
        return [without_dates(element) for element in value]
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def joined(key: str, word: str) -> str:
    """The dotted key of what is called `word` in the table at `key`; the word in quotes, as in TOML, unless it is bare.

    >>> joined("kinds", "view"), joined("kinds", "add to cart")
    ('kinds.view', 'kinds."add to cart"')
    """
    written = word if _BARE.fullmatch(word) else json.dumps(word, ensure_ascii=False)
    return f"{key}.{written}" if key else written


def as_toml(value: object) -> str:
    """A value as one line of TOML, tables in braces; None is the word for it.

    >>> as_toml([{"seed": 1, "patience": None, "add to cart": True}])
    '[{seed = 1, patience = "none", "add to cart" = true}]'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{joined('', str(key))} = {as_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(as_toml(one) for one in value)}]"
    return '"none"' if value is None else json.dumps(value, ensure_ascii=False)


def as_json(value: object) -> bytes:
    """A value as JSON; infinity and NaN by their names, which JSON has no numbers for."""
    return to_json(value, inf_nan_mode="constants")
