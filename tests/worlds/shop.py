"""A shop of eight films whose columns are known, and a recommender for it whose scores are written down."""

from dataclasses import replace

import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.model.layers.products import Products
from nextitem.model.layers.twins import Twins
from nextitem.serving.known import Known
from nextitem.serving.recommender import Recommender

FILMS = ["alien", "brazil", "casablanca", "duel", "elf", "fargo", "gattaca", "heat"]
FEATURES = ItemFeatures(
    pl.DataFrame(
        {
            "item": FILMS,
            "title": [film.title() for film in FILMS],
            "genres": [["Horror", "Sci-Fi"], ["Comedy", "Sci-Fi"], ["Drama"], ["Thriller"], ["Comedy"],
                       ["Comedy", "Crime"], ["Drama", "Sci-Fi"], None],
            "year": [1979.0, 1985.0, 1942.0, 1971.0, 2003.0, 1996.0, 1997.0, None],
            "maker": ["Fox", "Universal", "Warner, Bros", "Universal", None, "Gramercy", "Columbia", "Warner, Bros"],
        },
        {"item": pl.String, "title": pl.String, "genres": pl.List(pl.String), "year": pl.Float64, "maker": pl.String},
    )
)  # fmt: skip


class Written:
    """Scores the items as they are written down, whatever the history; each item has a vector."""

    def __init__(self, scores_N: Tensor, vectors_Ne: Tensor) -> None:
        self.scores_N, self.vectors_Ne = scores_N, vectors_Ne

    def query(self, histories: Sequences) -> Products:
        return Products(torch.ones(len(histories), 1), self.scores_N[:, None], Twins.among(self.scores_N[:, None]))

    def item_vectors(self) -> Tensor:
        return self.vectors_Ne


def shop(scores: list[float] | None = None, vectors: list[list[float]] | None = None) -> Recommender:
    """The recommender; by default alien is best and heat worst, both for the model and by popularity from behind."""
    scores_N = torch.tensor(scores or [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    scorer = Written(scores_N, torch.eye(8) if vectors is None else torch.tensor(vectors))
    return Recommender(Known(scorer, FEATURES, torch.arange(1, 9)))


def with_retired(recommender: Recommender, *films: str) -> Recommender:
    """The same without these."""
    is_retired_N = torch.tensor([film in films for film in FILMS])
    return Recommender(replace(recommender.known, is_retired_N=is_retired_N))
