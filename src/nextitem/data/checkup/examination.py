"""What a log holds and what a training would use of it, before anything is made of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nextitem.data.checkup import finding
from nextitem.data.checkup.bots import Bots
from nextitem.data.checkup.finding import Finding, Numbers
from nextitem.data.checkup.held_out import HeldOut, Hiding, compared, held_out
from nextitem.data.checkup.leak import Leak
from nextitem.data.checkup.lengths import Lengths
from nextitem.data.checkup.minima import Minima
from nextitem.data.checkup.popularity import Popularity
from nextitem.data.checkup.repeats import Repeats
from nextitem.data.checkup.size import Size
from nextitem.data.checkup.ties import Ties, tied_ends
from nextitem.data.checkup.times import Activity, Times
from nextitem.data.checkup.windows import Windows
from nextitem.data.features.files import rows_asked_for
from nextitem.data.log import Log, index
from nextitem.data.notes import Counts, notes
from nextitem.data.prepare import GivenEvents, data_of_given, is_mapped, joined, load_events, mapped
from nextitem.data.reading.columns import Columns, Found
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.source import EventSettings, Source
from nextitem.data.splits import LeaveOneOut
from nextitem.data.splits.split import Split


@dataclass(frozen=True)
class Examination:
    """What was found in the events that the filters keep; `None` where a log has nothing to tell of it."""

    source: Source
    columns: Mapping[str, str] | None
    """Role -> name of the column in the file, and what else was said or found; None for a dataset by name."""
    not_read: tuple[str, ...]
    """The other columns of the file."""
    rejected: RejectedRows
    """Rows that were left out, where columns.on_bad_rows=skip."""
    rejected_items: RejectedRows
    """The same of the table of items."""
    notes: tuple[str, ...]
    size: Size
    lengths: Lengths
    repeats: Repeats
    times: Times | None
    ties: Ties | None
    bots: Bots
    popularity: Popularity
    minima: Minima
    splits: tuple[HeldOut, ...]
    """What each split would hold; the first is the one that was asked for."""
    windows: Windows | None
    """Of that split's training part."""
    leak: Leak | None
    """Under leave-one-out."""

    @property
    def described_columns(self) -> str:
        """Which columns of the file are used, and which are not."""
        if self.columns is None:
            return "its own"
        named = ", ".join(f"{key} {name!r}" for key, name in self.columns.items())
        return named + (f"; not read: {', '.join(self.not_read)}" if self.not_read else "")

    @property
    def findings(self) -> dict[str, Finding]:
        """Each by its name, in the order in which they are read; those that the log has."""
        numbers: dict[str, Numbers | None] = {
            "events": self.size,
            "lengths": self.lengths,
            "minima": self.minima,
            "repeats": self.repeats,
            "times": self.times,
            "activity": None if self.times is None else Activity(self.times),
            "ties": self.ties,
            "bots": self.bots,
            "popularity": self.popularity,
            **{one.split: one for one in self.splits},
            "leak": self.leak,
            "windows": self.windows,
        }
        found = {name: one.finding for name, one in numbers.items() if one is not None}
        if self.times is None:
            found["times"] = Finding("none: the order of rows is taken for time")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain values: every number, with what it says."""
        parts = ("size", "lengths", "minima", "repeats", "times", "ties", "bots", "popularity", "leak", "windows")
        numbers = {name: getattr(self, name) for name in parts}
        return {
            "data": self.source.data,
            "columns": self.columns,
            "not_read": list(self.not_read),
            "rejected": dict(self.rejected.reasons),
            "rejected_items": dict(self.rejected_items.reasons),
            "notes": list(self.notes),
            **{name: None if one is None else finding.as_dict(one) for name, one in numbers.items()},
            "splits": [finding.as_dict(one) for one in self.splits],
        }


@dataclass(frozen=True)
class Examined:
    """What was found, and the events that it was found in."""

    found: Examination
    log: Log
    split: Split | None
    """As it was asked for; None where it refuses the log."""


def examine(settings: EventSettings, *, events: GivenEvents | None = None, hiding: Hiding | None = None) -> Examined:
    """What is in a file, a dataset or a prepared folder, and what filters and splits make of it.

    Given `events` are taken in place of the settings' data, as by `prepare`. `hiding` is what may not be recommended
    again: all of a history, where nobody says. Raises what reading raises, and DataError
    where the filters leave nothing; that nothing can be held out is a finding, and no error.
    """
    source = Source.of(settings)
    if events is not None:
        source = replace(source, data=data_of_given(source.data))
    read = _mapped(source) if events is None and is_mapped(source) else _in_memory(source, events)
    log, histories = read.log, read.log.sequences
    hidden = hiding or Hiding()
    asked, split = held_out(source.split, histories, hidden)
    others = {one: held_out(one, histories, hidden) for one in compared(histories) if one != source.split}
    _, by_user = (asked, split) if source.split == LeaveOneOut() else others[LeaveOneOut()]
    repeats = Repeats.of(histories, None if hiding is None else hiding.word)
    splits = (asked, *(one for one, _ in others.values()))
    found = Examination(
        source=source,
        columns=None if read.columns is None else read.columns.said,
        not_read=read.not_read,
        rejected=read.rejected,
        rejected_items=read.rejected_items,
        notes=(*read.notes, *notes(read.order, read.counts, () if split is None else split.notes)),
        size=Size(
            read.counts.read, read.counts.kept, len(log.users), len(log.items), repeats.events - repeats.repeated
        ),
        lengths=Lengths.of(histories),
        repeats=repeats,
        times=Times.of(histories, time.time()) if histories.has_times else None,
        ties=read.ties,
        bots=Bots.of(log),
        popularity=Popularity.of(histories.counts()),
        minima=Minima.of(histories),
        splits=splits,
        windows=None if split is None else Windows.of(split.train),
        leak=None if by_user is None else Leak.of(by_user, can_be_avoided=any(one.is_by_time for one in splits)),
    )
    return Examined(found, log, split)


@dataclass(frozen=True)
class _Read:
    """A log as it was read, with what is known of it beside."""

    log: Log
    counts: Counts
    ties: Ties | None
    order: str
    rejected: RejectedRows
    rejected_items: RejectedRows
    columns: Columns | None = None
    not_read: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Beside those that all logs have."""


