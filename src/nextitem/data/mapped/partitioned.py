"""A log as parquet that any engine can read, and could have written: the contract between them.

    events/part=0/0.parquet, …   columns user, item and, where they are known, time; all events of a user in one folder
    items.parquet                a row for each item: its raw id, and what else is known of it

Rows are in the order of user, time and, of equal times, place in the source. Such a folder of events is read like any
other files, by its path; what a file of events must be, and nothing else, is what an engine has to write.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.columns import NO_FEATURES
from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Log
from nextitem.data.mapped.folder import read_prepared, stored_features
from nextitem.data.mapped.manifest import Manifest
from nextitem.data.mapped.writing import prepare_into, settings_from
from nextitem.errors import ConfigurationError
from nextitem.storage import clear, make_folder, whole_folder, write_parquet

EVENTS, ITEMS = "events", "items.parquet"
_AT_ONCE = 1 << 22  # events of a file


def partition_of(user: object, parts: int) -> int:
    """Which of so many folders has a user's events: CRC-32 (ISO 3309) of the id as UTF-8 text, modulo their number.

    Readers do not rely on it: any function of the user will do.

    >>> partition_of("u1", 16), partition_of(7, 16)
    (6, 2)
    """
    return zlib.crc32(str(user).encode("utf-8", "surrogatepass")) % parts


def prepare_partitioned(folder: Path, source: str, parts: int, overrides: Sequence[str] = ()) -> Manifest:
    """Read, filter and order the events of files as `prepare_into` does, and write them by the contract.

    The manifest is that of the prepared log, with the fingerprints that reading the folder again gives. Raises as
    `prepare_into`, and ConfigurationError where kinds of events are given a meaning: written events are of one kind.
    """
    refuse_foreign(overrides)
    with whole_folder(folder) as draft:
        scratch = draft / "scratch"
        make_folder(scratch)
        manifest = prepare_into(scratch / "log", source, overrides)
        log, _, _ = read_prepared(scratch / "log", manifest.split)
        write_partitioned(draft, log, stored_features(scratch / "log", log.items.ids), parts)
        del log  # its files are mapped
        clear(scratch)
        scratch.rmdir()
    return manifest


def refuse_foreign(overrides: Sequence[str]) -> None:
    """Raise ConfigurationError for what a log in partitions has no place for: kinds of events, and a table of users."""
    settings = settings_from(overrides)
    if settings.user_features != NO_FEATURES:
        raise ConfigurationError(
            "a log in partitions has no table of users; leave out users or --parts, and name the table to "
            "`nextitem train`"
        )
    if settings.kinds:
        raise ConfigurationError(
            "kinds give events weights, and a log in partitions has none; leave out kinds or --parts"
        )


def write_partitioned(folder: Path, log: Log, features: ItemFeatures, parts: int) -> None:
    """Write the events of a log and its items into a folder, some events at a time. Raises OSError."""
    users = log.users.ids
    parts_U = np.fromiter((partition_of(user, parts) for user in users), dtype=np.int64, count=len(users))
    for part in range(parts):
        users_p = torch.from_numpy((parts_U == part).nonzero()[0])
        for number, some in enumerate(_some(users_p, log.sequences.sizes_U[users_p])):
            if not number:
                make_folder(folder / EVENTS / f"part={part}")
            write_parquet(folder / EVENTS / f"part={part}" / f"{number}.parquet", _events(log, some))
    write_parquet(folder / ITEMS, features.table)


def _some(users_p: Tensor, counts_p: Tensor) -> Iterator[Tensor]:
    """Users of a partition, in order, of whom about `_AT_ONCE` events are written together."""
    numbers_p = (counts_p.cumsum(0) - counts_p) // _AT_ONCE
    for some in users_p.split(torch.bincount(numbers_p).tolist()):
        if len(some):
            yield some


def _events(log: Log, users: Tensor) -> pl.DataFrame:
    views = log.sequences.select(users)
    rows, items = views.flatten()
    columns = {"user": log.users.ids.gather(users[rows].numpy()), "item": log.items.ids.gather(items.numpy())}
    if views.has_times:
        columns["time"] = pl.Series(views.times().numpy())
    return pl.DataFrame(columns)
