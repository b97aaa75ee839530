"""What routes have in common that store something: whether they can, and what refusals of the store are to a caller."""

from collections.abc import Iterator
from contextlib import contextmanager

from nextitem.errors import DataError, StorageError
from nextitem.serving.ids import RawId
from nextitem.serving.service.refusals import RefusedError
from nextitem.serving.service.service import Service
from nextitem.serving.store.events import IdTypes, KeyReusedError
from nextitem.serving.store.seam import Store
from nextitem.serving.store.writer import QueueFullError

OF_STORE = ("no_store", "over_capacity", "storage")
"""What may keep a request from being stored."""
_AGAIN = {"retry-after": "1"}


def store_of(service: Service) -> Store:
    """The store of the service. Raises RefusedError where it has none."""
    if service.events is None:
        raise RefusedError(
            "no_store", "the service was started without a database", "start it with --events FILE to store anything"
        )
    return service.events


@contextmanager
def as_refusals() -> Iterator[None]:
    """What the store refuses inside the block is a RefusedError with the code of the reason."""
    try:
        yield
    except QueueFullError as error:
        raise _refused("over_capacity", error) from error
    except StorageError as error:
        raise _refused("storage", error) from error
    except KeyReusedError as error:
        raise _refused("conflict", error) from error


def _refused(code: str, error: Exception) -> RefusedError:
    fact, _, remedy = str(error).rpartition("; ")
    return RefusedError(code, fact, remedy, None if code == "conflict" else _AGAIN)


def id_of(text: str, role: str, ids: IdTypes | None) -> RawId:
    """An id of a path, as the run has ids. Raises DataError for a text where they are whole numbers."""
    wanted = str if ids is None else ids.user if role == "user" else ids.item
    if wanted is str:
        return text
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{role} {text[:60]!r} is no whole number, and the ids of {role}s are; give one") from None
