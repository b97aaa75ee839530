import ast
from importlib.resources import files
from itertools import permutations
from math import inf, log2
from pathlib import Path

import ir_measures
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import AP, RR, R, Success, nDCG
from torch import Tensor, tensor

from nextitem.errors import ConfigurationError
from nextitem.evaluation.metrics import (
    AGGREGATE_METRICS,
    LIST_METRICS,
    QUESTION_METRICS,
    TARGET_METRICS,
    TargetMetric,
    average_precision,
    hit_rate,
    mrr,
    ndcg,
    parse_metrics,
    rank_metrics,
    recall,
)
from nextitem.evaluation.values import values

RANK_METRICS: dict[str, TargetMetric] = {**TARGET_METRICS, **QUESTION_METRICS}  # type: ignore[dict-item]
GAINS = {  # of a rank within the first k, where a question has one target
    "hit_rate": lambda rank, k: 1,
    "mrr": lambda rank, k: 1 / rank,
    "ndcg": lambda rank, k: 1 / log2(rank + 1),
    "recall": lambda rank, k: 1,
    "precision": lambda rank, k: 1 / k,
    "map": lambda rank, k: 1 / rank,
}
every_metric = pytest.mark.parametrize("name", RANK_METRICS)


def doubles(*values: float) -> Tensor:
    return tensor(values, dtype=torch.float64)


def without_ties(metric: TargetMetric, above: list[float], k: int) -> list[float]:
    values: list[float] = metric(doubles(*above), torch.zeros(len(above), dtype=torch.float64), k).tolist()
    return values


# by hand


def test_hit_rate_is_one_within_the_list_and_zero_beyond() -> None:
    assert without_ties(hit_rate, [0, 2, 3, 100], k=3) == [1, 1, 0, 0]


def test_ndcg_falls_with_the_logarithm_of_the_rank() -> None:
    expected = [1 / log2(2), 1 / log2(3), 1 / log2(4), 0]
    assert without_ties(ndcg, [0, 1, 2, 3], k=3) == pytest.approx(expected, abs=1e-15)


def test_mrr_is_one_over_the_rank() -> None:
    assert without_ties(mrr, [0, 1, 2, 3], k=3) == pytest.approx([1 / 1, 1 / 2, 1 / 3, 0], abs=1e-15)


def test_two_tied_for_the_second_place_share_its_gain_and_the_next() -> None:
    above_C, tied_C = doubles(1), doubles(1)
    assert hit_rate(above_C, tied_C, 2).tolist() == [1 / 2]
    assert ndcg(above_C, tied_C, 10).item() == pytest.approx((1 / log2(3) + 1 / log2(4)) / 2)
    assert mrr(above_C, tied_C, 10).item() == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert mrr(above_C, tied_C, 2).item() == pytest.approx((1 / 2 + 0) / 2)


@every_metric
def test_a_target_that_cannot_be_ranked_earns_nothing(name: str) -> None:
    assert RANK_METRICS[name](doubles(inf), doubles(0), 10).tolist() == [0]


@every_metric
def test_values_are_double_precision_and_one_per_case(name: str) -> None:
    values = RANK_METRICS[name](doubles(0, 1, 2), doubles(0, 5, 0), 10)
    assert (values.dtype, values.shape) == (torch.float64, (3,))
    for above_C in (doubles(0, 1, 2).float(), torch.tensor([0, 1, 2])):
        assert torch.equal(RANK_METRICS[name](above_C, doubles(0, 5, 0).to(above_C.dtype), 10), values)
    assert RANK_METRICS[name](doubles(), doubles(), 10).shape == (0,)


@every_metric
def test_ranks_are_not_changed(name: str) -> None:
    above_C, tied_C = doubles(0, inf), doubles(3, 0)
    RANK_METRICS[name](above_C, tied_C, 2)
    assert (above_C.tolist(), tied_C.tolist()) == ([0, inf], [3, 0])


# laws


@every_metric
@pytest.mark.parametrize("above", range(4))
@pytest.mark.parametrize("tied", range(5))
def test_a_tie_earns_the_average_over_every_order(name: str, above: int, tied: int) -> None:
    group = ["target", *range(tied)]
    orders = list(permutations(group))
    for k in range(1, 9):
        ranks = [above + 1 + order.index("target") for order in orders]
        expected = sum(GAINS[name](rank, k) if rank <= k else 0 for rank in ranks) / len(orders)
        found = RANK_METRICS[name](doubles(above), doubles(tied), k).item()
        assert found == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_constant_scorer_earns_chance_level(items: int, k: int) -> None:
    assert hit_rate(doubles(0), doubles(items - 1), k).item() == pytest.approx(min(k / items, 1), rel=1e-12)


@every_metric
@given(above=st.integers(0, 60), tied=st.integers(0, 60), k=st.integers(1, 50))
def test_values_lie_in_the_unit_interval_and_fall_with_rivals(name: str, above: int, tied: int, k: int) -> None:
    metric = RANK_METRICS[name]
    here = metric(doubles(above), doubles(tied), k).item()
    assert 0 <= here <= 1
    assert metric(doubles(above + 1), doubles(tied), k).item() <= here + 1e-12
    assert metric(doubles(above), doubles(tied + 1), k).item() <= here + 1e-12
    found = here * (k if name == "precision" else 1)  # which is a share of k
    assert metric(doubles(above), doubles(tied), k + 1).item() * (k + 1 if name == "precision" else 1) >= found - 1e-12


