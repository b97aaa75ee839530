"""A log that was read, filtered, indexed and ordered once: a folder whose events are mapped into memory, not read.

    event_items.npy    item indices 0…N−1 of all users, user by user, oldest first: int32
    event_times.npy    unix seconds of these events, where the log has times: int64 if all are whole, else float64
    event_weights.npy  what these events weigh as targets, where not all weigh 1: float32
    disliked.npy       item indices that users said no to, where any did: int64, user by user, oldest first
    disliked_places.npy, disliked_offsets.npy   their places among the events, and U + 1 places in disliked.npy
    offsets.npy        U + 1 places in them: user u has offsets[u]:offsets[u + 1]
    train_counts.npy   how often each of the N items occurs in training
    users.parquet      the raw ids in index order, column `user`
    items.parquet      likewise, column `item`
    rejected.csv       rows that are no events, where some were left out: file, row, column, reason, content
    rejected_items.csv the same of the table of items
    features.parquet   what is known of the items in that order, where anything is
    user_features.parquet   what is known of the users in their order, where a table of them was named
    manifest.json      format, counts, settings, notes, fingerprints; bytes and sha256 of every other file

Anyone can open the arrays: `numpy.load(file, mmap_mode="r")`. The folder appears by one rename, whole or not at all.
"""

import mmap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import torch
from torch import Tensor

from nextitem.data.dislikes import Dislikes
from nextitem.data.events import Events
from nextitem.data.features.joining import Joined
from nextitem.data.features.table import FILE as FEATURES
from nextitem.data.features.table import OF_USERS, ItemFeatures, read_features
from nextitem.data.log import Catalog, Log
from nextitem.data.mapped.arrays import mapped, numbers
from nextitem.data.mapped.disliked import FILES as DISLIKED
from nextitem.data.mapped.disliked import read_dislikes, write_dislikes
from nextitem.data.mapped.manifest import PREPARED, Manifest, told
from nextitem.data.mapped.ordering import Ordered
from nextitem.data.notes import Counts, notes
from nextitem.data.oddities import notes_on_log
from nextitem.data.reading.columns import Found
from nextitem.data.reading.kinds import unread_kinds
from nextitem.data.reading.shards import note_on
from nextitem.data.reading.tables import table
from nextitem.data.sequences import Sequences
from nextitem.data.splits import AnySplit
from nextitem.data.splits.split import Split, SplitFacts
from nextitem.settings.given import expanded
from nextitem.storage import MANIFEST, Sealed, write_array, write_parquet
from nextitem.storage.places import is_folder, what_is_at

EVENT_ITEMS, EVENT_TIMES, EVENT_WEIGHTS = "event_items.npy", "event_times.npy", "event_weights.npy"
_OFFSETS, _TRAIN_COUNTS = "offsets.npy", "train_counts.npy"
_EVENTS: Mapping[str, tuple[str, ...]] = {EVENT_ITEMS: ("<i4",), EVENT_TIMES: ("<i8", "<f8"), EVENT_WEIGHTS: ("<f4",)}
_COMPARED_EVENTS = 1 << 28  # bytes of events that a start may take the time to compare: a third of a second
_UNUSABLE = (OSError, ValueError)
Content = TypeVar("Content")
Mapped = tuple[Tensor, mmap.mmap]


def write_log(draft: Path, ordered: Ordered, kinds: Mapping[str, float | str]) -> Log:
    """Write everything but the manifest beside the events of a draft; the log, its events mapped."""
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), torch.from_numpy(ordered.lengths_U).cumsum(0)])
    write_array(draft / _OFFSETS, offsets.numpy())
    write_parquet(draft / "users.parquet", ordered.users.ids.alias("user").to_frame())
    write_parquet(draft / "items.parquet", ordered.items.ids.alias("item").to_frame())
    there = {name: kinds for name, kinds in _EVENTS.items() if (draft / name).exists()}
    columns = {name: mapped(draft / name, kinds, ordered.events) for name, kinds in there.items()}
    dislikes = None if ordered.meant is None else ordered.meant.dislikes
    write_dislikes(draft, dislikes)
    sequences = _sequences(draft, columns, offsets, len(ordered.items))
    events = replace(sequences.events, kinds=kinds, dislikes=dislikes)
    return Log(replace(sequences, events=events), ordered.users, ordered.items)


@dataclass(frozen=True)
class Origin:
    """Where the events of a prepared log come from."""

    files: Sequence[str]
    found: Found
    """Which columns of them are used."""
    rejected: Mapping[str, int]
    """By reason, how many rows were left out."""
    items: Joined
    """What came of the table of items, where there is one."""
    users: Joined | None = None
    """What came of the table of users; None where none was named."""


