"""Items of which something is known: categories of two columns, a number, a vector, and gaps among them."""

import polars as pl
import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.model.items.content import Content

GENRES = (["war", "art"], ["art"], None, ["sea", "war", "art"], [])
SCHEMA = {
    "item": pl.Int64,
    "genre": pl.List(pl.String),
    "maker": pl.List(pl.String),
    "year": pl.Float64,
    "looks": pl.Array(pl.Float32, 3),
}


def features(count: int, first: int = 0) -> ItemFeatures:
    """Items first…first + count − 1; the same is known of an item whenever it is among them."""
    items = range(first, first + count)
    columns = {
        "item": list(items),
        "genre": [GENRES[item % 5] for item in items],
        "maker": [[f"maker {item % 3}"] if item % 4 else None for item in items],
        "year": [None if item % 6 == 5 else 1990.0 + 3 * item for item in items],
        "looks": [None if item % 7 == 3 else [1.0, float(item % 2), float(item % 3)] for item in items],
    }
    return ItemFeatures(pl.DataFrame(columns, schema=SCHEMA))


def content(count: int) -> Content:
    """What a table is told of them, all of which occur in training."""
    return Content.of(features(count), torch.ones(count, dtype=torch.int64))
