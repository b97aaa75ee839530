"""Scores that are common to all but for a few have the ranks of all scores written out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ScoreError
from nextitem.evaluation.ranks import target_ranks, top_k
from nextitem.evaluation.scoring import SparseQuery
from worlds.tables import NAN, Table, cases, tiles_of


class SparseTable(Table):
    """A table of which it is known where a row is not as `common_N`."""

    def __init__(self, common_N: Tensor, is_own_CN: Tensor, scores_CN: Tensor) -> None:
        super().__init__(scores_CN.where(is_own_CN, common_N))
        self.common_N = common_N
        self.is_own_CN = is_own_CN

    def own(self) -> tuple[Tensor, Tensor, Tensor]:
        rows_E, items_E = self.is_own_CN.nonzero(as_tuple=True)
        return rows_E, items_E, self.scores_CN[rows_E, items_E]

    def scores(self, start: int, stop: int) -> Tensor:
        raise AssertionError("a score of every item is what need not be made")

    def select(self, rows: Tensor) -> "SparseTable":
        return SparseTable(self.common_N, self.is_own_CN[rows], self.scores_CN[rows])


@given(cases(), st.integers(0, 2**32), st.integers(1, 12))
def test_ranks_are_those_of_all_scores(case: tuple, seed: int, elements: int) -> None:
    rows, targets, seen = case
    scores_CN, draws = tensor(rows, dtype=torch.float64), torch.Generator().manual_seed(seed)
    own = torch.rand(scores_CN.shape, generator=draws) < torch.rand(1, generator=draws)
    query = SparseTable(scores_CN[0], own, scores_CN.roll(1, 0))
    with tiles_of(4, elements):
        for hidden in (None, Sequences.of(seen, scores_CN.shape[1])):
            found = target_ranks(query, tensor(targets), hidden)
            expected = target_ranks(Table(query.scores_CN), tensor(targets), hidden)
            assert [each.tolist() for each in found] == [each.tolist() for each in expected]
            assert found[0].dtype == found[1].dtype == torch.float64


@given(cases(), st.integers(0, 2**32), st.integers(1, 9), st.booleans())
def test_lists_are_those_of_all_scores(case: tuple, seed: int, k: int, is_narrowed: bool) -> None:
    rows, _, seen = case
    scores_CN, draws = tensor(rows, dtype=torch.float64), torch.Generator().manual_seed(seed)
    own = torch.rand(scores_CN.shape, generator=draws) < torch.rand(1, generator=draws)
    query = SparseTable(scores_CN[0], own, scores_CN.roll(1, 0))
    allowed = torch.randperm(scores_CN.shape[1], generator=draws)[: 1 + seed % 4] if is_narrowed else None
    for hidden in (None, Sequences.of(seen, scores_CN.shape[1])):
        found = top_k(query, k, hidden, allowed)
        expected = top_k(Table(query.scores_CN), k, hidden, allowed)
        assert [each.tolist() for each in found] == [each.tolist() for each in expected]


def test_a_table_is_known_to_be_sparse_by_what_it_offers() -> None:
    assert isinstance(SparseTable(torch.zeros(3), torch.zeros(1, 3) > 0, torch.zeros(1, 3)), SparseQuery)
    assert not isinstance(Table(torch.zeros(1, 3)), SparseQuery)


def test_no_cases_have_no_ranks() -> None:
    query = SparseTable(torch.zeros(3), torch.zeros(0, 3) > 0, torch.zeros(0, 3))
    assert [len(found) for found in target_ranks(query, tensor([], dtype=torch.int64), None)] == [0, 0]


@pytest.mark.parametrize(("common", "own"), [([0.0, NAN], [1.0, 1.0]), ([0.0, 0.0], [1.0, NAN])])
def test_a_nan_is_refused(common: list[float], own: list[float]) -> None:
    query = SparseTable(tensor(common), tensor([[False, True]]), tensor([own]))
    with pytest.raises(ScoreError, match="NaN"):
        target_ranks(query, tensor([0]), None)
