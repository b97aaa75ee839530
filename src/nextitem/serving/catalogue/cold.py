"""Rows of items that nobody has met yet, by a map that is learnt from features to the rows of those that were trained.

The map is a ridge regression: of every column of features it learns what it adds to an item's row (its vector, of a
separate table its second one, its bias). Its penalty is the one under which items that the map has not seen are
foretold best. Beside the features it is told how often an item occurs in training, so that what popularity does to a
vector is not taken for what a category does to it. A new item is foretold as if it had occurred as often as the median
of the trained ones, and what its features say is made to count until such items take as many places of lists as trained
ones do on average (`fair`): new items are neither drowned nor on top.

N items that were trained, M new ones, F columns of features, E numbers of a row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.model.growing import Growing
from nextitem.serving.catalogue.fair import asked_about, fair_spread
from nextitem.serving.catalogue.told import Told

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Those that are tried. Of a category that as many items have, the map believes half of what these say of it."""
_FOLD = 10  # one trained item in ten chooses the penalty, and is then learnt as well
_LEAST = 20  # trained items from which a map is learnt; of fewer the mean of their rows is taken
_FREE = 2  # columns without a penalty: the constant, and how often an item occurs
_AT_ONCE = 1 << 11  # items whose columns are held at a time


@dataclass(frozen=True)
class ColdMap:
    """From features to rows."""

    told: Told
    weights_FE: Tensor
    """float64; the first two rows are the constant and the popularity."""
    popularity: float
    """ln(1 + training events) of the median trained item, which a new item is taken for."""
    shapes: Mapping[str, tuple[int, ...]]
    """By name of each tensor, what it has of an item."""
    penalty: float | None
    """The one that was chosen; None where there was nothing to learn a map from, so that it is a mean."""
    explained: float | None
    """Share of the variance of the rows of held-out items that the features explain, beside the popularity."""

    spread: float = 1.0
    """How far rows lie from that of an item without features, in times of what the features explain."""

    @classmethod
    def learnt(
        cls, scorer: Growing, features: ItemFeatures, counts_N: Tensor, histories: Sequences | None = None
    ) -> "ColdMap":
        """The map that the rows and features (N each) of items with training events teach.

        Lists after some stored `histories` say how far its rows are to be spread; without any, lists after one item. A
        model that answers known users alone and is asked without their histories keeps the spread of the regression.
        """
        rows = scorer.item_rows()
        places = (counts_N > 0).nonzero()[:, 0]
        wanted = torch.cat([tensor[places].reshape(len(places), -1) for tensor in rows.values()], 1).double()
        popularity = counts_N[places].double().log1p()
        told, shapes = Told.by(features, counts_N), {name: tuple(tensor.shape[1:]) for name, tensor in rows.items()}
        median = float(popularity.median()) if len(places) else 0.0
        if told.is_empty or len(places) < _LEAST:
            mean_E = wanted.mean(0) if len(places) else wanted.new_zeros(wanted.shape[1])
            return cls(Told.nothing(), torch.stack([mean_E, 0 * mean_E]), median, shapes, None, None)
        is_tried = torch.arange(len(places)) % _FOLD == 0
        learnt, tried = (
            _Sums.of(_columns(told, features, places[chosen], popularity[chosen]), wanted[chosen])
            for chosen in (~is_tried, is_tried)
        )
        scale_E = _scale(wanted, shapes)
        errors = [tried.error(learnt.solved(penalty), scale_E) for penalty in PENALTIES]
        best = min(range(len(PENALTIES)), key=errors.__getitem__)
        plain = tried.error(learnt.solved(torch.inf), scale_E)
        explained = 1 - errors[best] / plain if plain else 0.0
        part = cls(told, learnt.solved(PENALTIES[best]), median, shapes, PENALTIES[best], explained)
        spread = part._fair(scorer, features, counts_N, places[is_tried], histories)
        return replace(part, weights_FE=(learnt + tried).solved(PENALTIES[best]), spread=spread)

    def rows(self, features: ItemFeatures) -> dict[str, Tensor]:
        """The rows of these M items, float32, by the names of their tensors."""
        free = torch.tensor([1.0, self.popularity], dtype=torch.float64) @ self.weights_FE[:_FREE]
        foretold = free + self.spread * (self.told.of(features) @ self.weights_FE[_FREE:])
        parts = foretold.float().split([prod(shape) for shape in self.shapes.values()], 1)
        return {
            name: part.reshape(len(features), *shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def _fair(
        self, scorer: Growing, features: ItemFeatures, counts_N: Tensor, held_out: Tensor, histories: Sequences | None
    ) -> float:
        """The spread under which items that this map has not seen take their own share of lists."""
        if histories is None and not scorer.reads_histories:
            return 1.0
        own = ItemFeatures(features.table[held_out.numpy()])  # foretold as new ones are, however popular they were
        foretold = {spread: replace(self, spread=spread).rows(own) for spread in (0.0, 1.0)}

        def rows(spread: float) -> dict[str, Tensor]:
            return {name: base + spread * (foretold[1.0][name] - base) for name, base in foretold[0.0].items()}

        return fair_spread(scorer, rows, held_out, asked_about(histories, counts_N))


def _columns(told: Told, features: ItemFeatures, places: Tensor, popularity: Tensor) -> Iterator[Tensor]:
    """The columns of trained items, some items at a time, (≤ 2,048, F)."""
    for some, known in zip(places.split(_AT_ONCE), popularity.split(_AT_ONCE), strict=True):
        free = torch.stack([torch.ones_like(known), known], 1)
        yield torch.cat([free, told.of(ItemFeatures(features.table[some.numpy()]))], 1)


def _scale(wanted: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> Tensor:
    """Per number of a row one over the variance of its tensor, so that each tensor counts alike, shape (E,)."""
    parts = wanted.split([prod(shape) for shape in shapes.values()], 1)
    return torch.cat([torch.full_like(part[0], 1 / max(float(part.var(0).sum()), 1e-12)) for part in parts])


@dataclass(frozen=True)
class _Sums:
    """What a regression needs to know of some items: XᵀX, XᵀY and the squares of Y."""

    columns_FF: Tensor
    wanted_FE: Tensor
    squares_E: Tensor

    @classmethod
    def of(cls, columns: Iterator[Tensor], wanted: Tensor) -> "_Sums":
        columns_FF = wanted_FE = torch.zeros(())
        start = 0
        for some in columns:
            columns_FF = columns_FF + some.T @ some
            wanted_FE = wanted_FE + some.T @ wanted[start : start + len(some)]
            start += len(some)
        return cls(columns_FF, wanted_FE, wanted.square().sum(0))

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(
            self.columns_FF + other.columns_FF, self.wanted_FE + other.wanted_FE, self.squares_E + other.squares_E
        )

    def solved(self, penalty: float) -> Tensor:
        """The weights (F, E) under a penalty; under an infinite one those of the columns without penalty alone."""
        kept = _FREE if penalty == torch.inf else len(self.columns_FF)
        penalties = torch.full((kept,), min(penalty, 1.0), dtype=torch.float64)
        penalties[_FREE:] = penalty
        penalties[:_FREE] = 1e-6  # where all items occur equally often the two are the same column
        factor = torch.linalg.cholesky(self.columns_FF[:kept, :kept] + penalties.diag())
        weights = self.wanted_FE.new_zeros(self.wanted_FE.shape)
        weights[:kept] = torch.cholesky_solve(self.wanted_FE[:kept], factor)
        return weights

    def error(self, weights_FE: Tensor, scale_E: Tensor) -> float:
        """Squared error of what the weights foretell of these items, each number by its scale."""
        crossed = (weights_FE * self.wanted_FE).sum(0)
        told = (weights_FE * (self.columns_FF @ weights_FE)).sum(0)
        return float(((self.squares_E - 2 * crossed + told) * scale_E).sum())