def write_manifest(draft: Path, log: Log, ordered: Ordered, parts: Split, origin: Origin, **known: Any) -> None:
    """Complete a draft by what reading all events tells about the log and its split."""
    found, source, rejected, items = origin.found, origin.files, origin.rejected, origin.items
    user_notes = () if origin.users is None else origin.users.notes
    again, tied, doubled = ordered.repeated_events, ordered.tied_events, ordered.doubled_events
    counts = Counts(ordered.events_read, ordered.events, again, tied, doubled, rejected)
    odd = notes_on_log(log, time.time())
    write_array(draft / _TRAIN_COUNTS, parts.train.counts().numpy())
    dislikes = log.sequences.events.dislikes
    of_kinds = "".join(unread_kinds(found)) if ordered.meant is None else ordered.meant.note
    PREPARED.seal(
        draft,
        events=int(log.sequences.stops_U[-1]),
        users=len(log.users),
        items=len(log.items),
        events_read=ordered.events_read,
        repeated_events=again,
        tied_events=tied,
        doubled_events=doubled,
        rejected=dict(rejected),
        rejected_items=dict(items.rejected.reasons),
        log_sha256=log.sha256(),
        validation_sha256=parts.validation.sha256,
        test_sha256=parts.test.sha256,
        cuts=parts.cuts,
        columns_found=found.columns,
        order=found.note(),
        source=tuple(source),
        kinds_note=of_kinds,
        dislikes=0 if dislikes is None else len(dislikes),
        notes=(
            *told(of_kinds),
            *notes(found.note(), counts, parts.told),
            *odd,
            *note_on(source),
            *items.notes,
            *user_notes,
        ),
        odd=odd,
        item_notes=items.notes,
        user_notes=user_notes,
        **known,
    )


def is_prepared(path: Path | str) -> bool:
    """Whether a path is a folder that was prepared, damaged or not. Raises StorageError where one may not look."""
    folder = expanded(path)
    return is_folder(folder) and any(what_is_at(folder / name) is not None for name in (MANIFEST, EVENT_ITEMS))


def read_manifest(folder: Path) -> Manifest:
    """The manifest, every file of it having the right size.

    Raises ArtefactError for anything missing, foreign or of another length. Contents are not read; `read_prepared` and
    `verify` do that.
    """
    return _read(folder).manifest


def _read(folder: Path) -> Sealed[Manifest]:
    prepared = PREPARED.read(folder)
    for name in (EVENT_TIMES, EVENT_WEIGHTS):  # a log without times, or of one kind, has no such file
        if what_is_at(folder / name) is not None:
            prepared.named(name)
    for name in prepared.manifest.files:
        prepared.sized(name)
    return prepared


def verify(folder: Path) -> Manifest:
    """The manifest, every file of it being the one that was written, and one that could be. Raises ArtefactError.

    All events are read: they have to have the fingerprint of the log, and what is stored of their split.
    """
    prepared = _read(folder)
    prepared.prove()
    manifest = prepared.manifest
    log, _, _ = read_prepared(folder, manifest.split)
    stored_features(folder, log.items.ids)
    stored_user_features(folder, log.users.ids)
    if replace(log, known_sha256=None).sha256() != manifest.log_sha256:
        raise PREPARED.unreadable(folder, f"{MANIFEST}: log_sha256 is not that of the events")
    found = SplitFacts.of(manifest.split.split(log.sequences))
    if found.cuts != manifest.cuts:
        raise PREPARED.unreadable(folder, f"{MANIFEST}: cuts are not those of the events")
    if (found.validation_sha256, found.test_sha256) != (manifest.validation_sha256, manifest.test_sha256):
        raise PREPARED.unreadable(folder, f"{MANIFEST}: the fingerprints of cases are not those of the events")
    if not torch.equal(found.train_counts_N, _part(prepared, _TRAIN_COUNTS, partial(_counts, manifest=manifest))):
        raise PREPARED.unreadable(folder, f"{_TRAIN_COUNTS}: the events have other counts")
    return manifest


