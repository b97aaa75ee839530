"""A log that was read, filtered, indexed and ordered once: a folder whose events are mapped into memory, not read.

    event_items.npy    item indices 0…N−1 of all users, user by user, oldest first: int32
    event_times.npy    unix seconds of these events, where the log has times: int64 if all are whole, else float64
    offsets.npy        U + 1 places in them: user u has offsets[u]:offsets[u + 1]
    train_counts.npy   how often each of the N items occurs in training
    users.parquet      the raw ids in index order, column `user`
    items.parquet      likewise, column `item`
    manifest.json      format, counts, settings, notes, fingerprints; bytes and sha256 of every other file

Anyone can open the arrays: `numpy.load(file, mmap_mode="r")`. The folder appears by one rename, whole or not at all.
"""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from nextitem.data.doctor import Counts, notes
from nextitem.data.events import Events
from nextitem.data.filters import Filters
from nextitem.data.log import Catalog, Log
from nextitem.data.mapped.arrays import mapped
from nextitem.data.mapped.ordering import Ordered
from nextitem.data.reading.columns import Columns, Found
from nextitem.data.reading.tables import table
from nextitem.data.sequences import Sequences
from nextitem.data.splits import AnySplit
from nextitem.data.splits.split import Split, SplitFacts
from nextitem.errors import ArtefactError
from nextitem.settings.given import expanded
from nextitem.storage import MANIFEST, Kind, Sealed, write_array, write_parquet
from nextitem.storage import Manifest as AnyManifest
from nextitem.storage.places import is_file

EVENT_ITEMS, EVENT_TIMES = "event_items.npy", "event_times.npy"
_OFFSETS, _TRAIN_COUNTS = "offsets.npy", "train_counts.npy"
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError)


class Manifest(AnyManifest):
    """What is known about a prepared log without reading its events."""

    source: tuple[str, ...]
    """The files that were read."""
    columns: Columns
    """As they were asked for."""
    columns_found: Columns | None = None
    """As they were found: with the name that each has in the files."""
    order: str = ""
    """By what the events of a user are in order, as a sentence; "" where an earlier version did not say."""
    filters: Filters
    split: AnySplit
    """What the training counts and the fingerprints of cases are of."""
    events: int
    users: int
    items: int
    events_read: int
    repeated_events: int
    tied_events: int
    log_sha256: str
    validation_sha256: str
    test_sha256: str
    notes: tuple[str, ...]
    """What was left out or is ambiguous, in words."""

    def notes_with(self, split: Split) -> tuple[str, ...]:
        """`notes`, where the log is split in this way."""
        counts = Counts(self.events_read, self.events, self.repeated_events, self.tied_events)
        return notes(self.order, counts, split.notes)


PREPARED = Kind("prepared log", 2, "`nextitem prepare` wrote", "prepare the log anew", Manifest)


def write_log(draft: Path, ordered: Ordered) -> Log:
    """Write everything but the manifest beside the events of a draft; the log, its events mapped."""
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), torch.from_numpy(ordered.lengths_U).cumsum(0)])
    write_array(draft / _OFFSETS, offsets.numpy())
    write_parquet(draft / "users.parquet", ordered.users.ids.alias("user").to_frame())
    write_parquet(draft / "items.parquet", ordered.items.ids.alias("item").to_frame())
    return Log(_sequences(draft, offsets, len(ordered.items)), ordered.users, ordered.items)


def write_manifest(draft: Path, log: Log, ordered: Ordered, parts: Split, found: Found, **known: Any) -> None:
    """Complete a draft by what reading all events tells about the log and its split."""
    counts = Counts(ordered.events_read, ordered.events, ordered.repeated_events, ordered.tied_events)
    write_array(draft / _TRAIN_COUNTS, parts.train.counts().numpy())
    PREPARED.seal(
        draft,
        events=int(log.sequences.stops_U[-1]),
        users=len(log.users),
        items=len(log.items),
        events_read=ordered.events_read,
        repeated_events=ordered.repeated_events,
        tied_events=ordered.tied_events,
        log_sha256=log.sha256(),
        validation_sha256=parts.validation.sha256,
        test_sha256=parts.test.sha256,
        columns_found=found.columns,
        order=found.note(),
        notes=notes(found.note(), counts, parts.notes),
        **known,
    )


def is_prepared(path: Path | str) -> bool:
    """Whether a path is a folder with a manifest. Raises StorageError where one may not look."""
    return is_file(expanded(path) / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest, every file of it having the right size.

    Raises ArtefactError for anything missing, foreign or of another length. Contents are not read, since a training
    should not wait for all events; `verify` reads them.
    """
    return _read(folder).manifest


def _read(folder: Path) -> Sealed[Manifest]:
    prepared = PREPARED.read(folder)
    for name, facts in prepared.manifest.files.items():
        try:
            size = (folder / name).stat().st_size
        except OSError as error:
            raise PREPARED.unreadable(folder, error) from error
        if size != facts.bytes:
            raise ArtefactError(f"{folder / name} has {size:,} bytes, not {facts.bytes:,}; {PREPARED.anew}")
    return prepared


def verify(folder: Path) -> Manifest:
    """The manifest, every file of it being the one that was written. Raises ArtefactError."""
    prepared = _read(folder)
    prepared.prove()
    return prepared.manifest


def read_prepared(folder: Path, split: AnySplit) -> tuple[Log, Split, Manifest]:
    """The log and its parts; memory holds what there is per user and item, not the events.

    All of them are read once where the folder was prepared for another split. Raises ArtefactError as `read_manifest`
    does.
    """
    manifest = read_manifest(folder)
    try:
        offsets, counts_N = (torch.from_numpy(np.load(folder / name)) for name in (_OFFSETS, _TRAIN_COUNTS))
        users = Catalog(table(folder / "users.parquet")["user"])
        items = Catalog(table(folder / "items.parquet")["item"])
        sequences = _sequences(folder, offsets, len(items))
    except (*_UNUSABLE, RuntimeError) as error:
        raise PREPARED.unreadable(folder, error) from error
    facts = SplitFacts(counts_N, manifest.validation_sha256, manifest.test_sha256)
    parts = split.split(sequences, facts if split == manifest.split else None)
    return Log(sequences, users, items, manifest.log_sha256), parts, manifest


def _sequences(folder: Path, offsets: Tensor, number_of_items: int) -> Sequences:
    items, mapping = mapped(folder / EVENT_ITEMS)
    times, mappings = None, [mapping]
    if (folder / EVENT_TIMES).exists():  # what is missing although it was written, the manifest tells
        times, mapping = mapped(folder / EVENT_TIMES)
        mappings.append(mapping)

    def release() -> None:
        for mapping in mappings:
            mapping.madvise(mmap.MADV_DONTNEED)

    events = Events(items, number_of_items, times, release)
    return Sequences(events, offsets[:-1], offsets[1:], torch.arange(len(offsets) - 1))
