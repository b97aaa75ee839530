"""Several targets after one history, and several cases of one user: by hand, by enumeration, by an outside library."""

from collections.abc import Iterator, Sequence
from itertools import groupby, permutations, product
from math import log2

import ir_measures
import pytest
import torch
from ir_measures import AP, P, R, nDCG
from torch import Tensor, tensor

from nextitem.compute.processes import ALONE
from nextitem.data.sequences import NOBODY, Sequences
from nextitem.data.splits.questions import of_users, questions
from nextitem.data.splits.split import Cases
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.intervals import bootstrap_interval
from nextitem.evaluation.metrics import QUESTION_METRICS, average_precision, ndcg, precision, recall
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.evaluation.ranks import target_ranks
from nextitem.evaluation.values import Ranks, values
from nextitem.model.baselines import Popularity

every_metric = pytest.mark.parametrize("name", QUESTION_METRICS)


def doubles(*values: float) -> Tensor:
    return tensor(values, dtype=torch.float64)


# by hand


def test_one_list_is_worth_what_all_targets_of_its_question_are() -> None:
    above_C, tied_C, questions_C = doubles(0, 2, 9, 1), torch.zeros(4), tensor([0, 0, 0, 1])
    gain = 1 / log2(2) + 1 / log2(4)
    ideal = 1 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert ndcg(above_C, tied_C, 5, questions_C).tolist() == pytest.approx([gain / ideal] * 3 + [1 / log2(3)])
    assert recall(above_C, tied_C, 5, questions_C).tolist() == pytest.approx([2 / 3] * 3 + [1])
    assert precision(above_C, tied_C, 5, questions_C).tolist() == pytest.approx([2 / 5] * 3 + [1 / 5])
    assert average_precision(above_C, tied_C, 5, questions_C).tolist() == pytest.approx(
        [(1 / 1 + 2 / 3) / 3] * 3 + [1 / 2]
    )


def test_a_list_that_is_shorter_than_the_targets_can_still_be_ideal() -> None:
    above_C, questions_C = doubles(0, 1, 2), torch.zeros(3, dtype=torch.int64)
    assert ndcg(above_C, torch.zeros(3), 2, questions_C).tolist() == pytest.approx([1, 1, 1])
    assert recall(above_C, torch.zeros(3), 2, questions_C).tolist() == pytest.approx([2 / 3] * 3)


@pytest.mark.parametrize("name", QUESTION_METRICS)
def test_what_is_ideal_is_1_and_no_more_by_rounding(name: str) -> None:
    for targets in range(1, 60):  # in sequence, or all tied
        for above_C, tied in ((torch.arange(targets), 0), (torch.zeros(targets), targets - 1)):
            tied_C, questions_C = torch.full((targets,), tied), torch.zeros(targets, dtype=torch.int64)
            for k in (1, 3, 10, 100):
                assert float(QUESTION_METRICS[name](above_C.double(), tied_C.double(), k, questions_C).max()) <= 1


def test_a_hidden_target_is_missed_and_counts_among_the_targets() -> None:
    above_C, questions_C = doubles(0, torch.inf), torch.zeros(2, dtype=torch.int64)
    assert recall(above_C, torch.zeros(2), 3, questions_C).tolist() == [1 / 2, 1 / 2]
    assert average_precision(above_C, torch.zeros(2), 3, questions_C).tolist() == [1 / 2, 1 / 2]


# by enumeration


def naive(name: str, is_target: Sequence[bool], k: int) -> float:
    """A metric of one list of all items, best first."""
    targets, first = sum(is_target), is_target[:k]
    hits = [place + 1 for place, hit in enumerate(first) if hit]
    if name == "recall":
        return len(hits) / targets
    if name == "precision":
        return len(hits) / k
    if name == "map":
        return sum(sum(is_target[:rank]) / rank for rank in hits) / targets
    gains = [1 / log2(rank + 1) for rank in range(1, k + 1)]
    return sum(gains[rank - 1] for rank in hits) / sum(gains[: min(targets, k)])


