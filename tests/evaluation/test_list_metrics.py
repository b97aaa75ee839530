"""Metrics of what is listed: by hand, by contract, and as `evaluate` reports them."""

from dataclasses import replace
from itertools import combinations
from math import log2

import polars as pl
import pytest
import torch
from torch import Tensor, tensor

from nextitem.compute.processes import ALONE
from nextitem.data.features.layout import known_categories
from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.data.splits import LeaveOneOut
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError
from nextitem.evaluation import measuring as module
from nextitem.evaluation.aggregates import aggregates
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.metrics import (
    AGGREGATE_METRICS,
    DEFAULT_METRICS,
    LIST_METRICS,
    SAMPLED_METRICS,
    gini,
    intra_list_diversity,
    popularity_bias,
)
from nextitem.evaluation.metrics.metric import Lists
from nextitem.evaluation.metrics.novelty import novelty
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Scorer
from nextitem.model.baselines import Popularity

COUNTS_N = tensor([8, 4, 2, 1, 1, 0])  # of 16 training events: 1, 2, 3, 4 and 4 bits
TRAIN = Sequences.of([[0, 1, 2], [0, 1], [0, 0, 2], [0, 0, 0, 0, 1, 1], [3], [4]], 6)
"""Has 9 events of item 0 and not 8: what counts here is who has which items together."""
every_metric = pytest.mark.parametrize("name", LIST_METRICS)


def most_popular() -> Scorer:
    """Items in the order of COUNTS_N, for everybody."""
    return Popularity().learn(Sequences.of([[item] * int(count) for item, count in enumerate(COUNTS_N)], 6), seed=0)


def cases(histories: list[list[int]]) -> Cases:
    asked = Cases.of(Sequences.of(histories, 6), tensor([3] * len(histories)), COUNTS_N)
    return replace(asked, train=TRAIN)


def lists(items: list[list[int]], histories: list[list[int]] | None = None) -> Lists:
    """Lists after empty histories, or those that are given."""
    return Lists(tensor(items), COUNTS_N, Sequences.of(histories or [[]] * len(items), 6), TRAIN)


# by hand


def test_novelty_is_the_mean_of_the_bits_that_each_listed_item_tells() -> None:
    lists = Lists(tensor([[0, 1, 2], [2, 3, 4]]), COUNTS_N)
    assert novelty(lists).tolist() == pytest.approx([(1 + 2 + 3) / 3, (3 + 4 + 4) / 3])


def test_an_item_that_training_never_saw_is_as_rare_as_one_seen_once() -> None:
    assert novelty(Lists(tensor([[3], [5]]), COUNTS_N)).tolist() == [log2(16), log2(16)]


def test_a_short_list_is_averaged_over_what_it_has_and_an_empty_one_has_nothing() -> None:
    lists = Lists(tensor([[0, 2, -1], [-1, -1, -1]]), COUNTS_N)
    assert novelty(lists).tolist() == [(1 + 3) / 2, 0]


def test_lists_are_cut_after_k_items() -> None:
    lists = Lists(tensor([[0, 1, 2]]), COUNTS_N)
    assert novelty(lists.first(1)).tolist() == [1]
    assert novelty(lists.first(9)).tolist() == novelty(lists).tolist()


# contract


@every_metric
def test_values_are_finite_double_precision_and_one_per_case(name: str) -> None:
    given = lists([[0, 1], [5, 4], [3, -1], [-1, -1]])
    found = LIST_METRICS[name](given)
    assert (found.dtype, found.shape) == (torch.float64, (4,))
    assert bool(found.isfinite().all())
    assert LIST_METRICS[name](replace(given, items_Ck=torch.zeros(0, 2, dtype=torch.int64))).shape == (0,)
    assert given.items_Ck.tolist() == [[0, 1], [5, 4], [3, -1], [-1, -1]]


@every_metric
def test_a_case_is_measured_by_its_own_list_alone(name: str) -> None:
    given = [[0, 1], [5, 4], [3, -1]]
    together = LIST_METRICS[name](lists(given))
    apart = [LIST_METRICS[name](lists([row])) for row in given]
    assert torch.equal(together, torch.cat(apart))


