"""A log in pieces that know nothing of each other: first its files, then the partitions that its users are dealt to.

Each piece of work reads files and writes others, every one of them by a rename, and gives the same when it is done
again; so whoever does it may die. What has to be known of the whole log travels in between: whether ids are numbers and
times are whole, how often each item occurs, which ids there are.

    dealt/<partition>/<file>-<number>.arrow   events of some users as they stand in a file, with user, item, time
    kept/<partition>.arrow                    the same in the order of user, time and place in the source, filtered
    items/<partition>.npy, times/…            of those that are left, the indices of items, and the times
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.data.filters import Filters, deduplicate
from nextitem.data.interactions import Interactions
from nextitem.data.log import Catalog
from nextitem.data.mapped.arrays import growing
from nextitem.data.mapped.partitioned import EVENTS, partition_of
from nextitem.data.reading.checks import EventPart, integers_if_canonical
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_shard
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.time_checks import Seen
from nextitem.storage import make_folder, refusals, whole_file, write_arrow, write_parquet

_AT_ONCE = 1 << 22  # events in memory while a file is read, and of a file that is written


@dataclass(frozen=True)
class Shard:
    """What a file of the log holds."""

    events: int = 0
    are_numbers: tuple[bool, bool] = (True, True)
    """Whether every id of a user, and of an item, is a whole number in canonical form."""
    are_whole: bool = True
    """Whether all times are whole seconds."""
    rejected: Mapping[str, int] | None = None
    """Rows that were left out, by reason."""
    has_likely: bool = False
    doubted: str | None = None
    """Of its times, as `Seen` has it."""

    @classmethod
    def all_of(cls, shards: Iterable["Shard"]) -> "Shard":
        """What all of them hold."""
        found, rejected = [*shards], Counter[str]()
        for one in found:
            rejected.update(one.rejected or {})
        users, items = (all(one.are_numbers[place] for one in found) for place in range(2))
        return cls(
            sum(one.events for one in found),
            (users, items),
            all(one.are_whole for one in found),
            rejected,
            any(one.has_likely for one in found),
            next((one.doubted for one in found if one.doubted is not None), None),
        )


@dataclass(frozen=True)
class Deal:
    """The events of a file, dealt to partitions of users."""

    folder: Path
    files: tuple[Path, ...]
    columns: Columns
    seen: Seen
    """Of the times of the log, before any file."""
    parts: int
    is_text: bool

    def __call__(self, number: int) -> Shard:
        """What the file of this number holds, its events being dealt. Raises as `read_parts`, and StorageError."""
        rejected, found, seen = RejectedRows(), list[Shard](), Seen(**vars(self.seen))
        events = read_shard(self.files[number], self.columns, seen, rejected, _AT_ONCE)
        with refusals(self.folder):
            for piece, part in enumerate(events):
                self._write(part, f"{number:06}-{piece:06}.arrow")
                found.append(self._told(part))
                rejected.drain()
        of_times = Shard(rejected=rejected.reasons, has_likely=seen.has_likely, doubted=seen.doubted)
        return Shard.all_of([*found, of_times])

    def _write(self, part: EventPart, name: str) -> None:
        columns = {"user": part.user, "item": part.item}
        if part.time is not None:
            columns["time"] = part.time.cast(pl.Float64) + 0.0  # exact below 2⁵³; zero has one sign
        if part.nanoseconds is not None:
            columns["nanoseconds"] = part.nanoseconds
        frame, users = pl.DataFrame(columns), part.user.unique().alias("user")
        dealt = [partition_of(user, self.parts) for user in users]
        by_user = pl.DataFrame({"user": users, "part": dealt}, schema_overrides={"part": pl.Int64})
        frame = frame.join(by_user, on="user", how="left", maintain_order="left")
        for (number,), some in frame.partition_by("part", as_dict=True, include_key=False).items():
            folder = self.folder / "dealt" / str(number)
            make_folder(folder)
            with whole_file(folder / name) as draft:
                write_arrow(draft, some)

    def _told(self, part: EventPart) -> Shard:
        are_numbers = [
            not self.is_text or ids.dtype != pl.String or _are_numbers(ids) for ids in (part.user, part.item)
        ]
        are_whole = part.time is None or part.time.dtype.is_integer()
        return Shard(len(part), (are_numbers[0], are_numbers[1]), are_whole)


@dataclass(frozen=True)
class Gather:
    """The events of a partition from all files, in order, and without what the filters say of repeats."""

    folder: Path
    found: Shard
    is_text: bool
    filters: Filters

    def __call__(self, number: int) -> pl.DataFrame:
        """How often each item occurs in the partition of this number: `item` and `count`. Raises StorageError."""
        with refusals(self.folder):
            files = sorted((self.folder / "dealt" / str(number)).glob("*.arrow"))
            if not files:
                return _counted(None)
            events = pl.concat([pl.read_ipc(file) for file in files], how="diagonal")
            if "nanoseconds" in events.columns:
                events = events.with_columns(pl.col("nanoseconds").fill_null(0))
            if self.is_text:
                numbers = [
                    role for role, is_one in zip(("user", "item"), self.found.are_numbers, strict=True) if is_one
                ]
                events = events.with_columns(pl.col(numbers).cast(pl.Int64))
            kept = deduplicate(Interactions(events), self.filters.repeats).in_time_order()
            return _written(self.folder, number, kept)


@dataclass(frozen=True)
class Keep:
    """One pass of the minima over a partition: events of kept items, and then of users with enough of them."""

    folder: Path
    items: pl.Series
    minimum_per_user: int

    def __call__(self, number: int) -> pl.DataFrame:
        """How often each item is left, as `Gather` tells it. Raises StorageError."""
        with refusals(self.folder):
            file = _kept(self.folder, number)
            if not file.exists():
                return _counted(None)
            events = pl.read_ipc(file).filter(pl.col("item").is_in(self.items.implode()))
            return _written(self.folder, number, events.filter(pl.len().over("user") >= self.minimum_per_user))


@dataclass(frozen=True)
class Users:
    """The users of a partition in order, the events of each, and what is to be known of them all."""

    number: int
    ids: pl.Series
    lengths: pl.Series
    repeated: int = 0
    tied: int = 0
    doubled: int = 0


@dataclass(frozen=True)
class Finish:
    """A partition by the contract, and its events as numbers of the catalogue."""

    folder: Path
    out: Path
    items: Catalog
    are_whole: bool

    def __call__(self, number: int) -> Users:
        """Its users. Raises StorageError."""
        with refusals(self.folder):
            file = _kept(self.folder, number)
            events = pl.read_ipc(file) if file.exists() else None
            if events is None or not events.height:
                return Users(number, pl.Series([], dtype=pl.Null), pl.Series([], dtype=pl.Int64))
            log = Interactions(events)
            lengths = events["user"].rle().struct.field("len").cast(pl.Int64)
            users = events["user"].gather(lengths.cum_sum() - lengths)
            indices = self.items.lookup(events["item"]).numpy()
            events = events.drop("nanoseconds", strict=False)
            if "time" in events.columns:
                events = events.with_columns(pl.col("time").cast(pl.Int64 if self.are_whole else pl.Float64))
                self._append("times", number, events["time"], "<i8" if self.are_whole else "<f8")
            self._append("items", number, pl.Series(indices), "<i4")
            self._write(number, events, lengths)
            return Users(number, users, lengths, log.repeated_events, log.tied_events, log.doubled_events)

    def _append(self, name: str, number: int, values: pl.Series, kind: str) -> None:
        make_folder(self.folder / name)
        with whole_file(self.folder / name / f"{number}.npy") as draft, growing(draft, kind) as append:
            append(values.to_numpy())

    def _write(self, number: int, events: pl.DataFrame, lengths: pl.Series) -> None:
        """The events as parquet, all of a user in one file."""
        folder = self.out / EVENTS / f"part={number}"
        make_folder(folder)
        stops = lengths.cum_sum()
        of_file = (
            pl.DataFrame({"file": (stops - lengths) // _AT_ONCE, "stop": stops}).group_by("file").max().sort("file")
        )
        start = 0
        for place, stop in enumerate(of_file["stop"].to_list()):
            with whole_file(folder / f"{place}.parquet") as draft:
                write_parquet(draft, events[start:stop])
            start = stop


def _are_numbers(ids: pl.Series) -> bool:
    return integers_if_canonical(ids).dtype != pl.String


def _kept(folder: Path, number: int) -> Path:
    return folder / "kept" / f"{number}.arrow"


def _written(folder: Path, number: int, events: pl.DataFrame) -> pl.DataFrame:
    """Write the events of a partition, in place of earlier ones; how often each item occurs in them."""
    make_folder(folder / "kept")
    with whole_file(_kept(folder, number)) as draft:
        write_arrow(draft, events)
    return _counted(events)


def _counted(events: pl.DataFrame | None) -> pl.DataFrame:
    if events is None:
        return pl.DataFrame(schema={"item": pl.Null, "count": pl.Int64})
    return events.group_by("item").agg(pl.len().cast(pl.Int64).alias("count"))
