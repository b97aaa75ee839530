"""The histories that benchmarks train on: the published files where NEXTITEM_DATA names them, otherwise random ones."""

import os

import numpy as np
import torch

from nextitem.data.events import Events
from nextitem.data.prepare import prepare
from nextitem.data.sequences import Sequences
from nextitem.experiment.presets import load_recipe

# users, items, shortest and mean training history (leave-one-out takes two events of each user)
SHAPES = {
    "beauty": (40_226, 54_542, 3, 6.8),
    "ml-1m": (6_040, 3_416, 16, 163.5),
    "50k": (20_000, 50_000, 3, 6.8),
    "5m": (20_000, 5_000_000, 3, 6.8),
    "tiny": (300, 500, 3, 6.8),
    "tiny-50k": (300, 500, 3, 6.8),
    "tiny-5m": (300, 5_000, 3, 6.8),
}
PUBLISHED = ("beauty", "ml-1m")


def origin(name: str) -> str:
    """Where the histories of that name come from, in words."""
    users, items, _, mean = SHAPES[name]
    if name in PUBLISHED and "NEXTITEM_DATA" in os.environ:
        return "the published file"
    return f"random histories of its shape: {users:,} users, {items:,} items, {mean} events a user"


def histories(name: str) -> Sequences:
    """Training histories of the users that have a window (two events); item ids are below `number_of_items`."""
    if name in PUBLISHED and "NEXTITEM_DATA" in os.environ:
        train = prepare(load_recipe("sasrec-ce", f"data={name}")).split.train
        return train.select(train.lengths_U >= 2)
    users, items, shortest, mean = SHAPES[name]
    draws = np.random.default_rng(0)
    lengths_U = torch.from_numpy(shortest + draws.exponential(mean - shortest, users).round().astype(np.int64))
    stops_U = lengths_U.cumsum(0)
    events = torch.from_numpy((items * draws.random(int(stops_U[-1])) ** 2).astype(np.int64))
    return Sequences(Events(events, items), stops_U - lengths_U, stops_U, torch.arange(users))
