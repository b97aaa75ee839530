"""users.parquet: what each user did, as a run keeps it and as whoever asks the model again finds it. U users."""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import torch
from polars.io.plugins import register_io_source
from torch import Tensor

from nextitem.data.dislikes import Dislikes
from nextitem.data.events import Events
from nextitem.data.log import Log
from nextitem.data.sequences import Sequences


def stored_users(log: Log, *, with_times: bool) -> pl.LazyFrame:
    """Per user in index order: `user` (raw id), whole `history` of item indices and, `with_times`, its `times`.

    Where users said no to items, these stand in `disliked`; where events weigh differently as targets, `weights` has
    what each weighs.

    Times are unix seconds, as exact as the log has them. Rows are made some at a time while they are written.
    """
    schema = pl.Schema({"user": log.users.ids.dtype, "history": pl.List(pl.Int64)})
    if log.sequences.events.dislikes is not None:
        schema["disliked"] = pl.List(pl.Int64)
    if log.sequences.has_weights:
        schema["weights"] = pl.List(pl.Float32)
    times = log.sequences.events.times
    if with_times and times is not None:
        schema["times"] = pl.List(pl.Float64 if times.is_floating_point() else pl.Int64)

    def frames(*_: object) -> Iterator[pl.DataFrame]:
        for part in log.sequences.parts():
            columns = {"user": log.users.raw(part.users_U), "history": part.tolist()}
            if (disliked := part.disliked()) is not None:
                columns["disliked"] = disliked.tolist()
            if part.has_weights:
                columns["weights"] = _each(part.weights(), part)
            if "times" in schema:
                columns["times"] = _each(part.times(), part)
            yield pl.DataFrame(columns, schema)

    return register_io_source(frames, schema=schema)


def histories_of(users: pl.DataFrame, number_of_items: int) -> Sequences:
    """The histories of users that were stored, in the order of the rows; with times and weights where it has them."""
    lengths_U = torch.from_numpy(users["history"].list.len().cast(pl.Int64).to_numpy(writable=True))
    times = _flat(users["times"]) if "times" in users.columns else None
    stops_U = lengths_U.cumsum(0)
    weights = _flat(users["weights"]) if "weights" in users.columns else None
    events = Events(_flat(users["history"]), number_of_items, times, weights=weights)
    if "disliked" in users.columns:
        counts_U = torch.from_numpy(users["disliked"].list.len().cast(pl.Int64).to_numpy(writable=True))
        offsets = torch.cat([counts_U.new_zeros(1), counts_U.cumsum(0)])
        events = replace(events, dislikes=Dislikes(_flat(users["disliked"]), offsets))
    return Sequences(events, stops_U - lengths_U, stops_U, torch.arange(len(lengths_U)))


def _each(flat: Tensor, histories: Sequences) -> list[list[float]]:
    """What there is of each event, history by history."""
    return [part.tolist() for part in flat.split(histories.lengths_U.tolist())]


def _flat(lists: pl.Series) -> Tensor:
    return torch.from_numpy(lists.explode(empty_as_null=False).to_numpy(writable=True))
