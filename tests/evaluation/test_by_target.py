"""Metrics by what is known of a target."""

import pytest
import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.evaluation.by_target import kinds_of_target
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.model.baselines import Popularity

COUNTS_N = tensor([5, 4, 3, 2, 1, 0, 0])
SCORER = Popularity().learn(Sequences.of([[item] * int(count) for item, count in enumerate(COUNTS_N)], 7), seed=0)
CASES = Cases.of(Sequences.of([[0], [0], [1, 6], [2], [3]], 7), tensor([1, 5, 6, 2, 4]), COUNTS_N)


def test_every_target_is_warm_cold_or_a_repeat() -> None:
    kinds = kinds_of_target(CASES)
    assert kinds["warm"].tolist() == [True, False, False, False, True]
    assert kinds["cold"].tolist() == [False, True, False, False, False]
    assert kinds["repeated"].tolist() == [False, False, True, True, False]  # item 6 too, though training has it not


def test_each_part_is_counted_and_measured_with_its_interval() -> None:
    found = evaluate(SCORER, CASES, ["hit_rate@1", "mrr@7"])
    assert {kind: (part.cases, part.share) for kind, part in found.by_target.items()} == {
        "warm": (2, 2 / 5),
        "cold": (1, 1 / 5),
        "repeated": (2, 2 / 5),
    }
    warm = found.by_target["warm"]
    assert warm.means == {"hit_rate@1": 1 / 2, "mrr@7": pytest.approx((1 + 1 / 4) / 2)}
    assert warm.intervals["hit_rate@1"] == (0, 1)
    assert found.by_target["cold"].means["mrr@7"] == pytest.approx((1 / 5 + 1 / 6) / 2)  # ties with item 6
    assert found.by_target["repeated"].means["mrr@7"] == 0
    assert found.as_dict()["by_target"]["warm"]["mrr@7"] == warm.means["mrr@7"]  # type: ignore[index]


def test_what_is_repeated_can_be_hit_where_nothing_is_hidden() -> None:
    found = evaluate(SCORER, CASES, ["mrr@7"], ranking=Ranking("nothing")).by_target
    assert found["repeated"].means["mrr@7"] == pytest.approx(((1 / 6 + 1 / 7) / 2 + 1 / 3) / 2)


def test_a_kind_that_nothing_is_of_is_counted_and_has_no_metric() -> None:
    found = evaluate(SCORER, CASES.select(tensor([0, 4])), ["mrr@7", "novelty@1"]).by_target
    assert (found["cold"].cases, found["cold"].share, found["cold"].means) == (0, 0, {})
    assert [*found["warm"].means] == ["mrr@7"]  # a list is of a history, and not of its target


def test_some_targets_of_a_question_are_measured_as_if_they_were_all() -> None:
    histories = Sequences.of([[0, 1], [2]], 7).select(tensor([0, 0, 1]))
    asked = Cases.of(histories, tensor([2, 5, 0]), COUNTS_N)
    found = evaluate(SCORER, asked, ["recall@1", "ndcg@1"]).by_target
    assert found["warm"].means == {"recall@1": 1, "ndcg@1": 1}
    assert found["warm"].cases == 2
    assert found["cold"].means == {"recall@1": 0, "ndcg@1": 0}


def test_without_intervals_or_among_candidates() -> None:
    assert evaluate(SCORER, CASES, ["mrr"], intervals=False).by_target == {}
    found = evaluate(SCORER, CASES, ["mrr"], ranking=Ranking.among("uniform:2")).by_target
    assert [*found["warm"].means] == ["mrr[uniform2]"] == [*found["warm"].intervals]
    assert torch.tensor([part.share for part in found.values()]).sum().item() == pytest.approx(1)