def orders(scores: Sequence[int]) -> Iterator[list[int]]:
    """Every order of the items in which no lower score stands before a higher one."""
    ranked = sorted(range(len(scores)), key=lambda item: -scores[item])
    ties = [[*group] for _, group in groupby(ranked, key=lambda item: scores[item])]
    for parts in product(*(permutations(tie) for tie in ties)):
        yield [item for part in parts for item in part]


@every_metric
@pytest.mark.parametrize("scores", [[1] * 6, [2, 2, 1, 1, 1, 0], [3, 2, 2, 2, 2, 1], [5, 4, 3, 2, 1, 0]])
@pytest.mark.parametrize("targets", [(0,), (1, 2), (0, 3, 4), (1, 2, 3, 4, 5), (0, 1, 2, 3, 4, 5)])
def test_ties_earn_the_average_over_every_order(name: str, scores: list[int], targets: tuple[int, ...]) -> None:
    above_C = doubles(*(sum(score > scores[target] for score in scores) for target in targets))
    tied_C = doubles(*(sum(score == scores[target] for score in scores) - 1 for target in targets))
    lists = [[item in targets for item in order] for order in orders(scores)]
    for k in range(1, 7):
        expected = sum(naive(name, one, k) for one in lists) / len(lists)
        found = QUESTION_METRICS[name](above_C, tied_C, k, torch.zeros(len(targets), dtype=torch.int64))
        assert found.tolist() == pytest.approx([expected] * len(targets), abs=1e-12)


