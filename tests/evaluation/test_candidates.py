"""Sampled metrics: what a target is ranked among, how it ranks there, and that nobody takes it for a full rank."""

from math import log2

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn, tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError, ScoreError
from nextitem.evaluation.candidates import Candidates
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.metrics import SAMPLED_METRICS
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.ranks import candidate_ranks, target_ranks
from nextitem.model.baselines import Popularity
from nextitem.model.items.tied import TiedItems
from nextitem.model.state_query import StateQuery

KINDS = ["popularity:3", "uniform:3"]
N = 12
COUNTS_N = tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 1000])


def cases_of(histories: list[list[int]], targets: list[int], counts_N: Tensor = COUNTS_N) -> Cases:
    return Cases.of(Sequences.of(histories, len(counts_N)), tensor(targets, dtype=torch.int64), counts_N)


CASES = cases_of([[0, 11], [], [3, 3, 10], [1, 2, 4, 5, 6, 7, 8]], [10, 4, 7, 9])


@settings(max_examples=50)
@given(
    histories=st.lists(st.lists(st.integers(0, N - 1), max_size=7), min_size=1, max_size=6),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_case_draws_distinct_items_that_are_neither_its_target_nor_seen(
    histories: list[list[int]], kind: str, seed: int
) -> None:
    cases = cases_of(histories, [len(history) % N for history in histories])
    drawn = Candidates.parse(kind, seed).draw(cases)
    assert drawn.shape == (len(cases), 3)
    for ids, history, target in zip(drawn.tolist(), histories, cases.targets_C.tolist(), strict=True):
        assert len({*ids}) == 3
        assert not {*ids} & {*history, target}
        assert kind != "popularity:3" or 0 not in ids  # it occurs in no training event


@pytest.mark.parametrize("kind", KINDS)
def test_draws_follow_from_cases_and_seed(kind: str) -> None:
    first, again, other = (Candidates.parse(kind, seed).draw(CASES) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_very_last_items_can_be_drawn_and_fewer_are_an_error() -> None:
    few = cases_of(
        [[], [1, 2, 4, 5, 6, 7, 8]], [1, 9]
    )  # 0 was never trained, so three are left to the second: 3, 10, 11
    assert Candidates.parse("popularity:3").draw(few)[1].sort().values.tolist() == [3, 10, 11]
    assert Candidates.parse("uniform:4").draw(few)[1].sort().values.tolist() == [0, 3, 10, 11]
    with pytest.raises(
        ConfigurationError,
        match=r"popularity:4 cannot be drawn: case 1, with 7 events, leaves 3 of 12 items; ask for fewer, or rank them",
    ):
        Candidates.parse("popularity:4").draw(few)


@pytest.mark.parametrize("count", [1, 2])
def test_popularity_draws_without_replacement_in_proportion(count: int) -> None:
    """Of weights 1, 2, 3 and 4 the last is forbidden: first draws are 1, 2, 3 of 6, second ones of what is left."""
    weights = [1, 2, 3]
    cases, rows = cases_of([[3]] * 30_000, [4] * 30_000, tensor([*weights, 4, 5])), 30_000
    drawn = Candidates.parse(f"popularity:{count}").draw(cases)
    first = [weight / 6 for weight in weights]
    second = [
        sum(first[j] * weights[i] / (6 - weights[j]) for j in range(3) if j != i) if count == 2 else 0.0
        for i in range(3)
    ]
    share = torch.bincount(drawn.flatten(), minlength=5) / rows
    expected = tensor([*(one + two for one, two in zip(first, second, strict=True)), 0, 0])
    torch.testing.assert_close(share, expected, atol=0.012, rtol=0)  # four standard deviations of a share of 1/2


def test_rows_that_repeats_leave_short_are_completed_in_proportion() -> None:
    """After 11 and 10, which take nearly all draws, come the others as their weights say: 9 of 45 for item 9."""
    heavy_N = torch.where(COUNTS_N >= 100, COUNTS_N * 10**9, COUNTS_N)
    cases = cases_of([[0]] * 4_000, [0] * 4_000, heavy_N)
    drawn = Candidates.parse("popularity:3").draw(cases)
    assert drawn[:, :2].sort(1).values.unique(dim=0).tolist() == [[10, 11]]
    share = torch.bincount(drawn[:, 2], minlength=N) / len(cases)
    torch.testing.assert_close(share[:10], torch.arange(10) / 45, atol=0.026, rtol=0)


def test_blocks_of_cases_do_not_repeat_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextitem.evaluation.candidates._BLOCK_ELEMENTS", 5 * N)  # five cases at a time
    drawn = Candidates.parse("uniform:3").draw(cases_of([[]] * 20, [0] * 20))
    assert len(drawn.unique(dim=0)) > 10


@pytest.mark.parametrize("text", ["popular:100", "uniform", "uniform:0", "popularity:-1", "100", "popularity:1e2", ""])
def test_candidates_of_no_known_kind_are_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"are of no known kind; write popularity:K or uniform:K"):
        Candidates.parse(text)


# Ranks.


class Fixed:
    """The same scores for everyone."""

    def __init__(self, scores_N: Tensor) -> None:
        self.scores_N = scores_N

    def query(self, histories: Sequences) -> StateQuery:
        items = TiedItems(len(self.scores_N), 1)
        items.weight_Nd = nn.Parameter(self.scores_N[:, None])
        return StateQuery(torch.ones(len(histories), 1), items)


def test_ranks_count_candidates_alone() -> None:
    query = Fixed(tensor([5.0, 4, 4, 4, 3, 2, 1, 0])).query(Sequences.of([[]] * 3, 8))
    ids_CK = tensor([[0, 2, 3], [4, 5, 6], [0, 1, 2]])
    above_C, tied_C = candidate_ranks(query, tensor([1, 0, 7]), ids_CK, None)
    assert above_C.tolist() == [1, 0, 3]
    assert tied_C.tolist() == [2, 0, 0]
    assert above_C.dtype == tied_C.dtype == torch.float64


def test_all_other_items_as_candidates_give_the_full_rank() -> None:
    draws = torch.Generator().manual_seed(0)
    targets_C, histories = torch.randint(N, (40,), generator=draws), Sequences.of([[]] * 40, N)
    items = TiedItems(N, 3)
    items.weight_Nd = nn.Parameter(torch.randint(-2, 3, (N, 3), generator=draws).float())  # with ties
    query = StateQuery(torch.randint(-2, 3, (40, 3), generator=draws).float(), items)
    others = torch.stack([torch.arange(N)[torch.arange(N) != target] for target in targets_C])
    sampled, full = candidate_ranks(query, targets_C, others, histories), target_ranks(query, targets_C, histories)
    assert torch.equal(torch.stack(sampled), torch.stack(full))
    assert float(full[1].sum()) > 0


def test_a_hidden_target_is_missed_among_candidates_too() -> None:
    found = evaluate(
        Fixed(torch.arange(N, 0, -1.0)), cases_of([[0], [1]], [0, 0]), ["hit_rate@1"],
        ranking=Ranking.among("uniform:3"),
    )  # fmt: skip
    assert found.values["hit_rate@1[uniform3]"].tolist() == [0, 1]
    assert found.above_C.tolist() == [torch.inf, 0]


def test_a_target_that_scores_minus_infinity_is_missed_even_among_others_that_do() -> None:
    found = evaluate(
        Fixed(torch.full((N,), -torch.inf)), cases_of([[0], [1]], [2, 3]), ["hit_rate@4", "mrr"],
        ranking=Ranking.among("uniform:3"),
    )  # fmt: skip
    assert [value.tolist() for value in found.values.values()] == [[0, 0], [0, 0]]
    assert found.above_C.tolist() == [torch.inf, torch.inf]


def test_equal_vectors_tie_among_candidates_and_earn_chance_level() -> None:
    draws = torch.Generator().manual_seed(0)
    items = TiedItems(500, 64)
    items.weight_Nd = nn.Parameter(torch.randn(1, 64, generator=draws).expand(500, -1).clone())
    query = StateQuery(torch.randn(600, 64, generator=draws), items)
    _, tied_C = candidate_ranks(query, torch.zeros(600, dtype=torch.int64), torch.arange(1, 101).expand(600, -1), None)
    assert tied_C.tolist() == [100] * 600


def test_a_score_that_is_nan_is_an_error() -> None:
    scores_N = torch.zeros(N)
    scores_N[5] = torch.nan
    with pytest.raises(ScoreError, match="the model's scores contain NaN"):
        candidate_ranks(Fixed(scores_N).query(Sequences.of([[]], N)), tensor([0]), tensor([[4, 5]]), None)


# Reports.


def test_every_metric_is_labelled_and_the_certificate_tells_the_draw() -> None:
    ranking = Ranking.among("popularity:3", seed=7)
    found = evaluate(Popularity().learn(Sequences.of([[1, 2, 3]], N), seed=0), CASES, ranking=ranking)
    full = evaluate(Popularity().learn(Sequences.of([[1, 2, 3]], N), seed=0), CASES)
    assert all(name.endswith("[pop3]") for name in [*found.values, *found.intervals, *found.certificate.metrics])
    assert (found.certificate.ranking, found.certificate.candidates) == ("popularity:3, seed 7", 4)
    assert (full.certificate.ranking, full.certificate.candidates) == ("full", N)
    assert not {*found.values} & {*full.values}
    other = evaluate(
        Popularity().learn(Sequences.of([[1, 2, 3]], N), seed=0), CASES, ranking=Ranking.among("popularity:3")
    )
    assert other.certificate != found.certificate


def test_values_are_those_of_the_rank_among_candidates() -> None:
    candidates = Candidates.parse("uniform:3")
    scores_N = torch.arange(N, 0, -1.0)
    found = evaluate(Fixed(scores_N), CASES, SAMPLED_METRICS, ranking=Ranking(candidates=candidates))
    above = [
        sum(int(scores_N[item] > scores_N[target]) for item in ids)
        for ids, target in zip(candidates.draw(CASES).tolist(), CASES.targets_C.tolist(), strict=True)
    ]
    assert found.values["ndcg@5[uniform3]"].tolist() == pytest.approx([1 / log2(n + 2) for n in above])
    assert found.values["mrr[uniform3]"].tolist() == pytest.approx([1 / (n + 1) for n in above])
    assert found.values["hit_rate@1[uniform3]"].tolist() == [float(n == 0) for n in above]


def test_a_constant_scorer_earns_chance_level_among_candidates() -> None:
    found = evaluate(Fixed(torch.zeros(N)), CASES, ["hit_rate@1"], ranking=Ranking.among("uniform:3"))
    assert found.means == {"hit_rate@1[uniform3]": 1 / 4}
