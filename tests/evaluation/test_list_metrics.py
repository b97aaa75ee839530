"""Metrics of what is listed: by hand, by contract, and as `evaluate` reports them."""

from math import log2

import pytest
import torch
from torch import Tensor, tensor

from nextitem.compute.processes import ALONE
from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError
from nextitem.evaluation import evaluate as module
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.metrics import DEFAULT_METRICS, LIST_METRICS, SAMPLED_METRICS
from nextitem.evaluation.metrics.metric import Lists
from nextitem.evaluation.metrics.novelty import novelty
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Scorer
from nextitem.model.baselines import Popularity

COUNTS_N = tensor([8, 4, 2, 1, 1, 0])  # of 16 training events: 1, 2, 3, 4 and 4 bits
every_metric = pytest.mark.parametrize("name", LIST_METRICS)


def most_popular() -> Scorer:
    """Items in the order of COUNTS_N, for everybody."""
    return Popularity().learn(Sequences.of([[item] * int(count) for item, count in enumerate(COUNTS_N)], 6), seed=0)


def cases(histories: list[list[int]]) -> Cases:
    return Cases.of(Sequences.of(histories, 6), tensor([3] * len(histories)), COUNTS_N)


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
    lists = Lists(tensor([[0, 1], [5, 4], [3, -1], [-1, -1]]), COUNTS_N)
    found = LIST_METRICS[name](lists)
    assert (found.dtype, found.shape) == (torch.float64, (4,))
    assert bool(found.isfinite().all())
    assert LIST_METRICS[name](Lists(torch.zeros(0, 2, dtype=torch.int64), COUNTS_N)).shape == (0,)
    assert lists.items_Ck.tolist() == [[0, 1], [5, 4], [3, -1], [-1, -1]]


@every_metric
def test_a_case_is_measured_by_its_own_list_alone(name: str) -> None:
    items_Ck = tensor([[0, 1], [5, 4], [3, -1]])
    together = LIST_METRICS[name](Lists(items_Ck, COUNTS_N))
    apart = [LIST_METRICS[name](Lists(row[None], COUNTS_N)) for row in items_Ck]
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

    sent: list[Tensor] = []
    evaluate(most_popular(), cases([[], [0], [0, 1]]), ["novelty@1"], processes=Half(torch.device("cpu")))
    assert sent[0].shape == (2, 3)  # above, tied, novelty
    assert sent[0][:, 2].tolist() == [2, 3]
