"""One exchange with a server: what of a file it still has to send, appended to what is there.

Nothing that a server says is trusted: how much it sends is counted, where it begins is compared, and whoever asked
compares the whole with the published fingerprint.
"""

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nextitem.storage import extended, write_text

_SLOWEST = 1000  # bytes a second: what sends less for as long as one waits for content has stalled
_AT_ONCE = 1 << 16
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class StalledError(OSError):
    """A server that sends, and so slowly that it would take forever."""


class CutOffError(OSError):
    """A server that sent less than it had announced."""


class TooMuchError(Exception):
    """More came than the file has."""


@dataclass(frozen=True)
class Partial:
    """What has come of a file so far: its content, and by which mark its server knows it."""

    folder: Path

    @property
    def content(self) -> Path:
        """The bytes that have come, from the first."""
        return self.folder / "content"

    @property
    def size(self) -> int:
        """How many bytes have come."""
        return self.content.stat().st_size if self.content.exists() else 0

    def start(self, address: str, mark: str) -> None:
        """Forget what has come; what comes now is of this address, and is known there by this mark, "" for none."""
        self.content.unlink(missing_ok=True)
        write_text(self.folder / "origin.json", json.dumps({"address": address, "mark": mark}))

    def mark(self, address: str) -> str | None:
        """The mark of what has come of an address; None where nothing has, or it is of another address."""
        try:
            origin = json.loads((self.folder / "origin.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # as a kill left it: what has come cannot be gone on with
            return None
        is_known = isinstance(origin, dict) and origin.get("address") == address and self.content.exists()
        return str(origin.get("mark", "")) if is_known else None


def receive(
    address: str, partial: Partial, most: int | None, timeout: float, told: Callable[[int, int | None], None]
) -> int | None:
    """Append what is missing; the size that the server announced for the whole, None where it announced none.

    What came before is gone on with where the server has the same file still, and forgotten where it has not.
    `most` is the size of the file, where that is known; `told` hears how much of how much has come.
    Raises OSError and http.client.HTTPException for a failure that another attempt may not meet, `TooMuchError` where
    more than `most` or than what was announced comes.
    """
    mark = partial.mark(address)
    have = 0 if mark is None else partial.size
    request = urllib.request.Request(address, headers={"User-Agent": "nextitem"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    if have and mark:
        request.add_header("If-Range", mark)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if not have or error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        if error.headers.get("Content-Range", "") == f"bytes */{have}":
            return have  # nothing was missing but the name
        partial.content.unlink()
        raise CutOffError("has another file now than the one that was begun") from error
    with closing(response):
        whole = _announced(response)
        if not (have and _goes_on(response, have)):
            partial.start(address, _mark_of(response.headers))
        most = whole if most is None else most
        _append(response, partial, most, timeout, told)
    if whole is not None and partial.size < whole:
        raise CutOffError(f"was cut off after {partial.size:,} of {whole:,} bytes")
    return whole


def _goes_on(response: Any, have: int) -> bool:
    """Whether the server sends what follows on what has come, and says so."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return response.status == http.client.PARTIAL_CONTENT and found is not None and int(found[1]) == have


def _mark_of(headers: Any) -> str:
    """By what the server knows this very content again: a strong tag, or a date; "" where it says neither."""
    tag, date = headers.get("ETag", ""), headers.get("Last-Modified", "")
    return str(tag if tag.startswith('"') else date)


def _announced(response: Any) -> int | None:
    """The size of the whole file by what the server says."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == http.client.PARTIAL_CONTENT:
        return int(found[2]) if found is not None and found[2] != "*" else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _append(
    response: Any, partial: Partial, most: int | None, timeout: float, told: Callable[[int, int | None], None]
) -> None:
    since, received = time.monotonic(), 0
    size = partial.size
    with extended(partial.content) as sink:
        while chunk := response.read1(_AT_ONCE):
            sink.write(chunk)
            size, received = size + len(chunk), received + len(chunk)
            if most is not None and size > most:
                raise TooMuchError
            told(size, most)
            passed = time.monotonic() - since
            if passed > timeout:
                if received < _SLOWEST * passed:
                    raise StalledError(f"sends {received / passed:,.0f} bytes a second")
                since, received = time.monotonic(), 0
