"""Which versions of a model lie at a place that a service was given: the run there, or else the runs in it."""

from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path

from pydantic import BaseModel

from nextitem.settings.given import is_address
from nextitem.storage import parsed
from nextitem.storage.lying import Lying, content_at, lying_at, state_of

_METRICS = "metrics.json"


@dataclass(frozen=True)
class Version:
    """A run as it lies there, of which nothing is proven yet."""

    place: Path | str
    """Its folder or address."""
    version: str
    """The first 12 digits of its manifest's sha256."""
    made: float
    """When it was learnt, by its own metrics.json, in unix seconds; infinite where that does not say so."""


class Versions:
    """The runs at a place, each time they are looked for. Of one thread."""

    def __init__(self, place: Path | str) -> None:
        """`place` is a path, or an address such as s3://bucket/shop."""
        self._place = str(place)
        self._made: dict[Lying, float | None] = {}
        self._refused: dict[Version, str] = {}

    def newest_first(self) -> list[Version]:
        """The run at the place alone, or else those in it: what was learnt last first, of equal times by name.

        What is no run is passed over, and what was refused is as long as none of its files is another one. Raises
        StorageError where the place cannot be looked at, and ConfigurationError for an address of an unknown kind.
        """
        found = [one for one in lying_at(self._place) if f'"{_METRICS}"'.encode() in one.manifest]
        self._made = {one: self._made.get(one) or _made(one) for one in found}
        versions = [Version(_place(one.place), one.version, self._made[one] or inf) for one in reversed(found)]
        return sorted((one for one in versions if not self._is_refused(one)), key=lambda one: -one.made)

    def state_of(self, version: Version) -> str:
        """Text that is another one as soon as a file of a version is. Raises as `newest_first`."""
        return state_of(str(version.place))

    def refuse(self, version: Version, state: str) -> None:
        """Pass this one over as long as that is its state."""
        self._refused[version] = state

    def _is_refused(self, version: Version) -> bool:
        return version in self._refused and self._refused[version] == self.state_of(version)


def newest_at(place: Path | str) -> Path | str:
    """Where the run lies that was learnt last of those at a place; the place itself where none is. Raises as
    `Versions.newest_first`.
    """
    versions = Versions(place).newest_first()
    return versions[0].place if versions else place


def _place(text: str) -> Path | str:
    return text if is_address(text) else Path(text)


class _Provenance(BaseModel):
    started: datetime


class _Metrics(BaseModel):
    provenance: _Provenance


def _made(run: Lying) -> float | None:
    """When a run was learnt; None where it does not say so, of which whoever loads it will be told."""
    content = content_at(run.place, _METRICS)
    try:
        return None if content is None else parsed(_Metrics, content).provenance.started.timestamp()
    except ValueError:
        return None
