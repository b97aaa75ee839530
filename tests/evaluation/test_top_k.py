"""Lists of the best items equal those of a full sort."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.evaluation.ranks import target_ranks, top_k
from worlds.tables import Table, cases, list_of, naive_list, tiles_of

INF = math.inf


@given(cases(), st.integers(1, 9), st.integers(1, 4), st.integers(1, 12))
def test_lists_in_tiles_equal_those_of_a_full_sort(case: tuple, k: int, items: int, elements: int) -> None:
    rows, _targets, seen = case
    with tiles_of(items, elements):
        for hidden in (None, seen):
            lists = zip(*list_of(rows, k, hidden), strict=True)
            for number, (found, scores) in enumerate(lists):
                left_out = hidden[number] if hidden else []
                assert list(zip(found, scores, strict=True)) == naive_list(rows[number], k, left_out)


@given(cases(), st.integers(1, 9))
def test_lists_equal_those_of_a_full_sort(case: tuple[list[list[float]], list[int], list[list[int]]], k: int) -> None:
    rows, _targets, seen = case
    for hidden in (None, seen):
        items, scores = list_of(rows, k, hidden)
        for number, row in enumerate(rows):
            found = list(zip(items[number], scores[number], strict=True))
            assert found == naive_list(row, k, hidden[number] if hidden else [])


def test_a_list_has_the_best_first() -> None:
    assert list_of([[0, 5, 3, 4]], 3) == ([[1, 3, 2]], [[5, 4, 3]])


def test_equal_scores_are_listed_by_item() -> None:
    assert list_of([[1, 2, 1, 2, 1]], 5) == ([[1, 3, 0, 2, 4]], [[2, 2, 1, 1, 1]])


@pytest.mark.parametrize("k", [1, 2, 50, 99])
def test_of_equal_scores_across_the_end_of_the_list_the_first_items_are_in(k: int) -> None:
    assert list_of([[7] * 100], k)[0] == [list(range(k))]


def test_a_tie_across_the_end_of_one_list_leaves_the_others_alone() -> None:
    assert list_of([[1, 1, 1], [1, 2, 3]], 2)[0] == [[0, 1], [2, 1]]


@pytest.mark.parametrize(
    ("spread", "dtype"),
    [(0, torch.float32), (3, torch.float32), (40, torch.float32), (1e6, torch.float32), (40, torch.float64)],
)
def test_long_lists_of_a_large_catalogue_equal_those_of_a_full_sort(spread: float, dtype: torch.dtype) -> None:
    """Of several tiles as they are, from one score for all items to hardly two that are equal."""
    generator = torch.Generator().manual_seed(0)
    N = 9_001
    scores = (spread * torch.randn(7, N, generator=generator, dtype=torch.float64)).round()
    seen = Sequences.of(torch.randint(N, (7, 50), generator=generator).tolist(), N)
    allowed = torch.randperm(N, generator=generator)[: N // 2]
    out = sorted(set(range(N)) - set(allowed.tolist()))
    for k in (1, 100, 5_000):
        found, best = top_k(Table(scores.to(dtype)), k, seen, allowed)
        for case, hidden in enumerate(seen.tolist()):
            pairs = list(zip(found[case].tolist(), best[case].tolist(), strict=True))
            assert pairs == naive_list(scores[case].to(dtype).tolist(), k, {*hidden, *out})


def test_scores_that_rise_from_tile_to_tile_are_chosen_from_now_and_then() -> None:
    scores = torch.arange(60.0).repeat(2, 1)
    with tiles_of(4, 8):
        assert top_k(Table(scores), 3, None)[0].tolist() == [[59, 58, 57]] * 2


def test_seen_items_are_never_listed() -> None:
    assert list_of([[5, 4, 3], [5, 4, 3]], 2, [[0], [1]])[0] == [[1, 2], [0, 2]]


def test_a_list_that_runs_out_of_items_says_so() -> None:
    assert list_of([[5, 4, 3]], 3, [[0, 1]]) == ([[2, -1, -1]], [[3, -INF, -INF]])
    assert list_of([[5, 4]], 4) == ([[0, 1, -1, -1]], [[5, 4, -INF, -INF]])


def test_the_list_and_the_rank_agree() -> None:
    scores = torch.randn(20, 50, generator=torch.Generator().manual_seed(0))
    seen = Sequences.of(torch.randint(50, (20, 5), generator=torch.Generator().manual_seed(1)).tolist(), 50)
    items_Ck, _ = top_k(Table(scores), 10, seen)
    for place in range(10):
        above_C, tied_C = target_ranks(Table(scores), items_Ck[:, place], seen)
        assert above_C.tolist() == [place] * 20
        assert tied_C.tolist() == [0] * 20


def test_candidates_are_the_only_items_of_a_list() -> None:
    items, scores = top_k(Table(tensor([[0.9, 0.1, 0.5, 0.7]])), 3, None, tensor([1, 3]))
    assert items.tolist() == [[3, 1, -1]]
    assert scores[0, :2].tolist() == [pytest.approx(0.7), pytest.approx(0.1)]
