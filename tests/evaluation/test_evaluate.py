import json
from dataclasses import replace
from math import log2

import pytest
import torch
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError, ScoreError
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.metrics import DEFAULT_METRICS
from nextitem.evaluation.ranking import Ranking

N = 8


class FixedQuery:
    """One row of scores for every history."""

    def __init__(self, scores_N: Tensor, cases: int) -> None:
        self.scores_N = scores_N
        self.cases = cases
        self.number_of_items = len(scores_N)

    def __len__(self) -> int:
        return self.cases

    def scores(self, start: int, stop: int) -> Tensor:
        return self.scores_N[start:stop].repeat(self.cases, 1)

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        return self.scores_N[ids_CK]

    def select(self, rows: Tensor) -> "FixedQuery":
        return FixedQuery(self.scores_N, len(rows))


class Fixed:
    """The same scores for everyone."""

    def __init__(self, scores: list[float]) -> None:
        self.scores_N = tensor(scores, dtype=torch.float32)

    def query(self, histories: Sequences) -> FixedQuery:
        return FixedQuery(self.scores_N, len(histories))


class Untouchable:
    """A scorer that must not be asked."""

    def query(self, histories: Sequences) -> FixedQuery:
        raise AssertionError("scores were computed")


def cases_of(histories: list[list[int]], targets: list[int], untrained: tuple[int, ...] = ()) -> Cases:
    counts_N = tensor([int(item not in untrained) for item in range(N)])
    return Cases.of(Sequences.of(histories, N), tensor(targets, dtype=torch.int64), counts_N, "ml-1m")


NOTHING_HIDDEN = Ranking(hidden="nothing")
DESCENDING = Fixed([8, 7, 6, 5, 4, 3, 2, 1])  # item 0 is the best
CASES = cases_of([[0], [0, 2], [5]], [1, 4, 2])


def test_values_are_those_of_every_case_and_means_are_theirs() -> None:
    found = evaluate(DESCENDING, CASES, ["ndcg@10", "hit_rate@1", "mrr@2"])
    # With their histories hidden, the targets come first, third (after 1 and 3) and third (after 0 and 1).
    assert found.above_C.tolist() == [0, 2, 2]
    assert found.tied_C.tolist() == [0, 0, 0]
    assert found.values["hit_rate@1"].tolist() == [1, 0, 0]
    assert found.values["mrr@2"].tolist() == [1, 0, 0]
    assert found.means["ndcg@10"] == pytest.approx((1 + 2 / log2(4)) / 3)
    assert found.means["hit_rate@1"] == pytest.approx(1 / 3)
    assert found.users_C.tolist() == [0, 1, 2]


def test_seen_items_are_rivals_where_nothing_is_hidden() -> None:
    found = evaluate(DESCENDING, CASES, ["hit_rate@3"], ranking=NOTHING_HIDDEN)
    assert found.above_C.tolist() == [1, 4, 2]
    assert found.means["hit_rate@3"] == pytest.approx(2 / 3)


def test_a_target_that_repeats_its_history_counts_as_missed() -> None:
    repeated = cases_of([[1, 0, 1], [3]], [0, 0])
    assert evaluate(DESCENDING, repeated, ["hit_rate@1"]).values["hit_rate@1"].tolist() == [0, 1]
    assert evaluate(DESCENDING, repeated, ["hit_rate@1"], ranking=NOTHING_HIDDEN).means["hit_rate@1"] == 1


@pytest.mark.parametrize("metric", ["hit_rate", "ndcg", "mrr", "recall", "precision", "map"])
def test_a_k_beyond_the_catalogue_counts_as_its_size(metric: str) -> None:
    beyond = [f"{metric}@{k}" for k in (N + 1, 9_999_999_999, 10**30)]
    found = evaluate(DESCENDING, CASES, [f"{metric}@{N}", *beyond])
    assert set(found.means.values()) == {found.means[f"{metric}@{N}"]}


def test_a_constant_scorer_earns_chance_level() -> None:
    targets = cases_of([[]] * N, list(range(N)))
    found = evaluate(Fixed([0.0] * N), targets, ["hit_rate@1", "hit_rate@3", "hit_rate@8"])
    assert found.means == pytest.approx({"hit_rate@1": 1 / N, "hit_rate@3": 3 / N, "hit_rate@8": 1})


def test_no_model_of_ids_hits_more_than_the_ceiling() -> None:
    # Of four targets one was never trained, one repeats its history, and one does both.
    cases = cases_of([[1], [2], [3], [7]], [0, 7, 3, 7], untrained=(7,))
    assert evaluate(DESCENDING, cases, ["hit_rate@10"]).ceiling == 1 / 4
    assert evaluate(DESCENDING, cases, ["hit_rate@10"], ranking=NOTHING_HIDDEN).ceiling == 2 / 4


