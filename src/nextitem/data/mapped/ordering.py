"""Events of any number -> files of item indices and times, ordered by user and time, in bounded memory.

Ids are numbered as they come and the numbers spilled to disk; once all ids are known, the events are dealt out to
stretches of the catalogue of users, each small enough to be sorted in memory. U users, N items, E events, P stretches.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from nextitem.data.filters import Filters, Keep, deduplicate
from nextitem.data.interactions import Interactions
from nextitem.data.log import NO_EVENTS, Catalog
from nextitem.data.mapped.arrays import growing
from nextitem.data.mapped.dealt import Dealt
from nextitem.data.mapped.kinds import KindNumbers, Meant, carry_out_kinds
from nextitem.data.mapped.numbering import Numbering
from nextitem.data.mapped.store import Arrays, Store
from nextitem.data.mapped.threads import by_threads, one_ahead
from nextitem.data.reading.checks import EventPart
from nextitem.errors import DataError

_AT_ONCE = 1 << 22  # events in memory for a thread: of a stretch, and of what is dealt out


@dataclass(frozen=True)
class Ordered:
    """The events that were kept, in the order of users and times; their items and times are in files."""

    users: Catalog
    items: Catalog
    lengths_U: NDArray[np.int64]
    events_read: int
    repeated_events: int
    tied_events: int
    doubled_events: int
    meant: Meant | None = None
    """What became of kinds of events, where there are any."""

    @property
    def events(self) -> int:
        """How many events were kept."""
        return int(self.lengths_U.sum())


def order_events(
    parts: Iterable[EventPart],
    filters: Filters,
    files: Mapping[str, Path],
    *,
    is_text: bool,
    kinds: Mapping[str, float | str] | None = None,
) -> Ordered:
    """Write the items of all users, oldest first, as int32, and the times if there are any; the rest is returned.

    `files` are those of `item`, `time` and `weight`, float32, which there is where `kinds` give events other weights
    than 1. The outcome is that of `interpret`, `deduplicate`, `k_core` and `index` on the same events: times are int64
    where all that were read are whole, else float64. Scratch files appear beside the others and go. Raises DataError
    where nothing is left, and what reading `parts` raises.
    """
    users, items = Numbering("user", is_text=is_text), Numbering("item", is_text=is_text)
    of_kinds = KindNumbers()
    spill, kind_of_times = _spill(parts, users, items, of_kinds, files["item"].parent)
    (user_catalog, user_ranks), (item_catalog, item_ranks) = users.catalog(), items.catalog()
    counts_U = np.empty_like(users.counts)
    counts_U[user_ranks] = users.counts
    del users, items  # all strings a second time
    dealt = _deal(spill, counts_U, user_ranks, item_ranks)
    spill.remove()
    is_user_U, is_item_N = np.ones(len(user_catalog), dtype=bool), np.ones(len(item_catalog), dtype=bool)
    meant = None
    if kinds:
        meant = carry_out_kinds(dealt, of_kinds, kinds)
        is_item_N &= _counts(dealt, "item", is_user_U, is_item_N) > 0
        is_user_U &= _counts(dealt, "user", is_user_U, is_item_N) > 0
        kind_of_times = "<i8" if kind_of_times and meant.has_whole_times else kind_of_times
    events_read = int(dealt.counts_P.sum())
    _filter(dealt, is_user_U, is_item_N, filters)
    types = {"item": "<i4", "time": kind_of_times, "weight": "<f4" if meant and meant.has_weights else ""}
    with ExitStack() as written:
        targets = {role: written.enter_context(growing(files[role], kind)) for role, kind in types.items() if kind}
        lengths_U, repeated, tied, doubled = _write_in_order(dealt, is_user_U, is_item_N, targets)
    if meant is not None:
        meant = meant.placed(dealt, is_user_U, is_item_N, lengths_U)
    dealt.store.remove()
    kept_users = Catalog(user_catalog.ids.filter(pl.Series(is_user_U)))
    kept_items = Catalog(item_catalog.ids.filter(pl.Series(is_item_N)))
    return Ordered(kept_users, kept_items, lengths_U[is_user_U], events_read, repeated, tied, doubled, meant)


def _spill(
    parts: Iterable[EventPart], users: Numbering, items: Numbering, of_kinds: KindNumbers, folder: Path
) -> tuple[Store, str]:
    """The events in file order, ids as the numbers of their first appearance; and the type of times, "" without any."""
    store: Store | None = None
    kind_of_times = ""
    # Columns know nothing of each other, and the next part is read while these are numbered; each column in order.
    with ThreadPoolExecutor(1) as of_users, ThreadPoolExecutor(1) as of_items:
        submitted = (
            (part, of_users.submit(users.numbers, part.user), of_items.submit(items.numbers, part.item))
            for part in parts
        )
        for part, user, item in one_ahead(submitted):
            columns: Arrays = {"user": user.result(), "item": item.result()}
            if (time := part.time) is not None:
                # Exact: whole seconds of the years 1 to 9999 are far below 2⁵³. Zero has one sign: bits are sorted.
                columns["time"] = time.cast(pl.Float64).to_numpy() + 0.0
                kind_of_times = "<i8" if time.dtype.is_integer() and kind_of_times != "<f8" else "<f8"
            if part.kind is not None:
                columns["kind"] = of_kinds.numbers(part.kind)
            store = store or Store(folder, "spilled", columns)
            if part.nanoseconds is not None and "nanoseconds" not in store.files:
                store.add("nanoseconds")
            if "nanoseconds" in store.files:
                columns["nanoseconds"] = _or_zeros(part.nanoseconds, len(part))
            if store.files.keys() != columns.keys():
                raise DataError("one file has times and another has none; give all files a time column, or none")
            store.write(columns, store.length)
    if store is None:
        raise DataError("there are no events; give at least one file")
    return store, kind_of_times


def _or_zeros(nanoseconds: pl.Series | None, length: int) -> NDArray[np.int64]:
    return np.zeros(length, dtype=np.int64) if nanoseconds is None else nanoseconds.to_numpy()


def _deal(
    spill: Store, counts_U: NDArray[np.int64], user_ranks: NDArray[np.int32], item_ranks: NDArray[np.int32]
) -> Dealt:
    """Ids as catalogue indices, and every event in the stretch of its user."""
    stretch_U = ((counts_U.cumsum() - counts_U) // _AT_ONCE).astype(np.uint16)  # a user is never divided
    stretch_of_number = stretch_U[user_ranks]
    counts_P = np.bincount(stretch_U, weights=counts_U).astype(np.int64)
    starts_P = counts_P.cumsum() - counts_P
    store, filled_P = Store(spill.files["user"].parent, "dealt", spill.files), starts_P.copy()

    def dealt(start: int) -> tuple[Arrays, NDArray[np.int64]]:
        """Some events, those of a stretch side by side, and where each stretch ends."""
        columns = spill.read(start, _AT_ONCE)
        stretches = stretch_of_number[columns["user"]]
        columns["user"], columns["item"] = user_ranks[columns["user"]], item_ranks[columns["item"]]
        order = stretches.argsort(kind="stable")
        ends_P = np.bincount(stretches, minlength=len(counts_P)).cumsum()
        return {role: column[order] for role, column in columns.items()}, ends_P

    for columns, ends_P in by_threads(dealt, range(0, spill.length, _AT_ONCE)):
        for number, (begin, end) in enumerate(zip([0, *ends_P[:-1].tolist()], ends_P.tolist(), strict=True)):
            if end > begin:
                store.write({role: column[begin:end] for role, column in columns.items()}, int(filled_P[number]))
                filled_P[number] += end - begin
    return Dealt(store, starts_P, counts_P)


def _deduplicated(columns: Arrays, keep: Keep) -> Arrays:
    kept = deduplicate(Interactions(pl.DataFrame(columns)), keep).events
    return {role: kept[role].to_numpy() for role in columns}


def _filter(dealt: Dealt, is_user_U: NDArray[np.bool_], is_item_N: NDArray[np.bool_], filters: Filters) -> None:
    """Leave out repeats, and mark, in place, the users and items that are kept. Raises DataError where none is."""
    events = int(dealt.counts_P.sum())
    if filters.repeats != "all":
        dealt.rewrite(lambda columns: _deduplicated(columns, filters.repeats))
    if filters.minimum_per_user > 1 or filters.minimum_per_item > 1:
        _core(dealt, is_user_U, is_item_N, filters)
    if not is_user_U.any() or not is_item_N.any():
        raise filters.refusal(events) if events else DataError(NO_EVENTS)


def _core(dealt: Dealt, is_user_U: NDArray[np.bool_], is_item_N: NDArray[np.bool_], filters: Filters) -> None:
    """Mark, in place, the users and items that `k_core` keeps."""
    kept = int(dealt.counts_P.sum())
    while True:
        is_item_N &= _counts(dealt, "item", is_user_U, is_item_N) >= filters.minimum_per_item
        counts_U = _counts(dealt, "user", is_user_U, is_item_N)
        is_user_U &= counts_U >= filters.minimum_per_user
        before, kept = kept, int(counts_U[is_user_U].sum())
        if not filters.iterate or kept == before:
            break
    # After a single pass some may have no event left.
    is_item_N &= _counts(dealt, "item", is_user_U, is_item_N) > 0
    is_user_U &= _counts(dealt, "user", is_user_U, is_item_N) > 0


def _counts(dealt: Dealt, role: str, is_user_U: NDArray[np.bool_], is_item_N: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many events each user or item has among those whose user and item are kept."""
    length = len(is_user_U if role == "user" else is_item_N)
    counts = np.zeros(length, dtype=np.int64)
    for stretch in dealt.stretches(("user", "item")):
        columns = stretch()
        is_kept = is_user_U[columns["user"]] & is_item_N[columns["item"]]
        counts += np.bincount(columns[role][is_kept], minlength=length)
    return counts


