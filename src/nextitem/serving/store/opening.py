"""The store at a place: a file of this machine, or an address of a server that services share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nextitem.errors import ConfigurationError
from nextitem.serving.store.events import IdTypes, Rules
from nextitem.serving.store.seam import Store
from nextitem.serving.store.store import EventStore
from nextitem.serving.store.untold import Untold, untold
from nextitem.settings.given import is_address

if TYPE_CHECKING:
    from nextitem.serving.store.postgres import PostgresStore  # of the extra postgres

_SCHEMES = ("postgresql://", "postgres://")


def open_store(place: str, *, kinds: Mapping[str, float | str] | None = None, ids: IdTypes | None = None) -> Store:
    """The store at a place, made where there is none; raises as `EventStore.open` and `PostgresStore.open` do.

    Raises ConfigurationError for a server of another kind, and where the package for servers is missing.
    """
    if not is_address(place):
        return EventStore.open(Path(place), kinds=kinds, ids=ids)
    return _on_server(place).open(place, kinds=kinds, ids=ids)


def untold_at(place: str, holds: Mapping[str, int], rules: Rules, made: float) -> Untold:
    """What the store at a place has beyond what a run holds of it, as `untold`; raises as that and `open_store`."""
    if not is_address(place):
        return untold(Path(place), holds, rules, made)
    with _on_server(place).open(place) as store:
        return store.untold(holds, rules, made)


def _on_server(place: str) -> "type[PostgresStore]":
    if not place.startswith(_SCHEMES):
        scheme = place.partition(":")[0]
        raise ConfigurationError(f"--events {scheme}://…: events are kept in a file, or by postgresql://…; give either")
    try:
        from nextitem.serving.store.postgres import PostgresStore
    except ImportError as error:
        raise ConfigurationError(
            f"--events postgresql://… needs a package that is not installed ({error}); run: pip install "
            f"'nextitem[postgres]'"
        ) from error
    return PostgresStore
