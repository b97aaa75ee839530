"""Six users whose parts are worked out by hand. The cut is at 10 s, that of validation=time at 6 s.

ann  0@1 1@3 2@6 3@9 4@10 5@12    at 10 s the very time of the cut, and at 6 s that of the other
bob  1@2 2@5 0@7                  nothing later
cat  3@4 4@11                     one before, one after
dan  5@10 0@13 1@14               new after the cut
eve  2@15                         new, and never again
fay  4@6 5@8 3@11 2@16            new after the cut of validation
"""

from typing import Any

import pytest
import torch

from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.data.splits import Temporal
from nextitem.data.splits.split import Cases, SplitFacts
from nextitem.errors import ConfigurationError, DataError

ITEMS = [[0, 1, 2, 3, 4, 5], [1, 2, 0], [3, 4], [5, 0, 1], [2], [4, 5, 3, 2]]
TIMES = [[1, 3, 6, 9, 10, 12], [2, 5, 7], [4, 11], [10, 13, 14], [15], [6, 8, 11, 16]]
ANN, BOB, CAT, DAN, EVE, FAY = range(6)
LOG = Sequences.of(ITEMS, 6, TIMES)
AT_TEN, AT_SIX = "1970-01-01T00:00:10", "1970-01-01T00:00:06"
Told = list[tuple[int, list[int], int]]

TEST: dict[str, Told] = {
    "first": [(ANN, [0, 1, 2, 3], 4), (CAT, [3], 4), (FAY, [4, 5], 3)],
    "last": [(ANN, [0, 1, 2, 3, 4], 5), (CAT, [3], 4), (DAN, [5, 0], 1), (FAY, [4, 5, 3], 2)],
    "successive": [
        (ANN, [0, 1, 2, 3], 4),
        (ANN, [0, 1, 2, 3, 4], 5),
        (CAT, [3], 4),
        (DAN, [5], 0),
        (DAN, [5, 0], 1),
        (FAY, [4, 5], 3),
        (FAY, [4, 5, 3], 2),
    ],
    "all": [(ANN, [0, 1, 2, 3], 4), (ANN, [0, 1, 2, 3], 5), (CAT, [3], 4), (FAY, [4, 5], 3), (FAY, [4, 5], 2)],
}
VALIDATION: dict[str, Told] = {
    "first": [(ANN, [0, 1], 2), (BOB, [1, 2], 0)],
    "last": [(ANN, [0, 1, 2], 3), (BOB, [1, 2], 0), (FAY, [4], 5)],
    "successive": [(ANN, [0, 1], 2), (ANN, [0, 1, 2], 3), (BOB, [1, 2], 0), (FAY, [4], 5)],
    "all": [(ANN, [0, 1], 2), (ANN, [0, 1], 3), (BOB, [1, 2], 0)],
}
BEFORE_SIX = [[0, 1], [1, 2], [3], [], [], []]
BEFORE_TEN = [[0, 1, 2, 3], [1, 2, 0], [3], [], [], [4, 5]]


def temporal(**settings: Any) -> Temporal:
    return Temporal(**{"cut": AT_TEN, "validation_cut": AT_SIX} | settings)


def told(cases: Cases) -> Told:
    """User, history and target of each."""
    histories = cases.histories
    return [*zip(histories.users_U.tolist(), histories.tolist(), cases.targets_C.tolist(), strict=True)]


# which events are targets


@pytest.mark.parametrize("target", TEST)
def test_what_is_at_the_cut_or_later_is_asked_for_by_the_rule(target: Any) -> None:
    assert told(temporal(target=target).split(LOG).test) == TEST[target]


@pytest.mark.parametrize("target", TEST)
@pytest.mark.parametrize("validation", ["time", "users", "last"])
def test_the_test_does_not_depend_on_what_validates(validation: Any, target: Any) -> None:
    assert told(temporal(target=target, validation=validation).split(LOG).test) == TEST[target]


def test_a_random_target_is_one_of_the_successive_ones_for_each_user() -> None:
    draws = [told(temporal(target="random", seed=seed).split(LOG).test) for seed in range(20)]
    for drawn in draws:
        assert [user for user, _, _ in drawn] == [ANN, CAT, DAN, FAY]
        assert all(case in TEST["successive"] for case in drawn)
    assert {target for drawn in draws for user, _, target in drawn if user == ANN} == {4, 5}
    assert draws[3] == told(temporal(target="random", seed=3).split(LOG).test)


