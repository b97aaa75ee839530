"""Bodies as JSON, and nothing that merely resembles it."""

import json
from typing import Any, NoReturn

from nextitem.serving.service.refusals import RefusedError

_REMEDY = "send one JSON value as RFC 8259 has it, in UTF-8"


def parsed(content: bytes) -> Any:
    """The value of a body.

    Raises RefusedError for what is no JSON: among it NaN and Infinity, a key that an object has twice, numbers of
    thousands of digits, and nesting that no request here has.
    """
    try:
        return json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise _bad(f"the body is not UTF-8: byte {error.start:,} is 0x{content[error.start]:02x}") from None
    except json.JSONDecodeError as error:
        raise _bad(f"{error.msg} at line {error.lineno}, column {error.colno} of the body") from None
    except RecursionError:
        raise _bad("the body is nested too deeply") from None
    except ValueError:  # an integer of more digits than Python reads
        raise _bad("a number of the body has thousands of digits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _bad(f"an object has the key {twice[:60]!r} twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise _bad(f"{word} is no number in JSON")


def _bad(fact: str) -> RefusedError:
    return RefusedError("bad_json", fact, _REMEDY)
