"""Scores as given, whose ranks and lists a full sort tells."""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.evaluation import best, tiles
from nextitem.evaluation.ranks import top_k

INF, NAN = math.inf, math.nan


class Table:
    """Scores as given, one row per case."""

    def __init__(self, scores_CN: Tensor) -> None:
        self.scores_CN = scores_CN
        self.number_of_items = scores_CN.shape[1]

    def __len__(self) -> int:
        return len(self.scores_CN)

    def scores(self, start: int, stop: int) -> Tensor:
        return self.scores_CN[:, start:stop].clone()

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        return self.scores_CN.gather(1, ids_CK)

    def select(self, rows: Tensor) -> "Table":
        return Table(self.scores_CN[rows])


def table(rows: list[list[float]]) -> Table:
    return Table(tensor(rows, dtype=torch.float32))


def list_of(rows: list[list[float]], k: int, seen: list[list[int]] | None = None) -> tuple[list, list]:
    items_Ck, scores_Ck = top_k(table(rows), k, None if seen is None else Sequences.of(seen, len(rows[0])))
    return items_Ck.tolist(), scores_Ck.tolist()


def naive_list(scores: list[float], k: int, seen: Collection[int]) -> list[tuple[int, float]]:
    left = [(-score, item) for item, score in enumerate(scores) if item not in seen and score > -INF]
    best = [(item, -negated) for negated, item in sorted(left)[:k]]
    return best + [(-1, -INF)] * (k - len(best))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[float]], list[int], list[list[int]]]:
    """Scores with many ties, a target each, and items to hide; single precision holds all of them exactly."""
    items = draw(st.integers(1, 7))
    number = draw(st.integers(1, 5))
    few = st.sampled_from([-INF, -1.5, -0.0, 0.0, 2.0, 2.0**127, INF])
    scores = few | st.floats(width=32, allow_nan=False)
    rows = st.lists(st.lists(scores, min_size=items, max_size=items), min_size=number, max_size=number)
    targets = st.lists(st.integers(0, items - 1), min_size=number, max_size=number)
    seen = st.lists(st.lists(st.integers(0, items - 1), max_size=4), min_size=number, max_size=number)
    return draw(rows), draw(targets), draw(seen)


@contextmanager
def tiles_of(items: int, elements: int) -> Iterator[None]:
    """Tiles so small that small examples have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_TILE_ITEMS", items)
        patch.setattr(tiles, "_WIDE_ELEMENTS", items)  # one row's: no tile is wider than that
        patch.setattr(tiles, "_TILE_ELEMENTS", elements)
        patch.setattr(tiles, "_MULTIPLE", math.gcd(items, 8) // 2 or 1)
        patch.setattr(best, "_MOST_KEPT", 1)
        yield
