"""A log that is prepared in pieces, by whoever does them: as parquet by the contract, equal to what one process writes.

Files are dealt to partitions of users, partitions are put in order and filtered, and what is left is written. This
process adds up what the pieces tell, and reads the events once more, as numbers and in the order of all users: for the
fingerprints and notes, which do not depend on how many partitions there are. U users, E events.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from nextitem.compute.spread import Spread
from nextitem.data.filters import Filters
from nextitem.data.log import Catalog
from nextitem.data.mapped.arrays import growing, mapped
from nextitem.data.mapped.folder import EVENT_ITEMS, EVENT_TIMES, read_manifest, stored_features
from nextitem.data.mapped.manifest import Manifest
from nextitem.data.mapped.ordering import Ordered
from nextitem.data.mapped.partitioned import ITEMS, refuse_foreign
from nextitem.data.mapped.shards import Deal, Finish, Gather, Keep, Shard, Users
from nextitem.data.mapped.writing import Asked
from nextitem.data.reading.files import is_text, read_shard
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.time_checks import Seen
from nextitem.errors import DataError
from nextitem.storage import clear, make_folder, whole_folder, write_parquet

R = TypeVar("R")
_AT_ONCE = 1 << 22  # events in memory
_LOOKED_AT = 1_000  # events that tell what the times of a log are


def prepare_spread(folder: Path, source: str, parts: int, spread: Spread, overrides: Sequence[str] = ()) -> Manifest:
    """As `prepare_partitioned`, file by file and then partition by partition, as `spread` has it.

    Every process that does a piece sees the files and the folder. A partition has to fit into the memory of one, and
    the ids of all users and items into that of this one. Raises what `prepare_partitioned` raises.
    """
    refuse_foreign(overrides)
    asked = Asked.of(source, overrides)
    with whole_folder(folder) as draft:
        scratch = draft / "scratch"
        log = scratch / "log"
        make_folder(log)
        ordered = _ordered(asked, parts, spread, draft)
        asked.complete(log, ordered)
        manifest = read_manifest(log)
        write_parquet(draft / ITEMS, stored_features(log, ordered.items.ids).table)
        clear(scratch)
        scratch.rmdir()
    return manifest


def _ordered(asked: Asked, parts: int, spread: Spread, draft: Path) -> Ordered:
    """The events that are kept, by the contract in the draft, and as one log in its scratch."""
    scratch, filters, text = draft / "scratch", asked.settings.filters, is_text(asked.source, asked.columns)
    deal = Deal(scratch, asked.files, asked.columns, _seen(asked), parts, text)
    found = Shard.all_of(_each(spread, deal, len(asked.files)))
    asked.rejected.reasons.update(found.rejected or {})
    if found.has_likely and found.doubted is not None:
        raise DataError(found.doubted)
    if not found.events:
        raise DataError(f"{asked.source}: none of the files has an event; give one with at least one event")
    counts = _summed(_each(spread, Gather(scratch, found, text, filters), parts))
    clear(scratch / "dealt")
    counts = _core(counts, parts, spread, scratch, filters)
    if not counts.height:
        raise filters.refusal(found.events)
    items = Catalog.of(counts["item"])
    users = _each(spread, Finish(scratch, draft, items, found.are_whole), parts)
    return _merged(users, items, scratch, found)


def _seen(asked: Asked) -> Seen:
    """What the first times of the log are, which decides how all of them are read."""
    seen = Seen()
    for file in asked.files:
        for part in read_shard(file, asked.columns, seen, RejectedRows(), _LOOKED_AT):
            if len(part):
                return seen
    return seen


def _each(spread: Spread, work: Callable[[int], R], count: int) -> list[R]:
    """What the work makes of the numbers from 0 on, in their order."""
    found = dict(spread.over(work, range(count)))
    return [found[number] for number in range(count)]


def _summed(counts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """How often each item occurs, from the counts of partitions."""
    some = [one for one in counts if one.height]
    if not some:
        return pl.DataFrame(schema={"item": pl.Null, "count": pl.Int64})
    return pl.concat(some).group_by("item").agg(pl.col("count").sum())


def _core(counts: pl.DataFrame, parts: int, spread: Spread, scratch: Path, filters: Filters) -> pl.DataFrame:
    """The counts of items that are left by the minima, once or until nothing changes, items first."""
    if filters.minimum_per_user == filters.minimum_per_item == 1:
        return counts
    while True:
        kept = counts.filter(pl.col("count") >= filters.minimum_per_item)["item"]
        before = int(counts["count"].sum())
        counts = _summed(_each(spread, Keep(scratch, kept, filters.minimum_per_user), parts))
        if not filters.iterate or int(counts["count"].sum()) == before:
            return counts


def _merged(parts: Sequence[Users], items: Catalog, scratch: Path, found: Shard) -> Ordered:
    """The events of all partitions in the order of all users, in the files of one log."""
    some = [part for part in parts if len(part.ids)]
    table = pl.concat(
        pl.DataFrame({"user": part.ids, "length": part.lengths}).with_columns(
            part=pl.lit(part.number), start=pl.col("length").cum_sum() - pl.col("length")
        )
        for part in some
    ).sort("user")
    columns = {"items": (EVENT_ITEMS, ("<i4",))}
    if (scratch / "times").exists():
        columns["times"] = (EVENT_TIMES, ("<i8" if found.are_whole else "<f8",))
    for name, (file, kinds) in columns.items():
        of_parts = {
            part.number: mapped(scratch / name / f"{part.number}.npy", kinds, int(part.lengths.sum()))[0].numpy()
            for part in some
        }
        with growing(scratch / "log" / file, kinds[0]) as append:
            stops = table["length"].cum_sum()
            for (_,), users in table.group_by((stops - table["length"]) // _AT_ONCE, maintain_order=True):
                append(_in_order(users, of_parts))
    repeated, tied, doubled = (
        sum(column) for column in zip(*((p.repeated, p.tied, p.doubled) for p in some), strict=True)
    )
    lengths_U = table["length"].to_numpy(writable=True)
    return Ordered(Catalog(table["user"].alias("id")), items, lengths_U, found.events, repeated, tied, doubled)


def _in_order(users: pl.DataFrame, of_parts: Mapping[int, np.ndarray]) -> np.ndarray:
    """The values of the events of users, whose partitions have them each in a stretch."""
    lengths = users["length"].to_numpy()
    starts, part_of = lengths.cumsum() - lengths, users["part"].to_numpy()
    values = np.empty(int(lengths.sum()), next(iter(of_parts.values())).dtype)
    for number in np.unique(part_of).tolist():
        own = part_of == number
        first, counts = int(users["start"].to_numpy()[own][0]), lengths[own]
        total = int(counts.sum())
        places = np.repeat(starts[own] - (counts.cumsum() - counts), counts) + np.arange(total)
        values[places] = of_parts[number][first : first + total]
    return values