def read_prepared(folder: Path, split: AnySplit) -> tuple[Log, Split, Manifest]:
    """The log and its parts; memory holds what there is per user and item, not the events.

    All of them are read once where the folder was prepared for another split. Everything but the events is compared
    with the manifest, and so are events of up to 256 MB; of others what is read is known to be items, and `verify`
    tells the rest. Raises ArtefactError, as `read_manifest` does.
    """
    prepared = _read(folder)
    manifest, events = prepared.manifest, [name for name in _EVENTS if name in prepared.manifest.files]
    if sum(manifest.files[name].bytes for name in events) <= _COMPARED_EVENTS:
        prepared.prove(*events)
    offsets = _part(prepared, _OFFSETS, partial(_offsets, manifest=manifest))
    counts_N = _part(prepared, _TRAIN_COUNTS, partial(_counts, manifest=manifest))
    users = _part(prepared, "users.parquet", partial(_catalog, column="user", length=manifest.users))
    items = _part(prepared, "items.parquet", partial(_catalog, column="item", length=manifest.items))
    columns = {name: _map(prepared, name) for name in (EVENT_ITEMS, *events[1:])}
    sequences = _sequences(folder, columns, offsets, len(items))
    events_known = replace(sequences.events, kinds=manifest.kinds, dislikes=_dislikes(prepared))
    sequences = replace(sequences, events=events_known)
    facts = SplitFacts(counts_N, manifest.validation_sha256, manifest.test_sha256, manifest.cuts)
    parts = split.split(sequences, facts if split == manifest.split else None)
    return Log(sequences, users, items, manifest.log_sha256), parts, manifest


def stored_features(folder: Path, items: pl.Series) -> ItemFeatures:
    """What a prepared folder knows of its items, whose raw ids these are. Raises ArtefactError."""
    prepared = PREPARED.read(folder)
    if what_is_at(folder / FEATURES) is None and FEATURES not in prepared.manifest.files:
        return ItemFeatures.none(items)
    return _part(prepared, FEATURES, partial(read_features, ids=items))


def stored_user_features(folder: Path, users: pl.Series) -> ItemFeatures | None:
    """What a prepared folder knows of its users, whose raw ids these are; None: nothing. Raises ArtefactError."""
    prepared = PREPARED.read(folder)
    if what_is_at(folder / OF_USERS) is None and OF_USERS not in prepared.manifest.files:
        return None
    return _part(prepared, OF_USERS, partial(read_features, ids=users, of="user"))


def _part(prepared: Sealed[Manifest], name: str, read: Callable[[Path], Content]) -> Content:
    """What is read of a file that was compared with the manifest. Raises ArtefactError where it cannot be."""
    file = prepared.file(name)
    try:
        return read(file)
    except _UNUSABLE as error:
        raise PREPARED.unreadable(prepared.folder, f"{name}: {error}") from error


def _map(prepared: Sealed[Manifest], name: str) -> Mapped:
    """A column of the events. Raises ArtefactError where it is none."""
    try:
        return mapped(prepared.sized(name), _EVENTS[name], prepared.manifest.events)
    except _UNUSABLE as error:
        raise PREPARED.unreadable(prepared.folder, f"{name}: {error}") from error


def _dislikes(prepared: Sealed[Manifest]) -> Dislikes | None:
    count, *sizes = (getattr(prepared.manifest, name) for name in ("dislikes", "users", "items", "events"))
    if not count:
        return None
    for name in DISLIKED[1:]:
        prepared.file(name)
    return _part(prepared, DISLIKED[0], lambda file: read_dislikes(file, count, *sizes))


def _offsets(file: Path, manifest: Manifest) -> Tensor:
    offsets = numbers(file, "<i8", manifest.users + 1)
    if int(offsets[0]) != 0 or int(offsets[-1]) != manifest.events or bool((offsets[1:] < offsets[:-1]).any()):
        raise ValueError(f"it should ascend from 0 to {manifest.events:,} events")
    return offsets


def _counts(file: Path, manifest: Manifest) -> Tensor:
    counts_N = numbers(file, "<i8", manifest.items)
    # Each by itself as well: the sum of very large ones begins again below zero.
    if bool(((counts_N < 0) | (counts_N > manifest.events)).any()) or int(counts_N.sum()) > manifest.events:
        raise ValueError(f"it should count some of {manifest.events:,} events")
    return counts_N


def _catalog(file: Path, column: str, length: int) -> Catalog:
    ids = table(file)
    if ids.columns != [column] or ids.height != length:
        raise ValueError(
            f"it has {ids.height:,} rows of {', '.join(ids.columns)}, and should have {length:,} of {column}"
        )
    return Catalog.stored(ids[column])


def _sequences(folder: Path, columns: Mapping[str, Mapped], offsets: Tensor, number_of_items: int) -> Sequences:
    def release() -> None:
        for _, mapping in columns.values():
            mapping.madvise(mmap.MADV_DONTNEED)

    items, times, weights = (columns[name][0] if name in columns else None for name in _EVENTS)
    if items is None:
        raise ValueError(f"{EVENT_ITEMS} is not among the columns")
    events = Events(items, number_of_items, times, release, str(folder), weights)
    return Sequences(events, offsets[:-1], offsets[1:], torch.arange(len(offsets) - 1))