@every_metric
def test_none_is_in_a_default_list(name: str) -> None:
    assert not any(metric.startswith(f"{name}@") for metric in (*DEFAULT_METRICS, *SAMPLED_METRICS))


# evaluate


def test_lists_hide_the_history_and_stand_beside_ranks_in_the_order_asked_for() -> None:
    found = evaluate(most_popular(), cases([[], [0, 1]]), ["novelty@2", "hit_rate@2", "novelty@1"])
    assert [*found.values] == [*found.certificate.metrics] == ["novelty@2", "hit_rate@2", "novelty@1"]
    assert found.values["novelty@2"].tolist() == [(1 + 2) / 2, (3 + 4) / 2]
    assert found.values["novelty@1"].tolist() == [1, 3]
    # Item 3 ties with item 4 for the fourth place of the first case, and for the second one of the other.
    assert found.values["hit_rate@2"].tolist() == [0, 1 / 2]


def test_a_k_beyond_the_catalogue_counts_as_its_size() -> None:
    found = evaluate(most_popular(), cases([[0]]), [f"novelty@{10**12}", "novelty@6"])
    assert found.values[f"novelty@{10**12}"].tolist() == found.values["novelty@6"].tolist() == [(2 + 3 + 4 + 4 + 4) / 5]


def test_a_metric_of_lists_alone_has_an_interval_like_any_other() -> None:
    found = evaluate(most_popular(), cases([[], [0, 1], [0], [1]]), ["novelty@1"])
    low, high = found.intervals["novelty@1"]
    assert low < found.means["novelty@1"] == (1 + 3 + 2 + 1) / 4 < high
    assert found.as_dict()["novelty@1"] == found.means["novelty@1"]


def test_where_nothing_is_hidden_everybody_is_listed_the_same() -> None:
    ranking = Ranking(hidden="nothing")
    assert evaluate(most_popular(), cases([[], [0]]), ["novelty@1"], ranking=ranking).values["novelty@1"].tolist() == [
        1,
        1,
    ]


def test_lists_are_made_once_and_only_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    whole = module.top_k  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "top_k", lambda query, k, seen: asked.append(k) or whole(query, k, seen))
    evaluate(most_popular(), cases([[]]), ["ndcg@5"])
    assert asked == []
    evaluate(most_popular(), cases([[]]), ["novelty@2", "ndcg@5", "novelty@4"])
    assert asked == [4]


def test_another_metric_of_lists_is_one_line_in_the_table_of_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    def untrained(lists: Lists) -> Tensor:
        return (lists.counts_N[lists.items_Ck.clamp(min=0)] == 0).double().mean(1)

    monkeypatch.setitem(LIST_METRICS, "untrained", untrained)
    assert evaluate(most_popular(), cases([[0, 1]]), ["untrained@4"]).values["untrained@4"].tolist() == [1 / 4]


def test_among_drawn_candidates_there_are_no_lists() -> None:
    with pytest.raises(ConfigurationError) as caught:
        evaluate(most_popular(), cases([[]]), ["ndcg@2", "novelty@2"], ranking=Ranking.among("uniform:2"))
    assert str(caught.value) == (
        "novelty@2: lists are of the whole catalogue and not of drawn items; ask for metrics of lists without "
        "candidates"
    )


def test_each_process_lists_its_own_share_of_the_cases() -> None:
    class Half(type(ALONE)):  # type: ignore[misc]
        """One of two processes; what it sends is kept, and what the other one would send is all zeros."""

        def share(self, count: int) -> slice:
            return slice(1, count)

        def gather(self, values: Tensor, count: int) -> Tensor:
            sent.append(values)
            return torch.cat([values.new_zeros(1, values.shape[1]), values])

        def sum(self, values: Tensor) -> Tensor:
            sent.append(values)
            return values

    sent: list[Tensor] = []
    evaluate(most_popular(), cases([[], [0], [0, 1]]), ["novelty@1"], processes=Half(torch.device("cpu")))
    ranks_C2, items_Q1 = sent
    assert (ranks_C2[0].tolist(), ranks_C2[1, 0].item()) == ([0, 0], 2)
    assert items_Q1.tolist() == [[1], [2]]