def test_random_targets_of_test_and_validation_are_drawn_apart() -> None:
    log = Sequences.of([[0] * 40] * 50, 1, [list(range(40))] * 50)
    split = Temporal(cut=0.5, validation_cut=0.5, target="random").split(log)
    of_test, of_validation = (part.histories.lengths_U for part in (split.test, split.validation))
    assert ((of_test - 20) // 2).tolist() != (of_validation - 10).tolist()


# what is learnt, and what chooses


@pytest.mark.parametrize("target", VALIDATION)
def test_validation_by_time_asks_by_the_same_rule_between_the_two_cuts(target: Any) -> None:
    split = temporal(target=target).split(LOG)
    assert split.train.tolist() == BEFORE_SIX
    assert told(split.validation) == VALIDATION[target]


@pytest.mark.parametrize("target", VALIDATION)
def test_validation_by_time_may_ask_by_a_rule_of_its_own(target: Any) -> None:
    split = temporal(target="last", validation_target=target).split(LOG)
    assert (told(split.test), told(split.validation)) == (TEST["last"], VALIDATION[target])


def test_validation_by_the_last_event_takes_each_one_s_latest_before_the_cut() -> None:
    split = temporal(validation="last").split(LOG)
    assert split.train.tolist() == [[0, 1, 2], [1, 2], [3], [], [], [4]]
    assert told(split.validation) == [(ANN, [0, 1, 2], 3), (BOB, [1, 2], 0), (FAY, [4], 5)]
    assert split.notes[-1] == "1 user has one event before the cut: learnt from, but not validated"


@pytest.mark.parametrize("seed", range(5))
def test_validation_by_users_learns_nothing_of_them(seed: int) -> None:
    split = temporal(validation="users", validation_share=0.4, seed=seed).split(LOG)
    ((held, history, target),) = told(split.validation)
    assert held in (ANN, BOB, FAY)  # who have two events before the cut: 0.4 of three is one
    assert [*history, target] == BEFORE_TEN[held]
    assert split.train.tolist() == [[] if user == held else events for user, events in enumerate(BEFORE_TEN)]
    assert split.notes[-1] == "1 user is held out for validation, and not learnt from"


def test_another_seed_holds_out_other_users() -> None:
    held = {told(temporal(validation="users", seed=seed).split(LOG).validation)[0][0] for seed in range(20)}
    assert held == {ANN, BOB, FAY}


@pytest.mark.parametrize("validation", ["time", "users", "last"])
def test_when_nothing_is_chosen_any_more_all_before_the_cut_may_be_learnt(validation: Any) -> None:
    split = temporal(validation=validation).split(LOG).with_validation()
    assert split.train.tolist() == BEFORE_TEN
    assert split.test.counts_N.tolist() == [2, 2, 2, 2, 1, 1]


# cuts


def test_the_cut_is_a_date_in_utc_or_with_a_zone() -> None:
    one, other = temporal(), temporal(cut="1970-01-01T02:00:10+02:00")
    assert one.split(LOG).test.sha256 == other.split(LOG).test.sha256
    assert one.split(LOG).cuts == (10, 6)


@pytest.mark.parametrize(
    ("share", "cut", "before"),
    [
        (0.5, 9, 9),  # of 19 events number 9 is at 9 s, and nine are before it
        (0.53, 10, 10),  # number 10 is at 10 s
        (0.58, 10, 10),  # so is number 11: the two tie, and both are later
        (0.64, 11, 12),
    ],
)
def test_a_share_is_of_the_events_in_order_of_time_and_ties_are_later(share: float, cut: int, before: int) -> None:
    split = temporal(cut=share, validation="last").split(LOG)
    assert split.cuts == (cut,)
    assert int(split.train_and_validation.lengths_U.sum()) == before


def test_the_share_of_the_second_cut_is_of_what_is_before_the_first() -> None:
    split = temporal(validation_cut=0.5).split(LOG)  # number 5 of ten is at 6 s, and so is number 6
    assert split.cuts == (10, 6)
    assert split.train.tolist() == BEFORE_SIX


@pytest.mark.parametrize("target", TEST)
def test_the_number_of_events_after_the_cut_moves_no_cut_by_date_and_nothing_that_is_learnt(target: Any) -> None:
    later = Sequences.of(
        [[0, 1, 2, 3, 5], [1, 2, 0, 4, 4], [3], [1, 1], [2, 3], [4, 5]], 6,
        [[1, 3, 6, 9, 10], [2, 5, 7, 11, 11], [4], [12, 13], [14, 15], [6, 8]],
    )  # fmt: skip
    for validation in ("time", "users", "last"):
        one, other = (temporal(validation=validation, target=target).split(log) for log in (LOG, later))
        assert one.train.tolist() == other.train.tolist()
        assert told(one.validation) == told(other.validation)


# users without a history


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("first", "2 users have no event before the cut: nobody is asked about them, since target=first asks of the "),
        ("all", "2 users have no event before the cut: nobody is asked about them, since target=all asks of the "),
        ("last", "2 users have no event before the cut: they are asked about from their second event on; 1 has one "),
        ("random", "2 users have no event before the cut: they are asked about from their second event on; 1 has "),
        ("successive", "2 users have no event before the cut: they are asked about from their second event on; 1 "),
    ],
)
def test_users_without_a_history_are_counted_and_what_becomes_of_them_is_said(target: Any, said: str) -> None:
    notes = temporal(target=target, validation="users").split(LOG).notes
    cut = "the cut is 1970-01-01 00:00:10 UTC: 10 of 19 events are before it, and none at or after it is learnt"
    assert notes[0] == cut
    assert notes[1].startswith(said)