@pytest.mark.parametrize("k", [1, 5, 10])
def test_values_equal_those_of_an_outside_library(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores_CN = torch.rand(40, 30, generator=generator, dtype=torch.float64)
    targets_C = torch.randint(30, (40,), generator=generator)
    above_C = (scores_CN > scores_CN.gather(1, targets_C[:, None])).sum(1).double()
    tied_C = torch.zeros_like(above_C)
    run = {
        f"case {case:02}": {str(item): score for item, score in enumerate(scores)}
        for case, scores in enumerate(scores_CN.tolist())
    }
    truth = {f"case {case:02}": {str(target): 1} for case, target in enumerate(targets_C.tolist())}
    ours = {Success @ k: hit_rate, R @ k: recall, nDCG @ k: ndcg, RR @ k: mrr, AP @ k: average_precision}
    theirs: dict[object, dict[str, float]] = {measure: {} for measure in ours}
    for one in ir_measures.iter_calc(list(ours), truth, run):
        theirs[one.measure][one.query_id] = one.value
    for measure, metric in ours.items():
        expected = [theirs[measure][case] for case in sorted(run)]
        assert metric(above_C, tied_C, k).tolist() == pytest.approx(expected, abs=1e-12)
    assert 0 < above_C.lt(k).double().mean() < 1  # some hits, some misses


# names


def test_a_name_gives_function_and_length() -> None:
    found = rank_metrics(["ndcg@10", "hit_rate@1", "mrr@100"])
    assert found.of_questions == {"ndcg@10": (ndcg, 10)}
    assert found.of_targets == {"hit_rate@1": (hit_rate, 1), "mrr@100": (mrr, 100)}


def test_mrr_alone_is_not_cut() -> None:
    function, k = rank_metrics(["mrr"]).of_targets["mrr"]
    assert function is mrr
    assert k > 10**15


@pytest.mark.parametrize(
    "name", ["ndgc@10", "ndcg", "ndcg@0", "ndcg@-1", "ndcg@1.5", "ndcg@010", "ndcg@10 ", "@10", ""]
)
def test_another_name_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_metrics([name])
    known = ", ".join(f"{metric}@k" for metric in (*RANK_METRICS, *LIST_METRICS, *AGGREGATE_METRICS))
    assert known.startswith("hit_rate@k, mrr@k, ndcg@k, recall@k, precision@k, map@k, novelty@k")
    assert str(caught.value) == (
        f"unknown metric '{name}'; known are {known}, with k a positive number, and mrr without one"
    )


# values


def test_values_are_those_of_the_metrics_in_the_order_asked_for() -> None:
    above_C, tied_C = doubles(0, 4, inf), doubles(0, 1, 0)
    found = values(above_C, tied_C, ["mrr@5", "hit_rate@5"], candidates=100)
    assert [*found] == ["mrr@5", "hit_rate@5"]
    assert found["hit_rate@5"].tolist() == [1, 1 / 2, 0]
    assert found["mrr@5"].tolist() == [1, pytest.approx((1 / 5 + 0) / 2), 0]


def test_a_k_beyond_the_candidates_counts_as_their_number() -> None:
    above_C, tied_C = doubles(0, 3, 6), doubles(2, 0, 0)
    beyond, whole = (values(above_C, tied_C, [f"ndcg@{k}", f"mrr@{k}"], candidates=7) for k in (10**12, 7))
    assert [one.tolist() for one in beyond.values()] == [one.tolist() for one in whole.values()]
    assert torch.equal(values(above_C, tied_C, ["mrr"], 7)["mrr"], whole["mrr@7"])


def test_ranks_of_another_precision_give_values_of_double_precision() -> None:
    found = values(tensor([1]), tensor([0.0]), ["hit_rate@1", "ndcg@2"], candidates=5)
    assert {value_C.dtype for value_C in found.values()} == {torch.float64}
    assert found["ndcg@2"].item() == 1 / log2(3)


def test_no_metric_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no metric to report; name at least one, such as 'ndcg@10'"):
        values(doubles(0), doubles(0), [], candidates=5)


def test_nothing_but_values_turns_ranks_into_metrics() -> None:
    """Whoever called a metric by itself could cut, label or average it otherwise."""
    package = Path(str(files("nextitem")))
    theirs = (file for file in package.rglob("*.py") if "evaluation" not in file.relative_to(package).parts[:1])
    imported = {
        name.name
        for file in theirs
        for line in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(line, ast.ImportFrom) and str(line.module).startswith("nextitem.evaluation.metrics")
        for name in line.names
    }
    assert imported
    assert not imported & {*RANK_METRICS, "average_precision"}


def test_a_metric_of_lists_is_refused_where_only_ranks_are_known() -> None:
    with pytest.raises(ConfigurationError) as caught:
        values(doubles(0), doubles(0), ["ndcg@10", "novelty@10"], candidates=5)
    assert str(caught.value) == (
        "novelty@10 is a metric of lists, and ranks do not tell what was listed; `nextitem evaluate RUN --metrics "
        "novelty@10` makes the lists of a stored run anew"
    )