# by hand: who has two items


def test_items_that_the_same_users_have_are_near_and_others_far() -> None:
    # Users 0, 1, 2, 3 have item 0, of them 0, 1, 3 item 1, and 0, 2 item 2; nobody has item 5.
    found = intra_list_diversity(lists([[0, 1, 2], [0, 5, 3], [4, -1, -1], [-1, -1, -1]]))
    near = [3 / (4 * 3) ** 0.5, 2 / (4 * 2) ** 0.5, 1 / (3 * 2) ** 0.5]
    assert found.tolist() == pytest.approx([1 - sum(near) / 3, 1, 0, 0])


def test_diversity_agrees_with_all_pairs_counted_one_by_one() -> None:
    draws = torch.Generator().manual_seed(3)
    histories = [torch.randint(40, (12,), generator=draws).tolist() for _ in range(30)]
    shown = [torch.randperm(40, generator=draws)[:6].tolist() for _ in range(9)]
    has = [{user for user, history in enumerate(histories) if item in history} for item in range(40)]

    def distance(one: int, other: int) -> float:
        either = (len(has[one]) * len(has[other])) ** 0.5
        return 1 - (len(has[one] & has[other]) / either if either else 0)

    expected = [sum(distance(*pair) for pair in combinations(row, 2)) / 15 for row in shown]
    train = Sequences.of(histories, 40)
    found = intra_list_diversity(Lists(tensor(shown), train.counts(), None, train))
    assert found.tolist() == pytest.approx(expected)


GENRES = known_categories(
    ItemFeatures(
        pl.DataFrame(
            {"item": range(6), "genre": [["war", "art"], ["art"], ["war"], None, [], ["art", "war", "sea", "sky"]]}
        )
    )
)


def test_items_of_like_categories_are_near_where_categories_are_known() -> None:
    shown = replace(lists([[0, 1, 2], [0, 5, 3], [3, 4, 0], [1, -1, -1]]), categories=GENRES)
    # Of items 3 and 4 no category is known: their pairs are left out, and the third list has no other.
    expected = [1 - (1 / 2**0.5 + 1 / 2**0.5 + 0) / 3, 1 - 2 / (2 * 4) ** 0.5, 0, 0]
    assert intra_list_diversity(shown).tolist() == pytest.approx(expected)


def test_the_certificate_says_what_items_are_told_apart_by() -> None:
    name = "intra_list_diversity@2"
    by_users, by_genre = (
        evaluate(most_popular(), asked, [name])
        for asked in (
            cases([[]]),
            replace(cases([[]]), categories=GENRES),
        )
    )
    assert (by_users.certificate.diversity, by_genre.certificate.diversity) == ("co-occurrence", "categories genre")
    assert by_genre.means[name] == pytest.approx(1 - 1 / 2**0.5)  # items 0 and 1
    assert "diversity co-occurrence and categories genre" in by_users.certificate.differences(by_genre.certificate)
    assert by_users.certificate.without_metrics() == by_genre.certificate.without_metrics()
    assert "diversity" not in evaluate(most_popular(), cases([[]]), ["novelty@2"]).certificate.as_dict()


def test_who_has_what_is_not_known_of_cases_that_are_of_no_split() -> None:
    with pytest.raises(ConfigurationError, match="these cases do not say what that is; take the cases of a split"):
        evaluate(most_popular(), replace(cases([[]]), train=None), ["intra_list_diversity@2"])


def test_the_cases_of_a_split_know_what_was_learnt_from() -> None:
    split = LeaveOneOut().split(Sequences.of([[0, 1, 2, 3], [1, 2, 3]], 6))
    assert split.test.train is split.train
    assert split.test.select(tensor([0])).train is split.train
    merged = split.with_validation()
    assert merged.test.train is merged.train


# all lists together