@pytest.mark.parametrize("k", [1, 5, 10, 30])
def test_values_equal_those_of_an_outside_library(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores_QN = torch.rand(40, 30, generator=generator, dtype=torch.float64)
    is_target_QN = torch.rand(40, 30, generator=generator) < 0.2
    is_target_QN[:, 0] = True
    questions_C, targets_C = is_target_QN.nonzero(as_tuple=True)
    above_C = (scores_QN[questions_C] > scores_QN[questions_C, targets_C][:, None]).sum(1).double()
    run = {f"{q:02}": {str(n): one for n, one in enumerate(row)} for q, row in enumerate(scores_QN.tolist())}
    truth = {f"{q:02}": {str(n): 1 for n, hit in enumerate(row) if hit} for q, row in enumerate(is_target_QN.tolist())}
    ours = {R @ k: recall, P @ k: precision, nDCG @ k: ndcg, AP @ k: average_precision}
    found = {one: metric(above_C, torch.zeros_like(above_C), k, questions_C) for one, metric in ours.items()}
    for one in ir_measures.iter_calc([*ours], truth, run):
        assert found[one.measure][questions_C == int(one.query_id)].tolist() == pytest.approx(
            [one.value] * sum(truth[one.query_id].values()), abs=1e-12
        )


@every_metric
def test_a_question_of_one_target_has_the_same_bits_beside_others(name: str) -> None:
    above_C, tied_C = doubles(0, 3, 7, 2, 2), doubles(2, 0, 4, 1, 1)
    together = QUESTION_METRICS[name](above_C, tied_C, 6, tensor([2, 0, 3, 1, 1]))
    assert torch.equal(together[:3], QUESTION_METRICS[name](above_C[:3], tied_C[:3], 6, None))


# which cases belong together


def cases(users: list[int], lengths: list[int], targets: list[int]) -> Cases:
    """Of each case the first `length` events of its user, whose events are 0, 1, 2, …"""
    whole = Sequences.of([[0, 1, 2, 3, 4]] * 3, 8)
    asked = whole.select(tensor([max(user, 0) for user in users]))
    views = Sequences(asked.events, asked.starts_U, asked.starts_U + tensor(lengths), tensor(users))
    return Cases.of(views, tensor(targets), tensor([9, 8, 7, 6, 5, 4, 3, 0]))


def test_cases_of_one_user_and_one_history_are_one_question() -> None:
    assert cases([0, 0, 1, 1, 2], [2, 2, 1, 2, 2], [5, 6, 7, 5, 6]).questions_C.tolist() == [0, 0, 1, 2, 3]


def test_cases_of_nobody_are_of_somebody_else_each() -> None:
    one = cases([NOBODY, NOBODY, 1], [2, 2, 2], [5, 6, 7])
    assert one.questions_C.tolist() == [0, 1, 2]
    assert evaluate(SCORER, one, ["hit_rate@1"]).certificate.averaged == ""


def test_what_belongs_together_is_found_in_any_order() -> None:
    mixed = cases([2, 0, 2, 1, 0], [3, 2, 3, 1, 4], [5, 6, 6, 7, 5])
    assert mixed.questions_C.tolist() == [0, 1, 0, 2, 3]
    assert of_users(doubles(1, 2, 3, 4, 5), mixed.histories.users_U).tolist() == [2, 3.5, 4]


def test_no_cases_ask_nothing() -> None:
    assert questions(Sequences.of([], 8)).shape == (0,)


# evaluate


SCORER = Popularity().learn(Sequences.of([[item] * (9 - item) for item in range(7)] + [[7]], 8), seed=0)


def test_a_user_with_many_cases_counts_as_everybody_else() -> None:
    # After events 0 and 1 items 2 and 4 stand first and third; after event 0 item 1 stands first; item 7 is the last.
    asked = cases([0, 0, 1, 2], [2, 2, 1, 4], [2, 4, 1, 7])
    found = evaluate(SCORER, asked, ["hit_rate@2", "recall@2", "mrr@9"])
    assert found.above_C.tolist() == [0, 2, 0, 3]
    assert found.values["hit_rate@2"].tolist() == [1, 0, 1, 0]
    assert found.values["recall@2"].tolist() == [1 / 2, 1 / 2, 1, 0]
    assert found.means == pytest.approx(
        {"hit_rate@2": (1 / 2 + 1 + 0) / 3, "recall@2": (1 / 2 + 1 + 0) / 3, "mrr@9": ((1 + 1 / 3) / 2 + 1 + 1 / 4) / 3}
    )
    assert found.ceiling == pytest.approx((1 + 1 + 0) / 3)
    assert found.certificate.averaged == "per user"
    values_U1 = tensor([1 / 2, 1, 0], dtype=torch.float64)[:, None]
    generator = torch.Generator().manual_seed(0)
    assert found.intervals["hit_rate@2"] == found.intervals["recall@2"]
    assert bootstrap_interval(values_U1, generator).shape == (1, 2)


def test_targets_asked_for_at_once_and_one_after_another_are_other_questions() -> None:
    at_once, successive = cases([0, 0], [2, 2], [2, 3]), cases([0, 0], [2, 3], [2, 3])
    assert evaluate(SCORER, at_once, ["ndcg@2"]).means["ndcg@2"] == 1
    assert evaluate(SCORER, successive, ["ndcg@2"]).means["ndcg@2"] == 1  # item 2 is hidden once it is history
    assert evaluate(SCORER, at_once, ["ndcg@1"]).means["ndcg@1"] == 1  # no list of one item can hold more
    ranking = Ranking("nothing")
    found = evaluate(SCORER, at_once, ["ndcg@4"], ranking=ranking).means["ndcg@4"]
    assert found == pytest.approx((1 / log2(4) + 1 / log2(5)) / (1 + 1 / log2(3)))
    found = evaluate(SCORER, successive, ["ndcg@4"], ranking=ranking).means["ndcg@4"]
    assert found == pytest.approx((1 / log2(4) + 1 / log2(5)) / 2)


def test_among_drawn_candidates_every_target_is_a_question_of_its_own() -> None:
    asked = cases([0, 0, 1], [2, 2, 1], [2, 4, 1])
    found = evaluate(SCORER, asked, ["recall@1", "hit_rate@1"], ranking=Ranking.among("uniform:3"))
    assert torch.equal(found.values["recall@1[uniform3]"], found.values["hit_rate@1[uniform3]"])


def test_one_case_a_user_is_averaged_over_cases_and_says_nothing_else() -> None:
    asked = cases([0, 1, 2], [2, 3, 4], [5, 6, 7])
    found = evaluate(SCORER, asked, ["ndcg@3"])
    assert "averaged" not in found.certificate.as_dict()
    assert found.means["ndcg@3"] == float(found.values["ndcg@3"].mean())
    assert found.of_users()["ndcg@3"] is found.values["ndcg@3"]


def test_a_history_is_scored_once_for_all_of_its_targets() -> None:
    asked = cases([0, 0, 0, 1], [2, 2, 2, 2], [2, 3, 4, 5])
    lengths = []

    class Counting:
        def query(self, histories: Sequences) -> object:
            lengths.append(len(histories))
            return SCORER.query(histories)

    evaluate(Counting(), asked, ["ndcg@3"])  # type: ignore[arg-type]
    assert lengths == [2]


def test_ranks_of_many_targets_are_those_of_each_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    users = tensor([0, 0, 0, 1, 2, 2])
    questions_C = torch.repeat_interleave(torch.arange(3), tensor([3, 1, 2]))
    asked = cases(users.tolist(), [2, 2, 2, 3, 1, 1], [1, 5, 7, 2, 3, 6])
    histories = asked.histories.select(tensor([0, 3, 4]))
    seen = FULL.seen(histories)
    together = target_ranks(SCORER.query(histories), asked.targets_C, seen, questions_C)
    alone = target_ranks(SCORER.query(asked.histories), asked.targets_C, FULL.seen(asked.histories))
    assert [one.tolist() for one in together] == [one.tolist() for one in alone]
    assert together[0][0] == torch.inf  # item 1 is of the history
    shuffled = torch.randperm(6, generator=generator)
    mixed = target_ranks(SCORER.query(histories), asked.targets_C[shuffled], seen, questions_C[shuffled])
    assert [one.tolist() for one in mixed] == [one[shuffled].tolist() for one in together]


def test_each_of_two_processes_ranks_all_targets_of_its_questions() -> None:
    asked = cases([0, 0, 0, 1], [2, 2, 2, 2], [2, 3, 4, 5])

    class Part(type(ALONE)):  # type: ignore[misc]
        """One of two processes; what it sends is kept."""

        def share(self, count: int) -> slice:
            return slice(len(sent), len(sent) + 1)

        def sum(self, values: Tensor) -> Tensor:
            sent.append(values)
            return values

    sent: list[Tensor] = []
    for _ in range(2):
        evaluate(SCORER, asked, ["ndcg@3"], processes=Part(torch.device("cpu")))
    assert sum(sent)[:, 0].tolist() == evaluate(SCORER, asked, ["ndcg@3"]).above_C.tolist()


# parts of cases


def test_some_targets_are_measured_as_if_no_others_had_been_asked_for() -> None:
    ranks = Ranks(doubles(0, 5, 3), doubles(0, 0, 0), tensor([0, 0, 1]), tensor([0, 0, 1]))
    rest = ranks.select(tensor([False, True, True])).of_users(["recall@4", "ndcg@9"], 100)
    assert rest["recall@4"].tolist() == [0, 1]
    assert rest["ndcg@9"].tolist() == pytest.approx([1 / log2(7), 1 / log2(5)])


def test_values_of_cases_without_questions_are_of_one_target_each() -> None:
    above_C = doubles(0, 5)
    assert values(above_C, torch.zeros(2), ["recall@2"], 100)["recall@2"].tolist() == [1, 0]
