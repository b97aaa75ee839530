"""A file from a server that may drop, truncate, lie and be slow: tried again, gone on with, verified, then there.

What has come of a file is kept beside its place where the network failed or the process ended, and the next attempt
goes on with it; what turned out to be other content than the published is deleted.
"""

import http.client
import logging
import os
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nextitem.data.acquisition.fingerprint import difference
from nextitem.data.acquisition.receiving import Partial, TooMuchError, receive
from nextitem.data.description import Description
from nextitem.errors import ConfigurationError, DataError, StorageError
from nextitem.settings.given import expanded
from nextitem.storage import alone_in, clear, make_folder, publish
from nextitem.words import amount

_log = logging.getLogger(__name__)
_ATTEMPTS = 4  # in a row that bring nothing
_PAUSE = 1.0  # seconds before the second attempt, twice as many before each further one
_LONGEST_PAUSE = 60.0  # seconds, also where a server asks for more
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that another attempt may not get
_TOLD_EVERY = 5.0  # seconds


def download(description: Description, folder: Path, timeout: float) -> Path:
    """The file that a dataset's address sends, in a folder; what another process brings meanwhile is waited for.

    Raises StorageError where it cannot be had, DataError where it is not the published one, ConfigurationError for a
    mirror that is none.
    """
    name = description.archive or description.file
    file, address = folder / name, _address(description, name)
    size = "" if description.size is None else f"{description.size:,} bytes, "
    names = name if description.archive else f"{name} or {name}.gz"
    by_hand = (
        f"try again, or put its content ({size}git blob {description.git_blob}) as {names} into the folder that "
        f"NEXTITEM_DATA names"
    )
    _log.info("downloading %s (%sgit blob %s) to %s", address, size, description.git_blob, file)
    try:
        make_folder(folder)
        with _alone_at(file) as partial:
            if not file.exists():  # another process may have brought it meanwhile
                _bring(address, description, partial, timeout)
                publish(partial.content, [file])
                clear(partial.folder)
    except urllib.error.HTTPError as error:
        error.close()
        raise StorageError(f"{address} answers {error.code} {error.reason}; {by_hand}") from error
    except urllib.error.URLError as error:
        raise StorageError(f"{address} cannot be reached ({error.reason}); {by_hand}") from error
    except (OSError, http.client.HTTPException) as error:
        raise StorageError(f"{address} could not be downloaded to {file} ({error}); {by_hand}") from error
    except (DataError, StorageError) as error:
        raise type(error)(f"{error}; {by_hand}") from error
    return file


def _address(description: Description, name: str) -> str:
    """Where the file is fetched: from the mirror that NEXTITEM_MIRROR names, else from where it is published."""
    mirror = os.environ.get("NEXTITEM_MIRROR")
    if not mirror:
        return description.address
    if mirror.startswith(("http://", "https://")):
        return f"{mirror.rstrip('/')}/{name}"
    file = expanded(mirror).absolute() / name
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"NEXTITEM_MIRROR={mirror} is neither a folder nor an http(s) address; correct it or unset the variable"
        )
    return file.as_uri()


def _bring(address: str, description: Description, partial: Partial, timeout: float) -> None:
    """The whole content, verified; what is other content than the published is deleted. Raises as `_received`."""
    for is_last in (False, True):
        had = partial.size
        try:
            size = _received(address, description, partial, timeout)
            with partial.content.open("rb") as content:
                fault = difference(content, description, description.size or size)
        except TooMuchError:
            fault = f"it has more than the expected {description.size or partial.size:,} bytes"
        if not fault:
            return
        clear(partial.folder)
        if is_last or not had:
            raise DataError(f"{address} did not send the published {description.name}: {fault}")
        _log.info("what was gone on with is not the published file (%s): once more from its beginning", fault)


def _received(address: str, description: Description, partial: Partial, timeout: float) -> int | None:
    """Attempts until one ends well; the size that was announced. Raises what the last one raised."""
    told, failed = _teller(description.name), 0
    while True:
        had = partial.size
        try:
            return receive(address, partial, description.size, timeout, told)
        except (OSError, http.client.HTTPException) as error:
            failed = 1 if partial.size > had else failed + 1
            if failed >= _ATTEMPTS or not _is_passing(error):
                raise
            pause = _pause(error, failed)
            _log.info("%s (%s): again in %.0f s, with %s there", address, error, pause, amount(partial.size))
        time.sleep(pause)


def _is_passing(error: Exception) -> bool:
    """Whether another attempt may not meet the same."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _PASSING
    # What this machine refuses has the name of a file: a full disk is full in a second too.
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return not (isinstance(reason, OSError) and reason.filename is not None)


def _pause(error: Exception, failed: int) -> float:
    """Seconds to wait: what the server asks for, or more each time."""
    asked = error.headers.get("Retry-After", "") if isinstance(error, urllib.error.HTTPError) else ""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
    return min(float(asked) if asked.isdigit() else _PAUSE * 2.0 ** (failed - 1), _LONGEST_PAUSE)


def _teller(name: str) -> Callable[[int, int | None], None]:
    last = time.monotonic()

    def tell(size: int, whole: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= _TOLD_EVERY:
            last = time.monotonic()
            _log.info("%s: %s%s", name, amount(size), "" if whole is None else f" of {amount(whole)}")

    return tell


@contextmanager
def _alone_at(file: Path) -> Iterator[Partial]:
    """What has come of a file, held against other processes, which are waited for."""
    place, is_told = file.with_name(f".{file.name}.part"), False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(alone_in(place, "downloads the same"))
                break
            except ConfigurationError as error:
                if not is_told:
                    _log.info("%s: waiting for it", str(error).partition(";")[0])
                is_told = True
            time.sleep(_PAUSE)
        yield Partial(place)