def test_coverage_is_the_share_of_items_that_anybody_is_shown() -> None:
    found = evaluate(most_popular(), cases([[], [0], [0, 1]]), ["coverage@1", "coverage@2", "coverage@6"])
    assert found.means == {"coverage@1": 3 / 6, "coverage@2": 4 / 6, "coverage@6": 1}
    assert found.values == {}


def test_gini_is_half_the_mean_difference_of_all_pairs_over_the_mean() -> None:
    shown = lists([[0, 1], [0, 2], [0, -1]])
    counts = [3, 1, 1, 0, 0, 0]
    expected = sum(abs(one - other) for one in counts for other in counts) / (2 * 6 * 6) / (5 / 6)
    found, intervals = aggregates(shown, torch.arange(3), {"gini@2": (gini, 2)}, None)
    assert found == {"gini@2": pytest.approx(expected)}
    assert intervals == {}


@pytest.mark.parametrize(("shown", "expected"), [([[0], [0]], 1 - 1 / 6), ([[0, 1, 2], [3, 4, 5]], 0), ([[-1]], 0)])
def test_gini_of_one_item_of_all_items_and_of_none(shown: list[list[int]], expected: float) -> None:
    found, _ = aggregates(lists(shown), torch.arange(len(shown)), {"gini@3": (gini, 3)}, None)
    assert found["gini@3"] == pytest.approx(expected)


def test_popularity_bias_compares_what_is_shown_with_what_people_had() -> None:
    shown = lists([[0, 1], [2, 3], [4, -1]], [[1, 1, 2], [3], []])  # nobody knows what the third one had
    listed, had = [(8 + 4) / 2, (2 + 1) / 2], [(4 + 4 + 2) / 3, 1]
    found, _ = aggregates(shown, torch.arange(3), {"popularity_bias@2": (popularity_bias, 2)}, None)
    assert found["popularity_bias@2"] == pytest.approx(sum(listed) / sum(had) - 1)
    alone, _ = aggregates(lists([[0, 1]]), torch.arange(1), {"popularity_bias@2": (popularity_bias, 2)}, None)
    assert alone == {"popularity_bias@2": 0}


def test_a_user_with_two_lists_counts_as_one_with_one() -> None:
    # Item 0 is in half of the lists of the first user, and item 1 in all of both users'.
    shown = lists([[0, 1], [1, 2], [1, 3]])
    found, _ = aggregates(shown, tensor([4, 4, 9]), {"gini@2": (gini, 2)}, None)
    expected, _ = aggregates(
        lists([[1, 1], [0, 2], [1, 1], [3, 3]]), torch.arange(4), {"gini@2": (gini, 2)}, None
    )  # 2, 1/2, 1/2 and 1 of item 1, 0, 2 and 3
    assert found["gini@2"] == pytest.approx(expected["gini@2"])


@pytest.mark.parametrize("name", AGGREGATE_METRICS)
def test_a_metric_of_all_lists_has_an_interval_around_it(name: str) -> None:
    draws = torch.Generator().manual_seed(5)
    shown = lists(
        torch.randint(6, (40, 2), generator=draws).tolist(), torch.randint(6, (40, 3), generator=draws).tolist()
    )
    metrics = {f"{name}@{k}": (AGGREGATE_METRICS[name], k) for k in (1, 2)}
    found, intervals = aggregates(shown, torch.arange(40), metrics, 0)
    for metric, (low, high) in intervals.items():
        assert low <= found[metric] <= high
    assert intervals == aggregates(shown, torch.arange(40), metrics, 0)[1]
    assert intervals != aggregates(shown, torch.arange(40), metrics, 1)[1] or name == "coverage"


def test_all_metrics_of_lists_share_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    whole = module.top_k
    monkeypatch.setattr(module, "top_k", lambda query, k, seen: asked.append(k) or whole(query, k, seen))
    names = [f"{name}@{k}" for k, name in enumerate((*LIST_METRICS, *AGGREGATE_METRICS), 1)]
    found = evaluate(most_popular(), cases([[], [0], [0, 1]]), [*names, "ndcg@10"])
    assert asked == [len(names)]
    assert [*found.means] == [*names, "ndcg@10"] == [*found.certificate.metrics]
    assert set(found.intervals) == set(found.means)
