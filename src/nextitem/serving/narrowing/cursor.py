"""Where the next page of a list begins: a text that says which items were shown, so that none of them is shown again.

By the time its next page is asked for a list may be another one: the history went on, or another model answers. So a
cursor does not count places but names what was shown, by 48 bits of a hash of each raw id: an item that was not shown
is taken for one that was with a chance of one in 10¹¹ at most. It is of bounded size, 8 characters an item and
`MOST_SHOWN` items: there a list ends.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from nextitem.errors import ConfigurationError
from nextitem.serving.ids import RawId
from nextitem.settings.given import told

MOST_SHOWN = 1_000
"""Items that a cursor remembers; whoever looked at as many is at the end of the list."""
_VERSION, _BYTES, _HEAD = 1, 6, 5


class Fingerprints:
    """Of every item of a catalogue the number by which cursors name it."""

    def __init__(self, items: Sequence[RawId]) -> None:
        found_N = np.fromiter(map(_fingerprint, items), dtype=np.int64, count=len(items))
        self._order_N = found_N.argsort(kind="stable")
        self._sorted_N = found_N[self._order_N]

    def places(self, shown: npt.NDArray[np.int64]) -> list[int]:
        """The indices of the items that were shown, as far as the catalogue has them."""
        starts, stops = (np.searchsorted(self._sorted_N, shown, side) for side in ("left", "right"))
        return [int(place) for start, stop in zip(starts, stops, strict=True) for place in self._order_N[start:stop]]


def cursor_of(before: npt.NDArray[np.int64], items: Iterable[RawId]) -> str | None:
    """The text after a page with these items, `before` which others were shown; None where it would be too long."""
    shown = [*before.tolist(), *map(_fingerprint, items)]
    if len(shown) > MOST_SHOWN:
        return None
    content = b"".join(one.to_bytes(_BYTES) for one in shown)
    return base64.urlsafe_b64encode(bytes([_VERSION]) + zlib.crc32(content).to_bytes(4) + content).decode().rstrip("=")


def shown_by(cursor: str | None) -> npt.NDArray[np.int64]:
    """The numbers of what was shown; none without a cursor. Raises ConfigurationError for a text that is no cursor."""
    if cursor is None:
        return np.empty(0, dtype=np.int64)
    content = _content(cursor)
    if content is None:
        raise ConfigurationError(
            f"cursor={told(cursor)} is none, or was cut off or altered on its way; give the cursor of an answer as it "
            f"is, or none for the first page"
        )
    return np.array(
        [int.from_bytes(content[place : place + _BYTES]) for place in range(0, len(content), _BYTES)], dtype=np.int64
    )


def _content(cursor: object) -> bytes | None:
    if not isinstance(cursor, str) or len(cursor) > (MOST_SHOWN * _BYTES + _HEAD + 2) // 3 * 4:
        return None
    try:
        found = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # the latter of letters beyond ASCII
        return None
    head, content = found[:_HEAD], found[_HEAD:]
    is_whole = head == bytes([_VERSION]) + zlib.crc32(content).to_bytes(4) and len(content) % _BYTES == 0
    return content if is_whole else None


def _fingerprint(raw: RawId) -> int:
    return int.from_bytes(hashlib.blake2b(str(raw).encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest())
