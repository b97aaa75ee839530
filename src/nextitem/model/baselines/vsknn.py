"""What those had whose events are like the latest of the history: V-SKNN. C cases, E entries, N items, S sessions.

A session is what one user did in training. Sessions stand in order, the one that ended last first, and each holds its
items once, ascending: session s has `items` from starts[s] to before starts[s + 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.baselines.pairs import entries_of, steps_back, trained_pairs
from nextitem.model.baselines.sparse import Entries, SparseQuery, below_zero, check_rows
from nextitem.model.weights import stored

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_How = Literal["div", "linear", "same"]
_DIGITS = 500  # of a number by fours, whose least power is 2⁻¹⁰⁰⁰: float64 has powers down to 2⁻¹⁰²²
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
        self._who_NS = who_NS if settings.sampled is None else _first_of_each(who_NS, settings.sampled)

    def query(self, histories: Sequences) -> SparseQuery:
        """Scores by the neighbours of each history."""
        return SparseQuery(below_zero(self.popularity_N), histories, self._votes)

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `VSKNN.restore` needs."""
        return {"starts": self.starts_S1, "items": self.items, "popularity": self.popularity_N}

    def _votes(self, histories: Sequences) -> Entries:
        """The items that neighbours of each history have."""
        latest = _Latest.of(histories)
        similar_CS = latest.matrix(latest.similarity(self.settings.weighting)) @ self._who_NS
        similar_CS.eliminate_zeros()
        similar_CS.sort_indices()
        if self.settings.sampled is not None:
            similar_CS = _first_of_each(similar_CS, self.settings.sampled)
        votes_CS = _largest_of_each(similar_CS, self.settings.neighbours)
        votes_CS.data *= _vote(self.settings.voting, self._latest_shared(votes_CS, latest))
        scores_CN = votes_CS @ self._sessions_SN
        scores_CN.data *= self._factor_N[scores_CN.indices]
        return entries_of(scores_CN)

    def _latest_shared(self, votes_CS: "csr_matrix", latest: "_Latest") -> NDArray[np.int64]:
        """Of each vote the latest event that session and history share, counted from 1 at the end of the history.

        A product adds up ¼ to the power of each shared event's place. The latest is the first digit of such a sum.
        """
        rows = np.repeat(np.arange(votes_CS.shape[0]), np.diff(votes_CS.indptr))
        back = np.zeros(len(rows), dtype=np.int64)
        for before in range(0, latest.back_D.max(initial=0) if len(rows) else 0, _DIGITS):
            places_D = latest.back_D - before
            digits_D = np.where((places_D > 0) & (places_D <= _DIGITS), 0.25 ** places_D.clip(0, _DIGITS), 0)
            sums_CS = latest.matrix(digits_D) @ self._who_NS
            sums_CS.sort_indices()
            sums = np.asarray(sums_CS[rows, votes_CS.indices]).ravel()
            is_new = (back == 0) & (sums > 0)
            back[is_new] = before + (1 - np.frexp(sums[is_new])[1]) // 2
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
        back = steps_back(histories)
        order = np.lexsort((back, items, rows))
        rows, items, back = rows[order], items[order], back[order]
        is_first = np.ones(len(rows), dtype=bool)
        is_first[1:] = (rows[1:] != rows[:-1]) | (items[1:] != items[:-1])
        rows, items, back = rows[is_first], items[is_first], back[is_first]
        return cls(rows, items, back, histories.lengths_U.numpy()[rows], (len(histories), histories.number_of_items))

    def similarity(self, how: _How) -> NDArray[np.float64]:
        """What each counts in a similarity."""
        of_all = {"div": 1 - (self.back_D - 1) / self.lengths_D, "linear": 1 - (self.back_D - 1) / 10}
        return np.maximum(of_all.get(how, np.ones(len(self.back_D))), 0)

    def matrix(self, values_D: NDArray[np.float64]) -> "csr_matrix":
        """The values in their places, (C, N)."""
        from scipy.sparse import csr_matrix

        return csr_matrix((values_D, (self.rows_D, self.items_D)), self.shape)


def _vote(how: _How, back: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a vote counts whose latest shared event is so far back."""
    of_all = {"div": 1 / back, "linear": 1 - back / 10}
    return np.maximum(of_all.get(how, np.ones(len(back))), 0)


def _first_of_each(matrix: "csr_matrix", count: int) -> "csr_matrix":
    """The first entries of each row, at most `count`."""
    sizes = np.diff(matrix.indptr)
    places = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], sizes)
    return _kept(matrix, np.flatnonzero(places < count), np.minimum(sizes, count))


def _largest_of_each(matrix: "csr_matrix", count: int) -> "csr_matrix":
    """The largest entries of each row, at most `count`; of equal ones the first."""
    sizes = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    negated = np.full((len(sizes), sizes.max(initial=0)), np.inf)
    negated[rows, np.arange(matrix.nnz) - matrix.indptr[rows]] = -matrix.data
    order = negated.argsort(axis=1, kind="stable")[:, :count]
    chosen = (matrix.indptr[:-1, None] + order)[order < sizes[:, None]]
    return _kept(matrix, np.sort(chosen), np.minimum(sizes, count))


def _kept(matrix: "csr_matrix", chosen: NDArray[Any], sizes: NDArray[Any]) -> "csr_matrix":
    """Some entries of a matrix, by their places, and how many of each row they are."""
    from scipy.sparse import csr_matrix

    return csr_matrix((matrix.data[chosen], matrix.indices[chosen], np.append(0, sizes.cumsum())), matrix.shape)
