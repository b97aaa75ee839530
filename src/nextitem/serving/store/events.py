"""Events as a service is told them: what one is, what must hold of it, and which of a user's still stand."""

import hashlib
import hmac
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nextitem.data.kinds import OTHERS, RETRACTION, retracted_by
from nextitem.errors import DataError
from nextitem.serving.ids import RawId
from nextitem.settings.suggestion import suggest

_LATEST = 253_402_300_799  # the end of the year 9999: milliseconds are beyond it
_TYPES = {str: "texts", int: "whole numbers"}


class StoredEvent(NamedTuple):
    """An event of a user with an item, or what takes one back."""

    user: RawId
    item: RawId
    time: float | None = None
    """When it happened, in unix seconds; None, before it is stored: when it arrives."""
    kind: str | None = None
    """One of the run's kinds; where these events have none: None, or `RETRACTION`."""


@dataclass(frozen=True)
class Receipt:
    """What became of a request of events; they are on disk."""

    accepted: int
    """How many events it held."""
    is_repeat: bool = False
    """Whether a request of this key and content was stored before, and this one for that reason was not."""


class KeyReusedError(DataError):
    """An idempotency key came back with other events than before."""


@dataclass(frozen=True)
class IdTypes:
    """What the ids of a run are: text, or whole numbers."""

    user: type[str] | type[int]
    item: type[str] | type[int]


@dataclass(frozen=True)
class Rules:
    """What must hold of an event before it is stored, by the run that is served."""

    kinds: Mapping[str, float | str]
    """What the kinds of the run's events mean; empty where they have none."""
    ids: IdTypes | None = None
    """None: whatever the first event has."""

    def check(self, events: Sequence[StoredEvent]) -> None:
        """Raise DataError, naming event and field, for the first event that cannot be stored."""
        for place, event in enumerate(events, 1):
            for role, raw in (("user", event.user), ("item", event.item)):
                self.check_id(role, raw, f"event {place}")
            self._check_time(event.time, place)
            self._check_kind(event.kind, place)

    def check_id(self, role: str, raw: object, where: str) -> None:
        """Raise DataError for what is no id, and for one that is not of the run's type."""
        is_number = isinstance(raw, int) and not isinstance(raw, bool)
        if not (isinstance(raw, str) or is_number):
            raise DataError(f"{where}: {role} {raw!r} is no id; ids are texts and whole numbers")
        if isinstance(raw, int) and not -(2**63) <= raw < 2**63:
            raise DataError(f"{where}: {role} {raw} is beyond 64 bits; give ids of that size as texts")
        if isinstance(raw, str) and not (raw and _is_storable(raw)):
            raise DataError(f"{where}: {role} {raw!r} is empty, or no text that UTF-8 can hold; give the id")
        if self.ids is not None:
            wanted = self.ids.user if role == "user" else self.ids.item
            if not isinstance(raw, wanted):
                other, kind = (f"{raw}", "a text") if isinstance(raw, str) else (f'"{raw}"', "a number")
                ids = f"the ids of {role}s are {_TYPES[wanted]}"
                raise DataError(f"{where}: {role} {raw!r} is {kind}, and {ids}; send such as {other}")

    def _check_time(self, time: float | None, place: int) -> None:
        if time is None:
            return
        if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
            raise DataError(f"event {place}: time {time!r} is no number; times are unix seconds")
        if abs(time) > _LATEST:
            raise DataError(f"event {place}: time {time} is after the year 9999; give seconds, not milliseconds")

    def _check_kind(self, kind: str | None, place: int) -> None:
        if not self.kinds:
            if kind not in (None, RETRACTION):
                raise DataError(
                    f"event {place}: kind {kind!r}, and the run learnt from events without kinds; leave it out, or say "
                    f"{RETRACTION!r} to take the user's latest event with this item back"
                )
        elif kind is None:
            raise DataError(f"event {place} has no kind, and the run's events have: {', '.join(self.kinds)}")
        elif kind not in self.kinds and OTHERS not in self.kinds:
            raise DataError(f"event {place}: kind {kind!r}: {suggest(kind, self.kinds)}")
        elif not _is_storable(kind):
            raise DataError(f"event {place}: kind {kind!r} is no text that UTF-8 can hold")

    def taken_by(self, kind: str | None) -> str | None:
        """The kind that one of this kind takes back, "" for any; None where it takes nothing back."""
        if not self.kinds:
            return "" if kind == RETRACTION else None
        return retracted_by(self.kinds.get(kind or "", self.kinds.get(OTHERS, "ignored")))


def _is_storable(text: str) -> bool:
    """Whether a text has UTF-8 and no NUL, which SQLite would take for its end."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def fingerprint(events: Sequence[StoredEvent]) -> bytes:
    """What tells the content of a request from that of another one, 32 bytes."""
    return hashlib.sha256(json.dumps([*map(list, events)]).encode()).digest()


def proofs(events: Sequence[StoredEvent], key: str) -> tuple[bytes, bytes]:
    """(what tells a request of this key from another one, 32 bytes; the same as databases before kept it).

    Nobody without the key can find out by it what the events were.
    """
    content = fingerprint(events)
    return hmac.digest(key.encode("utf-8", "surrogatepass"), content, "sha256"), content


def standing(events: Sequence[StoredEvent], rules: Rules) -> list[int]:
    """Which events of one user stand, by their places, in order: not what was taken back, nor what takes back.

    As `nextitem.data.kinds` carries retractions out: each takes the latest earlier event of its item and kind back, and
    one that finds none changes nothing.
    """
    takes = {kind: rules.taken_by(kind) for kind in {event.kind for event in events}}
    if all(taken is None for taken in takes.values()):
        return [*range(len(events))]
    left, gone = dict[RawId, list[int]](), set[int]()
    for place, event in enumerate(events):
        wanted, open_ones = takes[event.kind], left.setdefault(event.item, [])
        if wanted is None:
            if rules.kinds.get(event.kind or "", rules.kinds.get(OTHERS)) != "ignored":
                open_ones.append(place)
            continue
        gone.add(place)
        found = next((n for n in reversed(open_ones) if wanted in ("", events[n].kind)), None)
        if found is not None:
            open_ones.remove(found)
            gone.add(found)
    return [place for place in range(len(events)) if place not in gone]