def _write_in_order(
    dealt: Dealt,
    is_user_U: NDArray[np.bool_],
    is_item_N: NDArray[np.bool_],
    targets: Mapping[str, Callable[[NDArray[Any]], None]],
) -> tuple[NDArray[np.int64], int, int, int]:
    """(events of each user; how many repeat an item of theirs, tie in time, are there twice); `targets` get columns."""
    index_N = (is_item_N.cumsum() - 1).astype(np.int32)
    lengths_U, found = np.zeros(len(is_user_U), dtype=np.int64), np.zeros(3, dtype=np.int64)
    everything = bool(is_user_U.all() and is_item_N.all())

    def in_order(stretch: Callable[[], Arrays]) -> tuple[Arrays, NDArray[np.int64], tuple[int, int, int]]:
        """(what goes to the targets, events of each user, (repeated, tied, there twice)) of a stretch."""
        columns = stretch()
        if not everything:
            is_kept = is_user_U[columns["user"]] & is_item_N[columns["item"]]
            columns = {role: column[is_kept] for role, column in columns.items()}
        pairs = columns["user"].astype(np.int64) * len(index_N) + columns["item"]
        order, is_tied = _order(columns)
        repeated = len(pairs) - pl.Series(pairs).n_unique()
        doubled = _doubled(columns, order[is_tied]) if repeated else 0
        counts = np.bincount(columns["user"])
        columns["item"] = index_N[columns["item"]]
        ordered = {role: columns[role][order] for role in targets}
        return ordered, counts, (repeated, int(is_tied.sum()), doubled)

    for ordered, counts, of_stretch in by_threads(in_order, dealt.stretches()):
        for role, append in targets.items():
            append(ordered[role])
        lengths_U[: len(counts)] += counts
        found += of_stretch
    repeated, tied, doubled = found.tolist()
    return lengths_U, repeated, tied, doubled


