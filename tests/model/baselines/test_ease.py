"""EASE: the closed form solves what it is said to solve, within the memory that there is."""

import pytest
import torch
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.baselines import EASE

N = 7
TRAIN = [[0, 1, 2, 1], [2, 3], [0, 2, 4], [1, 2, 3, 4], [4], [], [3, 0], [2, 5, 0]]  # nobody has item 6


def ridge(l2: float) -> Tensor:
    """The weights column by column: item j regressed on all others, as if there were no j among them."""
    had_UN = torch.zeros(len(TRAIN), N, dtype=torch.float64)
    for user, history in enumerate(TRAIN):
        had_UN[user, history] = 1
    weights_NN = torch.zeros(N, N, dtype=torch.float64)
    for item in range(N):
        others = torch.arange(N) != item
        left_UM = had_UN[:, others]
        gram_MM = left_UM.T @ left_UM + l2 * torch.eye(N - 1, dtype=torch.float64)
        weights_NN[others, item] = torch.linalg.solve(gram_MM, left_UM.T @ had_UN[:, item])
    return weights_NN


@pytest.mark.parametrize("l2", [0.01, 1.0, 500.0])
def test_the_closed_form_is_the_solution_of_each_regression(l2: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextitem.model.baselines.ease._BLOCK", 3)
    weights_NN = EASE(l2=l2).learn(Sequences.of(TRAIN, N)).weights_NN
    assert weights_NN.diagonal().tolist() == [0] * N
    torch.testing.assert_close(weights_NN, ridge(l2), rtol=1e-9, atol=1e-12)


def test_scores_add_up_the_weights_of_the_items_that_were_had() -> None:
    scorer = EASE(l2=1.0).learn(Sequences.of(TRAIN, N))
    scores_CN = scorer.query(Sequences.of([[0, 4, 0], [6], []], N)).scores(0, N)
    assert scores_CN.dtype == torch.float64
    torch.testing.assert_close(scores_CN[0], ridge(1.0)[[0, 4]].sum(0), rtol=1e-9, atol=1e-12)  # once, however often
    assert scores_CN[1].tolist() == [0] * N
    assert scores_CN[2].tolist() == [4, 3, 5, 3, 3, 1, 0]  # of nobody's history popularity is left


def test_strips_of_the_weights_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    query = EASE(l2=1.0).learn(Sequences.of(TRAIN, N)).query(Sequences.of(TRAIN, N))
    whole = query.scores(0, N)
    monkeypatch.setattr("nextitem.model.baselines.ease._OFTEN", 0)
    monkeypatch.setattr("nextitem.model.baselines.ease._STRIP", 3)
    assert torch.equal(query.select(torch.arange(len(TRAIN))).scores(0, N), whole)


def test_in_float32_it_is_the_same_to_its_digits() -> None:
    scorer = EASE(l2=1.0, precision="float32").learn(Sequences.of(TRAIN, N))
    assert scorer.weights_NN.dtype == torch.float32
    torch.testing.assert_close(scorer.weights_NN.double(), ridge(1.0), rtol=1e-4, atol=1e-6)
    assert scorer.query(Sequences.of([[0]], N)).scores(0, N).dtype == torch.float64


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        (
            "float64",
            r"ease takes 24.0 GB for 31,623 items, 3 matrices of all pairs, and 2.0 GB are .*; model.pre",
        ),
        (
            "float32",
            r"ease takes 12.0 GB for 31,623 items, 3 matrices of all pairs, and 2.0 GB are available; leave",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_taken(
    precision: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextitem.model.baselines.ease.available", lambda _: 2 * 10**9)
    with pytest.raises(ConfigurationError, match=words):
        EASE(precision=precision).learn(Sequences.of([[0, 1]], 31_623))


def test_a_weight_too_small_for_the_precision_is_refused() -> None:
    train = Sequences.of([[0, 1]] * 3, 2)  # two equal columns: without l2 there is no solution
    with pytest.raises(ConfigurationError, match=r"model.l2=1e-12 is too small beside the rounding of float32"):
        EASE(l2=1e-12, precision="float32").learn(train)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"weights": torch.zeros(2, 3).double()}, r"weights is \(2, 3\) and should be \(2, 2\)"),
        ({"weights": torch.eye(2).double()}, "no item should have a weight for itself"),
        ({"weights": torch.zeros(2, 2)}, "float32 and should have 2 dimensions of float64"),
        ({"popularity": tensor([-1.0, 0.0]).double()}, "at least 0"),
    ],
)
def test_tensors_of_others_are_refused(changed: dict[str, Tensor], fault: str) -> None:
    stored = {"weights": torch.zeros(2, 2).double(), "popularity": torch.zeros(2).double()}
    EASE().restore(stored)
    with pytest.raises(ValueError, match=fault):
        EASE().restore({**stored, **changed})
