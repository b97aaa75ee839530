"""Several models as one scorer: the mean of what they say. C cases, K candidates, M members, N items, e widths."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.evaluation.scoring import Query
from nextitem.experiment.combined.named import at, below
from nextitem.model.batches import Batch
from nextitem.model.model import SequenceModel

Average = Literal["log_probability", "probability"]

_TILE_ITEMS = 4096  # of the sweep over the catalogue that finds what a member's probabilities add up to


class MeanScorer:
    """The mean of what M models say of each item; a `Scorer` that is stored as the tensors of all of them.

    `log_probability`: mean over m of log p_m, the product of experts (geometric mean) of their probabilities, where
    p_m is the softmax of the scores s_m. log p_m is s_m less one number of each history, which orders nothing: so the
    score is the mean of the s_m, and no sweep over the catalogue is needed.
    `probability`: log of the mean of the p_m. A member that is sure of an item is heard more. It needs Σ exp s_m over
    all N items: one sweep more for each query, in tiles.
    """

    def __init__(self, members: Sequence[SequenceModel], epochs_M: Tensor, average: Average) -> None:
        """`epochs_M` says for how many epochs each member was trained, int64: what `refit` trains them for."""
        self.members = tuple(members)
        self.epochs_M = epochs_M
        self.average: Average = average

    def query(self, histories: Sequences) -> "MeanQuery":
        """The members' scores after these histories, as one."""
        return MeanQuery([member.query(histories) for member in self.members], self.average)

    def query_along(self, batch: Batch, prefixes: Sequences) -> "MeanQuery":
        """The members' scores at each position of a batch, whose inputs up to there are the `prefixes`, as one."""
        return MeanQuery([member.query_along(batch, prefixes) for member in self.members], self.average)

    def telling(self, users: ItemFeatures) -> Callable[[ItemFeatures], "MeanScorer"]:
        """What makes the same of members that are told of more users, as `SequenceModel.telling`."""
        each = [member.telling(users) for member in self.members]
        return lambda more: MeanScorer([told(more) for told in each], self.epochs_M, self.average)

    def tensors(self) -> dict[str, Tensor]:
        """All weights of all members, by place and name, and their epochs."""
        found = {"epochs": self.epochs_M}
        for place, member in enumerate(self.members):
            found |= below(str(place), member.tensors())
        return found

    def item_vectors(self) -> Tensor:
        """Of each item the members' vectors, each of length 1, side by side, (N, Σ e): cosines are means of theirs."""
        return torch.cat([normalize(member.item_vectors().float(), dim=1) for member in self.members], 1)

    @property
    def reads_histories(self) -> bool:
        """Whether all members answer any history."""
        return all(member.reads_histories for member in self.members)

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> dict[str, Tensor] | None:
        """The `item_rows` of new items by the members' own maps from features; None where no member has one.

        Raises DataError where some have: the rows of the others would be foretold in another way.
        """
        found = [member.rows_of(features, counts_N, added) for member in self.members]
        there = {place: rows for place, rows in enumerate(found) if rows is not None}
        if there and len(there) < len(found):
            raise DataError(
                f"{len(there)} of {len(found)} members make their items of features, and the others do not, so that "
                f"new items cannot be added to all alike; add them to the members' own runs"
            )
        return {name: row for place, rows in there.items() for name, row in below(str(place), rows).items()} or None

    def item_rows(self) -> dict[str, Tensor]:
        """What the members learnt of each item alone, by its name among `tensors`."""
        rows = dict[str, Tensor]()
        for place, member in enumerate(self.members):
            rows |= below(str(place), member.item_rows())
        return rows

    def grown(self, more: Mapping[str, Tensor]) -> "MeanScorer":
        """The same with more items, whose `item_rows` these are."""
        members = [member.grown(at(str(place), more)) for place, member in enumerate(self.members)]
        return MeanScorer(members, self.epochs_M, self.average)


class MeanQuery:
    """Scores of C histories, each the mean of those of M queries about the same histories."""

    def __init__(self, queries: Sequence[Query], average: Average, totals_MC: Tensor | None = None) -> None:
        """`totals_MC` are the members' log Σ exp(score) over the catalogue, where they are known already."""
        self.queries = tuple(queries)
        self.average: Average = average
        self.number_of_items = queries[0].number_of_items
        self._totals_MC = totals_MC

    def __len__(self) -> int:
        return len(self.queries[0])

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start)."""
        return self._mean(lambda query: query.scores(start, stop))

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""
        return self._mean(lambda query: query.candidate_scores(ids_CK))

    def select(self, rows: Tensor) -> "MeanQuery":
        """The query for some of the histories."""
        totals_MC = None if self._totals_MC is None else self._totals_MC[:, rows.to(self._totals_MC.device)]
        return MeanQuery([query.select(rows) for query in self.queries], self.average, totals_MC)

    def _mean(self, of: Callable[[Query], Tensor]) -> Tensor:
        """The mean of one thing of each member; one member's scores at a time are held beside it."""
        if self.average == "probability":
            mean = of(self.queries[0]) - self._totals()[0][:, None]
            for query, total_C in zip(self.queries[1:], self._totals()[1:], strict=True):
                mean = torch.logaddexp(mean, of(query) - total_C[:, None])
            return mean
        mean = of(self.queries[0])
        for query in self.queries[1:]:
            mean += of(query)
        return mean.div_(len(self.queries))

    def _totals(self) -> Tensor:
        """Log Σ exp(score) over all items, shape (M, C): one sweep of each member, the first time it is asked for."""
        if self._totals_MC is None:
            starts = range(0, self.number_of_items, _TILE_ITEMS)
            ends = [(start, min(start + _TILE_ITEMS, self.number_of_items)) for start in starts]
            self._totals_MC = torch.stack(
                [
                    torch.stack([query.scores(*tile).logsumexp(1) for tile in ends]).logsumexp(0)
                    for query in self.queries
                ]
            )
        return self._totals_MC