def _doubled(columns: Arrays, tied: NDArray[np.int64]) -> int:
    """How many of the tied events are there beside the first of their user, item and time."""
    keys = {role: columns[role][tied] for role in ("user", "item", "time", "nanoseconds") if role in columns}
    return len(tied) - pl.DataFrame(keys).n_unique()


def _order(columns: Arrays) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The order by user, time and place in the file, and which in this order are tied events."""
    users = torch.from_numpy(columns["user"])
    if "time" not in columns:
        return users.sort(stable=True).indices.numpy(), np.zeros(len(users), dtype=bool)
    bits = torch.from_numpy(columns["time"].view(np.int64))
    # Integers sort four times as fast. The bits of positive floats are in order, those of negative ones reversed.
    keys = [users, bits.where(bits >= 0, bits ^ torch.iinfo(torch.int64).max)]
    keys += [torch.from_numpy(columns["nanoseconds"])] if "nanoseconds" in columns else []
    order = keys[-1].sort(stable=True).indices
    for key in reversed(keys[:-1]):
        order = order[key[order].sort(stable=True).indices]
    ordered = [key[order] for key in keys]
    is_same = torch.stack([key[1:] == key[:-1] for key in ordered]).all(dim=0).numpy()
    is_tied = np.zeros(len(order), dtype=bool)
    is_tied[1:] |= is_same
    is_tied[:-1] |= is_same
    return order.numpy(), is_tied
