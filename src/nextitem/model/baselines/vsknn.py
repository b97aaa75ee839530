"""What those had whose events are like the latest of the history: V-SKNN. C cases, E entries, N items, S sessions.

A session is what one user did in training. Sessions stand in order, the one that ended last first, and each holds its
items once, ascending: session s has `items` from starts[s] to before starts[s + 1].
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.baselines.entries import divided_at, first_of_each, in_order, largest_of_each, values_at
from nextitem.model.baselines.pairs import entries_of, steps_back, trained_pairs
from nextitem.model.baselines.sparse import Entries, SparseQuery, below_zero, check_rows
from nextitem.model.weights import stored

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_How = Literal["div", "linear", "same"]
_DIGITS = 500  # of a number by fours, whose least power is 2⁻¹⁰⁰⁰: float64 has powers down to 2⁻¹⁰²²
_FIRST_DIGITS = 32  # who is like a history shares one of its latest events
_NEWEST = 1.1  # times as many sessions as are sampled are looked at first: of a long history nearly every one shares
_LEAST = 2  # items of a session: of one alone nothing follows for another item


class VSKNN(Baseline):
    """Scores an item by the sessions that have it and are most like the history, where its latest events count most.

    Of the sessions that share an item with the history the `sampled` newest are looked at, and of these the
    `neighbours` most similar ones vote: with their similarity, and for the less the further back the latest event is
    that they share. Ludewig & Jannach, User Modeling and User-Adapted Interaction 28 (2018). A session is what a user
    did in training; that of the asking user is one like any other.
    """

    name: Literal["vsknn"] = "vsknn"
    neighbours: int = Field(100, ge=1)
    """How many of the most similar sessions vote."""
    sampled: int | None = Field(1000, ge=1)
    """Of how many sessions, those that ended last, the similarity is computed; `none`: of all, whatever their times."""
    weighting: _How = "div"
    """What the event i of n counts in a similarity: i / n (`div`), 1 − (n − i) / 10 and at least 0 (`linear`), or 1."""
    voting: _How = "div"
    """What a vote counts whose latest shared event is the j-th from the end: 1 / j (`div`), 1 − j / 10 and at least 0
    (`linear`), or 1."""
    idf: float = Field(0.0, ge=0.0)
    """How much rare items are preferred: their votes are multiplied by 1 + idf · ln(sessions / sessions with them)."""

    @property
    def reads_times(self) -> bool:
        """Where sessions are sampled: by when they ended."""
        return self.sampled is not None

    def check(self, train: Sequences) -> None:
        """Raises DataError where the latest sessions are asked for of events without times."""
        if self.reads_times and not train.has_times:
            raise DataError(
                "the log has no times, so nobody knows which sessions are the latest; give events with a column of "
                "times, or set model.sampled=none, which looks at all"
            )

    def learn(self, train: Sequences, seed: int = 0) -> "VSKNNScorer":
        """The scorer with the sessions of `train`; nothing is random.

        Raises DataError where no session has two items, and where the latest are asked for of a log without times.
        """
        self.check(train)
        had_UN = trained_pairs(train)
        kept_S = _latest_first(train) if self.reads_times else np.arange(len(train))
        kept_S = kept_S[np.diff(had_UN.indptr)[kept_S] >= _LEAST]
        if not len(kept_S):
            raise DataError(
                f"none of the {len(train):,} training histories has two items, so there is nothing to vote for; give "
                f"longer histories, or take the baseline popularity"
            )
        sessions_SN = had_UN[kept_S]
        sessions_SN.sort_indices()
        starts_S1, items = (
            torch.from_numpy(part.astype(np.int64)) for part in (sessions_SN.indptr, sessions_SN.indices)
        )
        return VSKNNScorer(self, starts_S1, items, train.weighted_counts())

    def restore(self, tensors: Mapping[str, Tensor]) -> "VSKNNScorer":
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        starts_S1, items = (
            stored(tensors, name, like=torch.empty(0, dtype=torch.int64)) for name in ("starts", "items")
        )
        popularity_N = stored(tensors, "popularity", like=torch.empty(0, dtype=torch.float64))
        if not len(starts_S1):
            raise ValueError("starts holds no number")
        check_rows(starts_S1, items, len(starts_S1) - 1, len(popularity_N))
        if bool((popularity_N < 0).any()):
            raise ValueError("popularity holds numbers below 0")
        return VSKNNScorer(self, starts_S1, items, popularity_N)

    def without_user(self, tensors: Mapping[str, Tensor], user: int, history: Tensor) -> dict[str, Tensor]:
        """The tensors without the session that was learnt of a user: the longest one that a history begins with.

        Sessions have no names; of equal ones it does not matter which is left out.
        """
        starts_S1, items = tensors["starts"], tensors["items"]
        sessions = {tuple(part.tolist()): number for number, part in enumerate(items.split(starts_S1.diff().tolist()))}
        beginnings = (tuple(history[:stop].unique().tolist()) for stop in range(len(history), 0, -1))
        found = next((sessions[one] for one in beginnings if one in sessions), None)
        if found is None:
            return dict(tensors)
        start, stop = starts_S1[found], starts_S1[found + 1]
        rest = torch.cat([starts_S1[: found + 1], starts_S1[found + 2 :] - (stop - start)])
        return {**tensors, "starts": rest, "items": torch.cat([items[:start], items[stop:]])}


def _latest_first(train: Sequences) -> NDArray[np.int64]:
    """The views in the order in which they ended, the latest first; empty ones last, equal ones in their own order."""
    ended = [torch.zeros(0, dtype=torch.float64)]
    for part in train.parts():
        ends = torch.full((len(part),), -torch.inf, dtype=torch.float64)
        ends[part.lengths_U > 0] = part.last(1).times().double()
        ended.append(ends)
    order: NDArray[np.int64] = torch.cat(ended).argsort(stable=True, descending=True).numpy()
    return order


class VSKNNScorer:
    """Sessions, and who of them has which item; what no neighbour has is below 0, in the order of popularity."""

    def __init__(self, settings: VSKNN, starts_S1: Tensor, items: Tensor, popularity_N: Tensor) -> None:
        from scipy.sparse import csr_matrix

        self.settings = settings
        self.starts_S1, self.items, self.popularity_N = starts_S1, items, popularity_N
        shape = (len(starts_S1) - 1, len(popularity_N))
        self._sessions_SN = csr_matrix((np.ones(len(items)), items.numpy(), starts_S1.numpy()), shape)
        who_NS = self._sessions_SN.T.tocsr()
        who_NS.sort_indices()
        having_N = np.diff(who_NS.indptr)
        self._factor_N = 1 + settings.idf * np.log(shape[0] / np.maximum(having_N, 1))
        # The latest of all that share an item are among the latest of each item: no others are looked at.
        self._who_NS = who_NS if settings.sampled is None else first_of_each(who_NS, settings.sampled)
        newest = shape[0] if settings.sampled is None else math.ceil(_NEWEST * settings.sampled)
        self._newest_NS, self._older_NS = divided_at(self._who_NS, newest)

    def query(self, histories: Sequences) -> SparseQuery:
        """Scores by the neighbours of each history."""
        return SparseQuery(below_zero(self.popularity_N), histories, self._votes)

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `VSKNN.restore` needs."""
        return {"starts": self.starts_S1, "items": self.items, "popularity": self.popularity_N}

    def _votes(self, histories: Sequences) -> Entries:
        """The items that neighbours of each history have."""
        latest = _Latest.of(histories)
        votes_CS = largest_of_each(self._similar(latest), self.settings.neighbours)
        votes_CS.data *= _vote(self.settings.voting, self._latest_shared(votes_CS, latest))
        scores_CN = votes_CS @ self._sessions_SN
        scores_CN.data *= self._factor_N[scores_CN.indices]
        return entries_of(in_order(scores_CN))

    def _similar(self, latest: "_Latest") -> "csr_matrix":
        """The similarities above 0 of those that are looked at; older sessions where too few of the newest share."""
        weights_D, most = latest.similarity(self.settings.weighting), self.settings.sampled
        similar_CS = _shared(latest.matrix(weights_D), self._newest_NS)
        if most is None:
            return similar_CS
        is_short_C = np.diff(similar_CS.indptr) < most
        if self._older_NS.nnz and bool(is_short_C.any()):
            similar_CS += _shared(latest.matrix(weights_D, is_short_C[latest.rows_D]), self._older_NS)
        return first_of_each(similar_CS, most)

    def _latest_shared(self, votes_CS: "csr_matrix", latest: "_Latest") -> NDArray[np.int64]:
        """Of each vote the latest event that session and history share, counted from 1 at the end of the history.

        A product adds up ¼ to the power of each shared event's place. The latest is the first digit of such a sum.
        """
        rows = np.repeat(np.arange(votes_CS.shape[0]), np.diff(votes_CS.indptr))
        back = np.zeros(len(rows), dtype=np.int64)
        before, digits = 0, min(_FIRST_DIGITS, _DIGITS)
        while (is_open := back == 0).any():
            is_asked_C = np.bincount(rows[is_open], minlength=votes_CS.shape[0]) > 0
            places_D = latest.back_D - before
            is_here_D = (places_D > 0) & (places_D <= digits) & is_asked_C[latest.rows_D]
            sums_CS = _shared(latest.matrix(0.25 ** places_D.clip(0, digits), is_here_D), self._who_NS)
            sums = values_at(sums_CS, rows[is_open], votes_CS.indices[is_open])
            found = before + (1 - np.frexp(sums)[1]) // 2
            back[is_open] = np.where(sums > 0, found, 0)
            before, digits = before + digits, min(4 * digits, _DIGITS)
        return back


