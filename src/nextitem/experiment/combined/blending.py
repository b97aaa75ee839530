"""A model's scores with what counting says of the same histories added. C cases, E entries, K candidates, N items."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.evaluation.scoring import Query
from nextitem.experiment.combined.counts import Timed, followers
from nextitem.experiment.combined.named import at, below
from nextitem.model.baselines.co_occurrence import CoOccurrenceScorer
from nextitem.model.baselines.sparse import Entries


class Blendable(Protocol):
    """What counting can be added to: a sequence model, or several as one."""

    @property
    def reads_histories(self) -> bool: ...

    def query(self, histories: Sequences) -> Query: ...

    def tensors(self) -> dict[str, Tensor]: ...

    def item_vectors(self) -> Tensor: ...

    def item_rows(self) -> dict[str, Tensor]: ...

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> dict[str, Tensor] | None: ...

    def grown(self, more: Mapping[str, Tensor]) -> "Blendable": ...

    def telling(self, users: ItemFeatures) -> Callable[[ItemFeatures], "Blendable"]: ...


@dataclass(frozen=True)
class Chosen:
    """How much counting weighs beside a model, and what is counted."""

    co_occurrence: float = 0.0
    decay: float = 0.0
    recent: float = 0.0
    days: float = 30.0

    def as_tensor(self) -> Tensor:
        """The four numbers, float64."""
        return torch.tensor([self.co_occurrence, self.decay, self.recent, self.days], dtype=torch.float64)


@dataclass(frozen=True)
class Counted:
    """What was counted in training."""

    pairs: CoOccurrenceScorer
    last: int
    """How many items at the end of a history are looked up."""
    timed: Timed | None = None
    """None where recent popularity is not asked for."""

    def entries(self, histories: Sequences, chosen: Chosen) -> list[Entries]:
        """What is added to the scores of single items after single histories."""
        found = []
        if chosen.co_occurrence:
            found.append(_weighed(followers(self.pairs, histories, self.last, chosen.decay), chosen.co_occurrence))
        if chosen.recent and self.timed is not None:
            found.append(_weighed(self.timed.before(histories, chosen.days), chosen.recent))
        return found


def _weighed(entries: Entries, weight: float) -> Entries:
    return entries._replace(scores_E=weight * entries.scores_E.log1p())


class BlendScorer:
    """s + w₁ · log(1 + c) + w₂ · log(1 + r), a `Scorer`: s is the model's score, c what followed the last items in
    training, r how often an item occurred in the days before.

    s stands for the model's log-probability, from which it differs by one number of each history, which orders nothing.
    """

    def __init__(self, model: Blendable, counted: Counted, chosen: Chosen, tried_G5: Tensor) -> None:
        """`tried_G5` are the weights that validation was asked about, four as in `Chosen` and the NDCG@10 of each."""
        self.model, self.counted, self.chosen, self.tried_G5 = model, counted, chosen, tried_G5

    def query(self, histories: Sequences) -> "BlendQuery":
        """The model's scores after these histories, with what was counted."""
        return BlendQuery(self.model.query(histories), histories, self.counted, self.chosen)

    def telling(self, users: ItemFeatures) -> Callable[[ItemFeatures], "BlendScorer"]:
        """What makes the same of a model that is told of more users."""
        told = self.model.telling(users)
        return lambda more: BlendScorer(told(more), self.counted, self.chosen, self.tried_G5)

    def tensors(self) -> dict[str, Tensor]:
        """The model's weights and the counts, by place and name, what was chosen, and what was tried."""
        found = {"chosen": self.chosen.as_tensor(), "tried": self.tried_G5}
        found |= below("model", self.model.tensors()) | below("pairs", self.counted.pairs.tensors())
        if (timed := self.counted.timed) is not None:
            found |= below("timed", {"items": timed.items_H, "times": timed.times_H})
        return found

    def item_vectors(self) -> Tensor:
        """The model's."""
        return self.model.item_vectors()

    @property
    def reads_histories(self) -> bool:
        """Whether it answers any history, also without times."""
        return self.model.reads_histories and not self.chosen.recent

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> dict[str, Tensor] | None:
        """The `item_rows` of new items by the model's own map from features; None where it has none."""
        found = self.model.rows_of(features, counts_N, added)
        return None if found is None else below("model", found)

    def item_rows(self) -> dict[str, Tensor]:
        """What the model learnt of each item alone."""
        return below("model", self.model.item_rows())

    def grown(self, more: Mapping[str, Tensor]) -> "BlendScorer":
        """The same with more items, of which nothing is counted yet."""
        model, pairs = self.model.grown(at("model", more)), self.counted.pairs
        before, added = len(pairs.popularity_N), len(next(iter(more.values()))) if more else 0
        keys_P = pairs.keys_P // before * (before + added) + pairs.keys_P % before
        popularity_N = torch.cat([pairs.popularity_N, pairs.popularity_N.new_zeros(added)])
        timed = self.counted.timed
        if timed is not None:
            timed = Timed(timed.items_H, timed.times_H, before + added)
        grown = Counted(CoOccurrenceScorer(keys_P, pairs.counts_P, popularity_N), self.counted.last, timed)
        return BlendScorer(model, grown, self.chosen, self.tried_G5)


class BlendQuery:
    """Scores of C histories: those of a query, and what was counted added to a few of each."""

    def __init__(self, query: Query, histories: Sequences, counted: Counted, chosen: Chosen) -> None:
        """What was counted is looked up once scores are asked for: whoever has many histories selects some before."""
        self.of_model, self.histories, self.counted, self.chosen = query, histories, counted, chosen
        self.number_of_items = query.number_of_items

    def __len__(self) -> int:
        return len(self.of_model)

    @cached_property
    def _entries(self) -> list[Entries]:
        return self.counted.entries(self.histories, self.chosen)

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start)."""
        scores = self.of_model.scores(start, stop)
        for rows_E, items_E, scores_E in self._entries:
            is_here_E = (items_E >= start) & (items_E < stop)
            rows, items = rows_E[is_here_E].to(scores.device), (items_E[is_here_E] - start).to(scores.device)
            scores[rows, items] += scores_E[is_here_E].to(scores)  # each pair is there once
        return scores

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""
        scores = self.of_model.candidate_scores(ids_CK)
        wanted_CK = torch.arange(len(self))[:, None] * self.number_of_items + ids_CK.cpu()
        for rows_E, items_E, scores_E in self._entries:
            keys_E = rows_E * self.number_of_items + items_E
            places_CK = torch.searchsorted(keys_E, wanted_CK)
            is_own_CK = torch.searchsorted(keys_E, wanted_CK, right=True) > places_CK
            added_CK = torch.zeros(wanted_CK.shape, dtype=torch.float64)
            added_CK[is_own_CK] = scores_E[places_CK[is_own_CK]]
            scores += added_CK.to(scores)
        return scores

    def select(self, rows: Tensor) -> "BlendQuery":
        """The query for some of the histories."""
        return BlendQuery(self.of_model.select(rows), self.histories.select(rows), self.counted, self.chosen)
