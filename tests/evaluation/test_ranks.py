"""Ranks equal those of a full sort, in tiles of any size."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ScoreError
from nextitem.evaluation.ranks import target_ranks, top_k
from worlds.tables import INF, NAN, Table, cases, list_of, naive_list, table, tiles_of


def ranks_of(rows: list[list[float]], targets: list[int], seen: list[list[int]] | None = None) -> tuple[list, list]:
    hidden = None if seen is None else Sequences.of(seen, len(rows[0]))
    above_C, tied_C = target_ranks(table(rows), tensor(targets), hidden)
    assert above_C.dtype == tied_C.dtype == torch.float64
    return above_C.tolist(), tied_C.tolist()


def naive_ranks(scores: list[float], target: int, seen: list[int]) -> tuple[float, float]:
    """By sorting everything that is left, best first."""
    if target in seen or scores[target] == -INF:
        return INF, 0
    best_first = sorted((score for item, score in enumerate(scores) if item not in seen), reverse=True)
    return best_first.index(scores[target]), best_first.count(scores[target]) - 1


# ranks


@given(cases())
def test_ranks_equal_those_of_a_full_sort(case: tuple[list[list[float]], list[int], list[list[int]]]) -> None:
    rows, targets, seen = case
    shown = [naive_ranks(*one, []) for one in zip(rows, targets, strict=True)]
    hidden = [naive_ranks(*one) for one in zip(rows, targets, seen, strict=True)]
    assert list(zip(*ranks_of(rows, targets), strict=True)) == shown
    assert list(zip(*ranks_of(rows, targets, seen), strict=True)) == hidden


def test_the_best_item_has_nobody_above() -> None:
    assert ranks_of([[0.1, 0.9, 0.5]] * 3, [1, 2, 0]) == ([0, 1, 2], [0, 0, 0])


def test_items_of_equal_score_are_tied_not_above() -> None:
    assert ranks_of([[1, 1, 0, 1, 2]], [0]) == ([1], [2])


def test_hidden_items_are_neither_above_nor_tied() -> None:
    assert ranks_of([[1, 1, 0, 1, 2]], [0], [[4, 1, 4]]) == ([0], [1])


def test_a_hidden_target_has_everybody_above() -> None:
    assert ranks_of([[1, 1, 0], [1, 1, 0]], [0, 0], [[0], [1]]) == ([INF, 0], [0, 0])


def test_infinite_scores_have_ranks() -> None:
    assert ranks_of([[INF, -INF, 0, INF, -INF]] * 3, [0, 2, 1]) == ([0, 2, INF], [1, 0, 0])


@pytest.mark.parametrize("rows", [[[-INF, 1.0, -INF]], [[-INF] * 3], [[-INF]]])
def test_a_target_is_a_miss_exactly_where_no_list_holds_it(rows: list[list[float]]) -> None:
    """However long the list is, and however few items there are."""
    listed = {item for item in list_of(rows, 3)[0][0] if item >= 0}
    for target in range(len(rows[0])):
        assert (ranks_of(rows, [target])[0] == [INF]) == (target not in listed)


def test_each_case_is_hidden_its_own_items() -> None:
    assert ranks_of([[3, 2, 1]] * 3, [2, 2, 2], [[0], [], [1, 0]]) == ([1, 2, 0], [0, 0, 0])


def test_ranks_are_counted_in_the_precision_of_the_scores() -> None:
    close = tensor([[1, 1 + 2**-40]], dtype=torch.float64)
    assert target_ranks(Table(close), tensor([0]), None)[0].tolist() == [1]
    assert target_ranks(Table(close.float()), tensor([0]), None)[1].tolist() == [1]


def test_no_cases_have_no_ranks() -> None:
    above_C, tied_C = target_ranks(Table(torch.zeros(0, 3)), tensor([], dtype=torch.int64), None)
    assert above_C.shape == tied_C.shape == (0,)
    assert top_k(Table(torch.zeros(0, 3)), 2, None)[0].shape == (0, 2)


@given(cases(), st.integers(1, 4), st.integers(1, 12))
def test_ranks_in_tiles_equal_those_of_a_full_sort(case: tuple, items: int, elements: int) -> None:
    rows, targets, seen = case
    with tiles_of(items, elements):
        assert list(zip(*ranks_of(rows, targets), strict=True)) == [
            naive_ranks(*one, []) for one in zip(rows, targets, strict=True)
        ]
        assert list(zip(*ranks_of(rows, targets, seen), strict=True)) == [
            naive_ranks(*one) for one in zip(rows, targets, seen, strict=True)
        ]


@pytest.mark.parametrize("items", [1, 7, 64, 300, 1000])
@pytest.mark.parametrize("order", ["random", "ascending", "descending", "tied"])
def test_the_size_of_a_tile_does_not_matter(items: int, order: str) -> None:
    N, generator = min(300, 50 * items), torch.Generator().manual_seed(0)  # of tiles of one item, 50 are enough
    scores = torch.randn(23, N, generator=generator)
    if order == "tied":
        scores = (2 * scores).round()
    elif order != "random":
        scores = scores.sort(dim=1, descending=order == "descending").values
    targets_C = torch.randint(N, (23,), generator=generator)
    seen = Sequences.of(torch.randint(N, (23, 30), generator=generator).tolist(), N)
    allowed = torch.randperm(N, generator=generator)[: N // 7]
    expected_ranks = [naive_ranks(*one) for one in zip(scores.tolist(), targets_C.tolist(), seen.tolist(), strict=True)]
    with tiles_of(items, 5 * items):
        assert list(zip(*(ranks.tolist() for ranks in target_ranks(Table(scores), targets_C, seen)), strict=True)) == (
            expected_ranks
        )
        for k in (1, 10, N - 1, N + 10):
            for candidates in (None, allowed):
                found, best = top_k(Table(scores), k, seen, candidates)
                others = [] if candidates is None else sorted(set(range(N)) - set(candidates.tolist()))
                for case, hidden in enumerate(seen.tolist()):
                    pairs = list(zip(found[case].tolist(), best[case].tolist(), strict=True))
                    assert pairs == naive_list(scores[case].tolist(), k, hidden + others)


def test_a_nan_in_any_tile_is_refused() -> None:
    for place in range(7):
        row = [1.0] * 7
        row[place] = NAN
        with tiles_of(2, 4):
            with pytest.raises(ScoreError, match="NaN"):
                ranks_of([row], [0], [[place]])
            with pytest.raises(ScoreError, match="NaN"):
                list_of([row], 2, [[place]])


def test_no_more_than_a_tile_is_asked_for_and_all_tiles_are_alike() -> None:
    shapes = []

    class Watched(Table):
        def scores(self, start: int, stop: int) -> Tensor:
            shapes.append((len(self), stop - start))
            return super().scores(start, stop)

        def select(self, rows: Tensor) -> "Watched":
            return Watched(self.scores_CN[rows])

    with tiles_of(8, 24):
        target_ranks(Watched(torch.randn(9, 30)), torch.arange(9), None)
        top_k(Watched(torch.randn(9, 30)), 3, None)
    assert set(shapes) == {(3, 8)}  # four tiles of 30 items, the last of which begins two items early


def test_threads_take_whole_blocks_and_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    table = Table(torch.randint(5, (40, 30), generator=generator).float())
    targets_C, seen = (
        torch.randint(30, (40,), generator=generator),
        Sequences.of([[case % 30] for case in range(40)], 30),
    )
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            with tiles_of(8, 24):
                found.append((*target_ranks(table, targets_C, seen), *top_k(table, 4, seen)))
            assert torch.get_num_threads() == threads
            with pytest.raises(ScoreError, match="NaN"), tiles_of(8, 24):
                target_ranks(Table(torch.full((40, 30), NAN)), targets_C, seen)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for alone, together in zip(*found, strict=True):
        assert torch.equal(alone, together)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_counts_are_exact_in_every_precision(dtype: torch.dtype) -> None:
    scores = torch.arange(3001, dtype=torch.float64).div(2).floor()[None].remainder(1500).to(dtype)
    expected = naive_ranks(scores[0].tolist(), 7, [])
    above_C, tied_C = target_ranks(Table(scores), tensor([7]), None)
    assert (above_C.item(), tied_C.item()) == expected


@pytest.mark.parametrize("row", [[0, NAN, 1], [INF, NAN, 0], [-INF, INF, NAN]])
def test_scores_with_nan_are_refused(row: list[float]) -> None:
    with pytest.raises(ScoreError, match="scores contain NaN, so nothing can be ranked"):
        ranks_of([[1, 2, 3], row], [0, 0])
    with pytest.raises(ScoreError, match="scores contain NaN, so nothing can be ranked"):
        list_of([[1, 2, 3], row], 1)


def test_scores_whose_sum_overflows_are_no_nan() -> None:
    assert ranks_of([[3.4e38, 3.4e38, 0]], [0]) == ([0], [1])


def test_a_nan_among_hidden_items_is_refused_too() -> None:
    with pytest.raises(ScoreError):
        ranks_of([[NAN, 1, 2]], [1], [[0]])