def test_what_a_model_rules_out_is_its_miss_and_leaves_the_ceiling() -> None:
    found = evaluate(Fixed([8, 7, 6, 5, -torch.inf, 3, 2, 1]), CASES, [f"hit_rate@{N}"])
    assert found.values[f"hit_rate@{N}"].tolist() == [1, 0, 1]  # the second target is item 4
    assert found.ceiling == 1


def test_the_certificate_says_what_was_measured() -> None:
    certificate = evaluate(DESCENDING, CASES, ["ndcg@10"]).certificate
    assert certificate.dataset == "ml-1m"
    assert certificate.split == CASES.sha256
    assert (certificate.cases, certificate.candidates) == (3, N)
    assert (certificate.hidden, certificate.ties, certificate.ranking) == ("history", "expectation", "full")
    assert certificate.metrics == ("ndcg@10",)


def test_certificates_are_equal_only_for_equal_measurements() -> None:
    one = evaluate(DESCENDING, CASES, ["ndcg@10"]).certificate
    assert one == evaluate(Fixed([0.0] * N), CASES, ["ndcg@10"]).certificate  # whatever was measured
    assert one != evaluate(DESCENDING, CASES, ["ndcg@10"], ranking=NOTHING_HIDDEN).certificate
    assert one != evaluate(DESCENDING, CASES, ["ndcg@5"]).certificate
    assert one != evaluate(DESCENDING, CASES.select(tensor([0, 1])), ["ndcg@10"]).certificate
    assert one != evaluate(DESCENDING, replace(CASES, dataset="other"), ["ndcg@10"]).certificate


def test_an_interval_holds_its_mean_and_is_the_same_again() -> None:
    found = evaluate(DESCENDING, CASES)
    assert set(found.means) == set(found.intervals) == set(DEFAULT_METRICS)
    for name, (low, high) in found.intervals.items():
        assert low <= found.means[name] <= high
    assert found.intervals == evaluate(DESCENDING, CASES).intervals


def test_another_seed_draws_another_interval() -> None:
    many = cases_of([[]] * 40, [item % N for item in range(40)])
    one, other = (evaluate(DESCENDING, many, ["mrr@10"], interval_seed=seed) for seed in (0, 1))
    assert one.intervals != other.intervals
    assert one.means == other.means


def test_without_intervals_the_rest_of_a_report_is_the_same() -> None:
    plain, whole = (evaluate(DESCENDING, CASES, ["ndcg@10"], intervals=asked) for asked in (False, True))
    assert plain.intervals == {}
    told = {name: one for name, one in whole.as_dict().items() if name != "by_target"}
    assert plain.as_dict() == {**told, "intervals": {}}


def test_a_report_is_plain_values_for_json() -> None:
    found = evaluate(DESCENDING, CASES, ["ndcg@10", "hit_rate@1"])
    stored = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert stored["hit_rate@1"] == pytest.approx(1 / 3)
    assert stored["ndcg@10"] == found.means["ndcg@10"]
    assert stored["intervals"]["hit_rate@1"] == list(found.intervals["hit_rate@1"])
    assert stored["ceiling"] == 1
    assert stored["certificate"]["metrics"] == ["ndcg@10", "hit_rate@1"]
    assert stored["certificate"]["split"] == CASES.sha256


def test_an_unknown_metric_is_refused_before_anything_is_scored() -> None:
    with pytest.raises(ConfigurationError, match="unknown metric 'recal@10'"):
        evaluate(Untouchable(), CASES, ["ndcg@10", "recal@10"])


def test_no_metric_is_refused_before_anything_is_scored() -> None:
    with pytest.raises(ConfigurationError, match="no metric to report; name at least one, such as 'ndcg@10'"):
        evaluate(Untouchable(), CASES, [])


def test_no_case_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one case, got 0"):
        evaluate(DESCENDING, cases_of([], []))


def test_scores_with_nan_are_refused() -> None:
    with pytest.raises(ScoreError, match="NaN"):
        evaluate(Fixed([0.0] * (N - 1) + [torch.nan]), CASES)


def test_cases_are_not_changed_by_an_evaluation() -> None:
    before = CASES.sha256, CASES.histories.tolist(), CASES.targets_C.tolist()
    evaluate(DESCENDING, CASES)
    again = Cases.of(CASES.histories, CASES.targets_C, CASES.counts_N)
    assert (again.sha256, CASES.histories.tolist(), CASES.targets_C.tolist()) == before
