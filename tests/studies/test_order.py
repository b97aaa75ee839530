"""The shuffle test finds order where there is some, and none where there is none."""

import torch

from nextitem.data.checkup.finding import Severity
from nextitem.data.sequences import Sequences
from nextitem.data.splits import LeaveOneOut, Temporal
from nextitem.studies.order import order_test, shuffled

CYCLE = [[(start + step) % 20 for step in range(8)] for start in range(20)] * 10


def test_a_cycle_is_all_order() -> None:
    found = order_test(LeaveOneOut().split(Sequences.of(CYCLE, 20)), "nothing")
    assert found is not None
    assert found.true == 1.0  # each item has one successor
    assert found.shuffled < 0.8
    assert (found.cases, found.helps, found.finding.severity) == (200, True, Severity.FINE)
    assert found.interval[0] > 0
    assert found.finding.sentence.startswith("order helps: counting what came next finds NDCG@10 1.0000")


def test_random_histories_have_none() -> None:
    draws = torch.Generator().manual_seed(0)
    items = torch.randint(30, (150, 10), generator=draws).tolist()
    found = order_test(LeaveOneOut().split(Sequences.of(items, 30)), "nothing")
    assert found is not None
    assert not found.helps
    assert found.finding.severity is Severity.WARNING
    assert found.finding.sentence.startswith("no sign that order helps")


def test_where_nothing_follows_anything_there_is_no_test() -> None:
    assert order_test(LeaveOneOut().split(Sequences.of([[0, 1, 2], [2, 1, 0]], 3)), "history") is None


def test_shuffling_keeps_the_events_of_each_user() -> None:
    log = Sequences.of([[5, 1, 2, 3, 4, 6, 7], [], [9, 8]], 10).select(torch.tensor([2, 0]))
    mixed = shuffled(log, 0)
    assert [sorted(one) for one in mixed.tolist()] == [[8, 9], [1, 2, 3, 4, 5, 6, 7]]
    assert mixed.tolist() != log.tolist()
    assert mixed.users_U.tolist() == [2, 0]
    assert shuffled(log, 0).tolist() == mixed.tolist()


def test_what_was_one_question_stays_one() -> None:
    # Nobody ever changes the item, so a shuffled history is the true one: whoever asks alike must find alike.
    log = Sequences.of([[0] * 10] * 40 + [[1] * 10] * 40, 2, [[100.0 * n for n in range(10)]] * 80)
    found = order_test(Temporal(cut=0.8, target="all").split(log), "nothing")
    assert found is not None
    assert found.true == found.shuffled
