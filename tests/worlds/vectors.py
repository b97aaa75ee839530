"""A recommender of many items whose scores are products with vectors that were drawn, and an index of them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog
from nextitem.data.sequences import Sequences
from nextitem.model.layers.products import Products
from nextitem.serving.indexed.cells import Cells, coded
from nextitem.serving.indexed.coded import Coded
from nextitem.serving.indexed.index import IndexFacts, ItemIndex
from nextitem.serving.known import Known
from nextitem.serving.recommender import Recommender

ITEMS, WIDTH, USERS = 2_000, 8, 60
KINDS = ["common"] * 3 + ["rare"]


class Drawn:
    """After an item comes what has a like vector; an item's own bias is the last number of its row."""

    def __init__(self, table_Ne: Tensor) -> None:
        self.table_Ne = table_Ne

    def query(self, histories: Sequences) -> Products:
        last_C = histories.events.items_at(histories.stops_U - 1)
        states_Ce = torch.cat([self.table_Ne[last_C, :-1], torch.ones(len(last_C), 1)], 1)
        return Products(states_Ce, self.table_Ne)

    def product_table(self) -> Tensor:
        return self.table_Ne


@cache
def table() -> Tensor:
    """Rows of very unlike lengths, one of them twice."""
    draws = torch.Generator().manual_seed(0)
    rows_Ne = torch.randn(ITEMS, WIDTH, generator=draws) * (0.2 + torch.rand(ITEMS, 1, generator=draws))
    rows_Ne[7] = rows_Ne[5]
    return rows_Ne


CELLS = 22


@cache
def made() -> Coded:
    return coded(table(), threads=1)


@cache
def cells() -> Cells:
    return Cells(made())


def index_with(**facts: object) -> ItemIndex:
    """One of the table, which looks at 64 items of all cells for a list of 10 unless something else is said."""
    usual = {
        "weights": "0" * 64, "items": ITEMS, "width": WIDTH, "cells": CELLS, "k": 10, "asked": 0.9, "recall": 0.99,
        "breadth": 64, "entered": CELLS, "queries": 2, "build_seconds": 0.0, "exact_ms": 2.0, "index_ms": 0.5,
    }  # fmt: skip
    return ItemIndex(IndexFacts.model_validate({**usual, **facts}), cells=cells())


def recommender(index: ItemIndex | None = None, added: int = 0, retired: Sequence[int] = ()) -> Recommender:
    """Items i0, i1, …, of which every fourth is rare; `added` ones after them are like i5, and better."""
    table_Ne = torch.cat([table(), 1.5 * table()[5].expand(added, -1)])
    number = len(table_Ne)
    names = pl.Series("item", [f"i{item}" for item in range(number)])
    kinds = pl.Series("kind", [KINDS[item % 4] for item in range(number)])
    events = [[(7 * user + step) % ITEMS for step in range(1 + user % 5)] for user in range(USERS)]
    is_retired_N = torch.zeros(number, dtype=torch.bool)
    is_retired_N[[*retired]] = True
    known = Known(
        Drawn(table_Ne),
        ItemFeatures(pl.DataFrame([names, kinds])),
        torch.ones(number, dtype=torch.int64),
        Catalog(pl.Series("user", [f"u{user:02}" for user in range(USERS)])),
        Sequences.of(events, number),
        index=index,
    )
    return Recommender(replace(known, is_retired_N=is_retired_N) if retired else known)