@dataclass(frozen=True)
class _Latest:
    """Where each item of a history was last: D different pairs of the two, by history and item."""

    rows_D: NDArray[np.int64]
    items_D: NDArray[np.int64]
    back_D: NDArray[np.int64]
    """Which event it was, from 1 at the end."""
    lengths_D: NDArray[np.int64]
    """Events of the history."""
    shape: tuple[int, int]

    @classmethod
    def of(cls, histories: Sequences) -> "_Latest":
        rows, items = (part.numpy() for part in histories.flatten())
        back, keys = steps_back(histories), rows * histories.number_of_items + items
        order = keys[::-1].argsort(kind="stable")  # of equal ones the latest event first
        keys = keys[::-1][order]
        is_first = np.ones(len(rows), dtype=bool)
        is_first[1:] = keys[1:] != keys[:-1]
        chosen = len(rows) - 1 - order[is_first]
        rows, items, back = rows[chosen], items[chosen], back[chosen]
        return cls(rows, items, back, histories.lengths_U.numpy()[rows], (len(histories), histories.number_of_items))

    def similarity(self, how: _How) -> NDArray[np.float64]:
        """What each counts in a similarity."""
        of_all = {"div": 1 - (self.back_D - 1) / self.lengths_D, "linear": 1 - (self.back_D - 1) / 10}
        return np.maximum(of_all.get(how, np.ones(len(self.back_D))), 0)

    def matrix(self, values_D: NDArray[np.float64], chosen: NDArray[np.bool_] | slice = slice(None)) -> "csr_matrix":
        """The values in their places, or some of them, (C, N)."""
        from scipy.sparse import csr_matrix

        return csr_matrix((values_D[chosen], (self.rows_D[chosen], self.items_D[chosen])), self.shape)


def _vote(how: _How, back: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a vote counts whose latest shared event is so far back."""
    of_all = {"div": 1 / back, "linear": 1 - back / 10}
    return np.maximum(of_all.get(how, np.ones(len(back))), 0)


def _shared(history_CN: "csr_matrix", who_NS: "csr_matrix") -> "csr_matrix":
    """What each history shares with each session, where that is above 0, in order, (C, S)."""
    shared_CS = history_CN @ who_NS
    shared_CS.eliminate_zeros()
    return in_order(shared_CS)