def test_those_new_at_the_cut_of_validation_are_counted_as_well() -> None:
    notes = temporal(target="last").split(LOG).notes
    assert notes[2] == "validation is from 1970-01-01 00:00:06 UTC on: 5 events are learnt"
    assert notes[3] == "1 user has no event before the validation cut: they are asked about from their second event on"


def test_a_target_that_occurs_later_alone_is_kept_and_is_not_trained() -> None:
    test = temporal(target="all").split(LOG).test
    assert test.targets_C.tolist() == [4, 5, 4, 3, 2]
    assert test.is_trained_N[test.targets_C].tolist() == [False, False, False, True, True]


# what is refused


def test_a_log_without_times_is_refused() -> None:
    with pytest.raises(DataError, match=r"split=temporal parts a log by its times, and this log has none"):
        Temporal().split(Sequences.of(ITEMS, 6))


def test_a_history_out_of_order_is_refused() -> None:
    with pytest.raises(DataError, match=r"the times of user number 1 descend; give each history in order of time"):
        Temporal().split(Sequences.of([[0, 1], [1, 0]], 2, [[4, 5], [9, 8]]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cut": "1970-01-01"}, "split.cut=1970-01-01 is 1970-01-01 00:00:00 UTC, and the events are from 1970-01-01 "
            "00:00:01 UTC to 1970-01-01 00:00:16 UTC: all are at or after it"),
        ({"cut": "1970-01-01T00:00:17"}, "none is at or after it, and nothing can be held out; choose a moment"),
        ({"cut": 0.05}, r"split.cut=0.05 is 1970-01-01 00:00:01 UTC, .*: all are at or after it, so nothing could be"),
        ({"validation_cut": AT_TEN}, "split.validation_cut=1970-01-01T00:00:10 is .*, and the events before the cut "
            "are from 1970-01-01 00:00:01 UTC to 1970-01-01 00:00:09 UTC: none is at or after it"),
        ({"cut": "1970-01-01T00:00:16", "target": "all", "validation_cut": "1970-01-01T00:00:15"},
            r"with a cut at 1970-01-01 00:00:16 UTC this log gives 17 training events, 0 validation cases and 1 test "
            r"cases, so nothing can be held out as asked"),
    ],
)  # fmt: skip
def test_a_cut_that_leaves_a_part_empty_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        temporal(**settings).split(LOG)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cut": 1.5}, "cut = 1.5 is no share between 0 and 1 of the events; a date is written 2015-03-01"),
        ({"cut": 1425168000.0}, "cut = 1.42517e.09 is no share between 0 and 1"),
        ({"validation_cut": 0.0}, "validation_cut = 0 is no share"),
        ({"cut": "March 2015"}, "cut = 'March 2015' is no date in ISO 8601, such as 2015-03-01"),
        ({"target": "next"}, "should be 'first', 'last', 'random', 'successive' or 'all'"),
    ],
)
def test_settings_that_say_no_moment_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Temporal(**settings)


# what is stored


@pytest.mark.parametrize("validation", ["time", "users", "last"])
def test_stored_cuts_spare_looking_for_them(validation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Temporal(cut=0.58, validation=validation)
    found = split.split(LOG)
    read: list[int] = []
    times_at = Events.times_at

    def counted(events: Events, places: torch.Tensor) -> torch.Tensor:
        read.append(places.numel())
        return times_at(events, places)

    monkeypatch.setattr(Events, "times_at", counted)
    again = split.split(LOG, SplitFacts.of(found))
    assert (again.cuts, again.train.tolist()) == (found.cuts, found.train.tolist())
    assert max(read) <= len(LOG)  # by halving: an event of each user at a time


def test_all_asks_for_an_item_once_that_comes_twice() -> None:
    log = Sequences.of([[0, 1, 2, 3, 2, 1]], 4, times=[[1, 2, 3, 10, 11, 12]])
    test = temporal(cut="1970-01-01T00:00:03", validation="last", target="all").split(log).test
    assert (test.targets_C.tolist(), test.histories.tolist()) == ([2, 3, 1], [[0, 1]] * 3)
    assert test.questions_C.tolist() == [0, 0, 0]
