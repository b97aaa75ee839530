"""Raw ids in, raw ids out: a stored or freshly trained model as something to call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Literal

import polars as pl
import torch
from torch import Tensor

from nextitem.data.log import Catalog
from nextitem.data.sequences import NOBODY, Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.ranks import top_k
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.again import restore_own
from nextitem.experiment.folder.histories import histories_of
from nextitem.experiment.folder.reading import LISTS, Run, read_run
from nextitem.experiment.run import Outcome
from nextitem.model.baselines.popularity import PopularityScorer

RawId = str | int
Unknown = Literal["error", "drop"]


@dataclass(frozen=True)
class Recommendation:
    """One recommended item."""

    item: RawId
    score: float
    """Comparable within one list only."""
    source: Literal["model", "popularity"]
    """`popularity` where the history had no known item, so that the model had nothing to go by."""


class Recommender:
    """Recommends to users of the training log or to any history of known items."""

    def __init__(
        self, scorer: Scorer, items: Catalog, counts_N: Tensor, users: Catalog | None, histories: Sequences | None
    ) -> None:
        self.scorer = scorer
        self.items = items
        self.users = users
        self._popularity = PopularityScorer(counts_N.double())
        self._histories = histories

    @classmethod
    def from_outcome(cls, outcome: Outcome) -> "Recommender":
        """A recommender from a training that just ended; histories are complete, test events included."""
        log = outcome.prepared.log
        return cls(outcome.model, log.items, outcome.prepared.split.train.counts(), log.users, log.sequences)

    @classmethod
    def load(cls, folder: Path | str) -> "Recommender":
        """A recommender from a run's folder, on the CPU. Raises ArtefactError for an altered or foreign folder."""
        return cls.from_run(read_run(folder).proven(*LISTS))

    @classmethod
    def from_run(cls, run: Run) -> "Recommender":
        """A recommender from a run that was read."""
        items = Catalog(run.items["item"])
        counts_N = torch.from_numpy(run.items["count"].to_numpy(writable=True))
        scorer = restore_own(run)
        if run.users is None:
            return cls(scorer, items, counts_N, None, None)
        histories = histories_of(run.users, len(items))
        return cls(scorer, items, counts_N, Catalog(run.users["user"]), histories)

    def recommend(
        self,
        histories: Sequence[Sequence[RawId]] | None = None,
        k: int = 10,
        *,
        times: Sequence[Sequence[float]] | None = None,
        users: Sequence[RawId] | None = None,
        candidates: Sequence[RawId] | None = None,
        filter_seen: bool = True,
        unknown: Unknown = "error",
    ) -> list[list[Recommendation]]:
        """The k best items for each history (oldest item first) or each user of the training log, best first.

        A model that reads when events were needs the `times` of histories, as unix seconds; others ignore them.
        A history without any known item gets the most popular items, labelled as such. With `filter_seen` nothing of
        the whole history is recommended, with `candidates` nothing but them; a list is shorter than k when the items
        run out. Unknown items raise DataError, or are left out by `unknown="drop"`; unknown users raise DataError, and
        so do histories that a model with user vectors is given: it answers users of its training log only.
        """
        if (histories is None) == (users is None):
            raise ConfigurationError("recommend takes either histories or users, and not both")
        if k < 1:
            raise ConfigurationError(f"k={k}: the number of recommendations must be at least 1")
        sequences = (
            self._of_histories(histories, times, unknown) if histories is not None else self._of_users(users or [])
        )
        k = min(k, len(self.items))  # lists are shorter than k anyway, and room for k is made before
        allowed = None if candidates is None else self._known(_series(candidates), unknown)
        is_empty = sequences.lengths_U == 0
        lists: list[list[Recommendation]] = [[] for _ in range(len(sequences))]
        for rows, scorer in ((~is_empty, self.scorer), (is_empty, self._popularity)):
            part = sequences.select(rows)
            if not len(part):
                continue
            items_Ck, scores_Ck = top_k(scorer.query(part), k, part if filter_seen else None, allowed)
            source: Literal["model", "popularity"] = "model" if scorer is self.scorer else "popularity"
            for row, ids, scores in zip(rows.nonzero()[:, 0].tolist(), items_Ck, scores_Ck.tolist(), strict=True):
                found = self.items.raw(ids[ids >= 0]).to_list()
                lists[row] = [Recommendation(i, s, source) for i, s in zip(found, scores[: len(found)], strict=True)]
        return lists

    def known_users(self) -> list[RawId]:
        """All users whose histories are stored, in sorted order."""
        return [] if self.users is None else self.users.ids.to_list()

    def _of_users(self, users: Sequence[RawId]) -> Sequences:
        if self.users is None or self._histories is None:
            raise DataError("this run was stored without its users' histories; pass histories instead of users")
        return self._histories.select(self.users.index(_series(users), "user"))

    def _of_histories(
        self, histories: Sequence[Sequence[RawId]], times: Sequence[Sequence[float]] | None, unknown: Unknown
    ) -> Sequences:
        flat = _series([item for history in histories for item in history])
        positions = self.items.lookup(flat) if unknown == "drop" else self.items.index(flat)
        parts = positions.split([len(history) for history in histories])
        known = [part >= 0 for part in parts]
        items = [part[is_known].tolist() for part, is_known in zip(parts, known, strict=True)]
        seconds = None
        if times is not None:
            _check_lengths(histories, times)
            seconds = [list(compress(own, is_known)) for own, is_known in zip(times, known, strict=True)]
        sequences = Sequences.of(items, len(self.items), seconds)
        # Whose history it is was not said: it must not be taken for that of the first users of the training log.
        return replace(sequences, users_U=torch.full_like(sequences.users_U, NOBODY))

    def _known(self, ids: pl.Series, unknown: Unknown) -> Tensor:
        positions = self.items.lookup(ids) if unknown == "drop" else self.items.index(ids)
        return positions[positions >= 0]


def _check_lengths(histories: Sequence[Sequence[RawId]], times: Sequence[Sequence[float]]) -> None:
    """Raises DataError where there is not one time for each event."""
    if [len(history) for history in histories] != [len(seconds) for seconds in times]:
        raise DataError("times and histories are of different lengths; give one time, in unix seconds, for each event")


def _series(ids: Sequence[RawId]) -> pl.Series:
    """Ids as one column; a mixture of strings and numbers becomes strings, and so do numbers beyond 64 bits."""
    if all(isinstance(raw, int) and -(2**63) <= raw < 2**63 for raw in ids):
        return pl.Series(list(ids), dtype=pl.Int64)
    return pl.Series([str(raw) for raw in ids], dtype=pl.String)