def _in_memory(source: Source, events: GivenEvents | None) -> _Read:
    rows, loaded = rows_asked_for(source.features, of_events=source.columns), load_events(source, events)
    kept = source.filters.apply(loaded.events)
    log, tied = index(kept, source.kinds, loaded.disliked), kept.tied_events
    again, doubled = kept.repeated_events, kept.doubled_events
    counts = Counts(len(loaded.events), len(kept), again, tied, doubled, loaded.rejected.reasons)
    ties = Ties(len(kept), len(log.users), tied, kept.users_with_tied_end) if log.sequences.has_times else None
    columns = None if loaded.found is None else loaded.found.columns
    known, not_read = None if rows is None else joined(log, source, rows, columns), _not_read(loaded.found)
    of_items, on_items = (RejectedRows(), ()) if known is None else (known.rejected, known.notes)
    said = (*loaded.notes, *on_items)
    return _Read(log, counts, ties, loaded.order, loaded.rejected, of_items, columns, not_read, said)


def _mapped(source: Source) -> _Read:
    log, _, manifest = mapped(source)
    counts = manifest.counts
    ties = None
    if log.sequences.has_times:
        ties = Ties(manifest.events, manifest.users, manifest.tied_events, tied_ends(log.sequences))
    rejected, of_items = RejectedRows(manifest.rejected), RejectedRows(manifest.rejected_items)
    said = (*manifest.odd, *manifest.item_notes)
    return _Read(log, counts, ties, manifest.order, rejected, of_items, manifest.columns_found, notes=said)


def _not_read(found: Found | None) -> tuple[str, ...]:
    if found is None:
        return ()
    return tuple(name for name in found.header if name not in found.columns.roles.values())
