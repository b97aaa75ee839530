"""Item-kNN: similarities of columns, added up over a history."""

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines import ItemKNN

N = 5
WEIGHTINGS = ("bm25", "tfidf", "cosine")
histories = st.lists(st.lists(st.integers(0, N - 1), max_size=6), min_size=1, max_size=6)


def weighed(train: list[list[int]], weighting: str) -> Tensor:
    """Each item's column of weights, shape (N, U), by the formulas."""
    counts = torch.zeros(N, len(train), dtype=torch.float64)
    for user, history in enumerate(train):
        for item in history:
            counts[item, user] += 1
    idf_U = torch.tensor([math.log(N) - math.log1p(len(set(history))) for history in train], dtype=torch.float64)
    if weighting == "bm25":
        lengths = counts.sum(1)
        norm = 0.25 + 0.75 * lengths / lengths.mean()
        return counts * 2.2 / (1.2 * norm[:, None] + counts) * idf_U
    columns = counts.sqrt() * idf_U if weighting == "tfidf" else counts
    return torch.nn.functional.normalize(columns, dim=1, eps=1e-300)


def naive(train: list[list[int]], weighting: str, history: list[int], decay: float) -> Tensor:
    """The score of every item when all neighbours are kept."""
    columns = weighed(train, weighting)
    similar = (columns @ columns.T).fill_diagonal_(0)
    sums = torch.zeros(N, dtype=torch.float64)
    for steps, item in enumerate(reversed(history)):
        sums += decay**steps * similar[item]
    events = sum(map(len, train))
    popularity = tensor([sum(history.count(item) for history in train) for item in range(N)], dtype=torch.float64)
    return sums.where(sums > 0, popularity / (events + 1) - 1)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@given(train=histories, asked=histories, decay=st.sampled_from([1.0, 0.5]))
def test_scores_equal_naive_similarities(
    weighting: Any, train: list[list[int]], asked: list[list[int]], decay: float
) -> None:
    columns = weighed(train, weighting)
    similar = (columns @ columns.T).fill_diagonal_(0)
    assume(float(similar.max()) > 1e-9)
    scorer = ItemKNN(weighting=weighting, neighbours=N, decay=decay).learn(Sequences.of(train, N))
    expected = torch.stack([naive(train, weighting, history, decay) for history in asked])
    found = scorer.query(Sequences.of(asked, N)).scores(0, N)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_only_the_most_similar_neighbours_count() -> None:
    train = Sequences.of([[0, 1], [0, 1], [0, 1, 2], [0, 3]], 6)
    one, all_of_them = (
        ItemKNN(weighting="cosine", neighbours=neighbours).learn(train).query(Sequences.of([[0]], 6)).scores(0, 6)[0]
        for neighbours in (1, 5)
    )
    assert (one > 0).tolist() == [False, True, False, False, False, False]
    assert (all_of_them > 0).tolist() == [False, True, True, True, False, False]
    assert float(one[1]) == float(all_of_them[1]) == pytest.approx(3 / math.sqrt(4 * 3))


def test_items_of_equal_neighbours_tie_exactly() -> None:
    train = Sequences.of([[0, 1, 2, 3], [1, 2, 4, 0], [0, 3, 4], [3, 1, 2]], 6)
    scores = ItemKNN().learn(train).query(Sequences.of([[0, 3, 4], [4, 3]], 6)).scores(0, 6)
    assert torch.equal(scores[:, 1], scores[:, 2])
    assert bool((scores[:, 1] > 0).all())


@pytest.mark.parametrize("train", [[[0], [1], []], [[2, 2]], [[]]])
def test_where_nobody_has_two_items_nothing_is_similar(train: list[list[int]]) -> None:
    with pytest.raises(DataError, match=r"no two items are similar, .* baseline popularity"):
        ItemKNN().learn(Sequences.of(train, N))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"starts": tensor([0, 1, 1, 2])}, "starts has 4 numbers and should have 3"),
        ({"starts": tensor([0, 2, 1])}, "starts should ascend from 0 to 2"),
        ({"others": tensor([1, 2])}, "items should be below 2"),
        ({"others": tensor([1, 1]), "starts": tensor([0, 2, 2])}, "the items of a row should ascend"),
        ({"similarities": tensor([1.0]).double()}, "similarities has 1 numbers and others 2"),
        ({"similarities": tensor([1.0, 0.0]).double()}, "similarities should be above 0"),
    ],
)
def test_tensors_of_others_are_refused(changed: dict[str, Tensor], fault: str) -> None:
    stored = {
        "starts": tensor([0, 1, 2]), "others": tensor([1, 0]),
        "similarities": tensor([1.0, 1.0]).double(), "popularity": tensor([1.0, 1.0]).double(),
    }  # fmt: skip
    ItemKNN().restore(stored)
    with pytest.raises(ValueError, match=fault):
        ItemKNN().restore({**stored, **changed})
