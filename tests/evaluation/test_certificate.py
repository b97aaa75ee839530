"""What a number was measured on, and in which words two of them differ."""

from dataclasses import fields, replace

import pytest
import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.ranking import FULL, Ranking

CASES = Cases.of(Sequences.of([[0, 1], [2]], 6), tensor([2, 3]), torch.ones(6, dtype=torch.int64), "ml-1m")
CERTIFICATE = Certificate.of(CASES, FULL, ("ndcg@10", "mrr"))


def test_it_is_made_of_cases_ranking_and_metrics() -> None:
    expected = Certificate("ml-1m", CASES.sha256, 2, "history", "expectation", "full", 6, ("ndcg@10", "mrr"))
    assert expected == CERTIFICATE
    sampled = Certificate.of(CASES, Ranking.among("uniform:3", seed=5), ("mrr[uniform3]",))
    assert (sampled.ranking, sampled.candidates) == ("uniform:3, seed 5", 4)


def test_equal_ones_differ_in_nothing() -> None:
    assert CERTIFICATE.differences(Certificate.of(CASES, FULL, ["ndcg@10", "mrr"])) == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dataset": "beauty"}, "dataset ml-1m and beauty"),
        ({"split": "0123456789abcdef" * 4}, f"split {CASES.sha256[:12]}… and 0123456789ab…"),
        ({"cases": 6040}, "cases 2 and 6,040"),
        ({"hidden": "nothing"}, "hidden history and nothing"),
        ({"ties": "by index"}, "ties expectation and by index"),
        ({"ranking": "popularity:100, seed 0"}, "ranking full and popularity:100, seed 0"),
        ({"candidates": 101}, "candidates 6 and 101"),
        ({"metrics": ("mrr",)}, "metrics ndcg@10 mrr and mrr"),
        ({"metrics": ()}, "metrics ndcg@10 mrr and none"),
        ({"hidden": "nothing", "cases": 3}, "cases 2 and 3; hidden history and nothing"),
    ],
)
def test_what_differs_is_told_in_words(change: dict[str, object], told: str) -> None:
    assert CERTIFICATE.differences(replace(CERTIFICATE, **change)) == told  # type: ignore[arg-type]


def test_without_metrics_it_tells_of_cases_and_ranking_alone() -> None:
    other = replace(CERTIFICATE, metrics=("hit_rate@1",))
    assert CERTIFICATE.without_metrics() == other.without_metrics()
    assert CERTIFICATE.as_dict() == {**CERTIFICATE.without_metrics().as_dict(), "metrics": ("ndcg@10", "mrr")}


def test_no_field_differs_unnoticed() -> None:
    for field in fields(CERTIFICATE):
        if field.name == "rule":
            continue
        other = replace(CERTIFICATE, **{field.name: "another"})  # type: ignore[arg-type]
        assert CERTIFICATE.differences(other).startswith(f"{field.name} ") is field.compare
        assert (other == CERTIFICATE) is not field.compare


def test_the_rule_is_told_where_cases_differ_and_decides_nothing_where_they_do_not() -> None:
    """What was stored before there were rules has none, and compares with what has one."""
    ruled = replace(CERTIFICATE, rule="temporal")
    assert ruled == CERTIFICATE
    assert ruled.differences(CERTIFICATE) == ""
    of_others = replace(CERTIFICATE, split="other", rule="users")
    assert ruled.differences(of_others).endswith("; rule temporal and users")
    assert ruled.as_dict() == {**CERTIFICATE.as_dict(), "rule": "temporal"}
    assert "rule" not in CERTIFICATE.as_dict()
