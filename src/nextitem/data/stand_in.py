"""Events that stand in for data that are not here, of the size that was published."""

import polars as pl
import torch

from nextitem.data.description import Description
from nextitem.data.events import Events
from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog, Log
from nextitem.data.prepare import Prepared
from nextitem.data.sequences import Sequences
from nextitem.data.source import EventSettings, Source

_LEAST = 5  # events of a user in these datasets


def _numbers(count: int) -> Catalog:
    return Catalog(pl.int_range(count, eager=True))


def stand_in(description: Description, settings: EventSettings) -> Prepared:
    """Random events with a dataset's counts: as many users, items and events, lengths and popularity uneven.

    Lengths are 5 and a geometric excess, items follow Zipf's law; both are only of the right order.
    """
    draws = torch.Generator().manual_seed(0)
    users, excess = description.users, description.events - _LEAST * description.users
    shares = -torch.rand(users, generator=draws, dtype=torch.float64).clamp(min=1e-12).log()
    lengths_U = _LEAST + (shares / shares.sum() * excess).floor().long()
    lengths_U[: description.events - int(lengths_U.sum())] += 1  # what rounding left over
    popularity_N = (10 + torch.arange(description.items, dtype=torch.float64)).reciprocal().cumsum(0)
    points = torch.rand(description.events, generator=draws) * popularity_N[-1].float()
    items = torch.searchsorted(popularity_N.float(), points).clamp(max=description.items - 1)
    stops_U = lengths_U.cumsum(0)
    sequences = Sequences(Events(items, description.items), stops_U - lengths_U, stops_U, torch.arange(users))
    log = Log(sequences, _numbers(users), _numbers(description.items))
    note = f"{description.name} is not there: random events with its counts of users, items and events"
    source = Source.of(settings)
    return Prepared(source, log, source.split.split(sequences), ItemFeatures.none(log.items.ids), (note,))
