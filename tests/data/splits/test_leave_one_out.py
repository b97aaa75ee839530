import hashlib
import struct
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from nextitem.data.events import Events
from nextitem.data.interactions import Interactions
from nextitem.data.log import index
from nextitem.data.sequences import Sequences
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.data.splits.split import Cases, Split
from nextitem.errors import DataError

ALL_TRAINED = tensor([1] * 4)


def split_of(histories: list[list[int]], number_of_items: int = 10) -> Split:
    return LeaveOneOut().split(Sequences.of(histories, number_of_items))


def test_the_last_event_is_tested_and_the_one_before_validated() -> None:
    split = split_of([[1, 2, 3, 4], [5, 6, 7]])
    assert split.train.tolist() == [[1, 2], [5]]
    assert split.validation.histories.tolist() == [[1, 2], [5]]
    assert split.validation.targets_C.tolist() == [3, 6]
    assert split.test.targets_C.tolist() == [4, 7]


def test_the_test_history_includes_the_validation_item() -> None:
    assert split_of([[1, 2, 3, 4]]).test.histories.tolist() == [[1, 2, 3]]


def test_short_users_are_training_alone_and_are_told_of() -> None:
    split = split_of([[1, 2], [3, 4, 5], [6], []])
    assert split.notes == ("3 users with fewer than 3 events are trained on but not evaluated",)
    assert split.train.tolist() == [[1, 2], [3], [6], []]
    assert split.train.users_U.tolist() == [0, 1, 2, 3]
    assert split.test.histories.users_U.tolist() == [1]
    assert len(split.test) == len(split.validation) == 1


def test_counts_are_those_of_training_alone() -> None:
    split = split_of([[0, 1, 2], [3, 3, 4, 0]], 6)
    assert split.test.counts_N.tolist() == [1, 0, 0, 2, 0, 0]
    assert split.test.is_trained_N.tolist() == [True, False, False, True, False, False]
    assert torch.equal(split.validation.counts_N, split.test.counts_N)


def test_targets_that_no_training_event_has_are_told_of_with_the_ceiling() -> None:
    split = split_of([[0, 1, 2], [3, 3, 4, 0], [0, 3, 0], [1, 2]])
    assert split.told == split.notes  # 2 is learnt of the fourth user, and 0 of the first
    split = split_of([[0, 1, 2], [3, 3, 4, 0], [0, 3, 9]])
    assert split.told == (
        "2 of 3 test targets (66.67 %) occur in no training event: except by chance no hit rate of a model that knows "
        "items by their ids alone exceeds 0.333",
    )


def test_a_log_of_short_users_alone_is_refused() -> None:
    with pytest.raises(DataError, match=r"of 2 users none has 3 events, so nothing can be held out"):
        split_of([[1, 2], [3]])


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=6), min_size=1, max_size=6), st.data())
def test_permuting_held_out_events_leaves_training_identical(histories: list[list[int]], data: st.DataObject) -> None:
    moved = data.draw(st.permutations([event for history in histories for event in history[-2:]]))
    before = split_of(histories)
    after = split_of([history[:-2] + moved[2 * user : 2 * user + 2] for user, history in enumerate(histories)])
    assert before.train.tolist() == after.train.tolist()
    assert torch.equal(before.train.counts(), after.train.counts())
    assert torch.equal(before.test.counts_N, after.test.counts_N)


def test_permuting_held_out_events_leaves_every_id_where_it_was() -> None:
    users = ["ann"] * 4 + ["bob"] * 4
    before = index(Interactions.from_columns(users, ["m", "n", "a", "z", "n", "m", "k", "b"]))
    after = index(Interactions.from_columns(users, ["m", "n", "b", "k", "n", "m", "z", "a"]))
    assert before.items.ids.equals(after.items.ids)
    assert LeaveOneOut().split(before.sequences).train.tolist() == LeaveOneOut().split(after.sequences).train.tolist()


# fingerprints


def test_the_fingerprint_is_a_hash_of_users_lengths_items_and_targets() -> None:
    cases = Cases.of(Sequences.of([[1, 2], [3]], 4), tensor([3, 0]), ALL_TRAINED)
    users, lengths, items, targets = (0, 1), (2, 1), (1, 2, 3), (3, 0)
    content = struct.pack("<9q", *users, *lengths, *items, *targets)
    assert cases.sha256 == hashlib.sha256(b"4" + content).hexdigest()


@pytest.mark.parametrize(
    ("histories", "targets", "number_of_items"),
    [
        ([[1, 2], [3]], [3, 1], 4),
        ([[2, 1], [3]], [3, 0], 4),
        ([[1], [2, 3]], [3, 0], 4),
        ([[1, 2], [3]], [3, 0], 5),
        ([[1, 2], [3], []], [3, 0, 0], 4),
        ([[1, 2]], [3], 4),
    ],
)
def test_any_change_changes_the_fingerprint(
    histories: list[list[int]], targets: list[int], number_of_items: int
) -> None:
    original = Cases.of(Sequences.of([[1, 2], [3]], 4), tensor([3, 0]), ALL_TRAINED)
    changed = Cases.of(Sequences.of(histories, number_of_items), tensor(targets), ALL_TRAINED)
    assert changed.sha256 != original.sha256


def test_another_user_changes_the_fingerprint() -> None:
    histories = Sequences(Events(tensor([1]), 4), tensor([0]), tensor([1]), tensor([0]))
    of_another = Sequences(Events(tensor([1]), 4), tensor([0]), tensor([1]), tensor([8]))
    targets_C = tensor([2])
    assert Cases.of(histories, targets_C, ALL_TRAINED).sha256 != Cases.of(of_another, targets_C, ALL_TRAINED).sha256


def test_the_fingerprint_does_not_depend_on_where_events_are_stored() -> None:
    apart = Sequences(Events(tensor([9, 3, 9, 1, 2]), 4), tensor([3, 1]), tensor([5, 2]), tensor([0, 1]))
    together = Sequences.of([[1, 2], [3]], 4)
    targets_C = tensor([3, 0])
    assert Cases.of(apart, targets_C, ALL_TRAINED).sha256 == Cases.of(together, targets_C, ALL_TRAINED).sha256


def test_events_after_the_target_do_not_reach_the_fingerprint_of_validation() -> None:
    one, other = split_of([[1, 2, 3, 4]]), split_of([[1, 2, 3, 5]])
    assert one.validation.sha256 == other.validation.sha256
    assert one.test.sha256 != other.test.sha256


def test_selected_cases_have_a_fingerprint_of_their_own() -> None:
    cases = split_of([[1, 2, 3, 4], [5, 6, 7], [8, 9, 1]]).test
    chosen = cases.select(tensor([2, 0]))
    assert chosen.targets_C.tolist() == [1, 4]
    assert chosen.histories.tolist() == [[8, 9], [1, 2, 3]]
    assert chosen.sha256 != cases.sha256
    assert cases.select(torch.arange(3)).sha256 == cases.sha256


def weighed(histories: list[list[int]], weights: list[list[float]]) -> Sequences:
    """Histories whose events weigh so much; what weighs nothing is never a target."""
    sequences = Sequences.of(histories, 10)
    return replace(sequences, events=replace(sequences.events, weights=tensor([one for row in weights for one in row])))


def test_the_last_two_targets_are_held_out_and_histories_have_all_that_was_before() -> None:
    split = LeaveOneOut().split(weighed([[1, 2, 3, 4, 5, 6, 7]], [[1, 0, 0.2, 0, 0, 1, 0]]))
    assert split.train.tolist() == [[1, 2]]
    assert split.validation.histories.tolist() == [[1, 2]]
    assert split.validation.targets_C.tolist() == [3]
    assert split.test.histories.tolist() == [[1, 2, 3, 4, 5]]
    assert split.test.targets_C.tolist() == [6]
    assert split.with_validation().train.tolist() == [[1, 2, 3, 4, 5]]


def test_who_has_no_two_targets_after_an_event_is_not_asked_about() -> None:
    histories = [[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2], [4]]
    weights = [[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1], [0]]
    split = LeaveOneOut().split(weighed(histories, [[float(one) for one in row] for row in weights]))
    assert split.test.histories.users_U.tolist() == [0]
    assert split.train.tolist() == [[1], *histories[1:]]
    with pytest.raises(DataError, match=r"of 1 user none has two targets with an event before them"):
        LeaveOneOut().split(weighed([[1, 2, 3]], [[1.0, 0.0, 0.0]]))


@given(st.lists(st.lists(st.booleans(), max_size=60), min_size=1, max_size=6), st.integers(1, 3))
def test_the_last_targets_are_found_in_long_histories_and_in_parts(are: list[list[bool]], count: int) -> None:
    sequences = weighed([[0] * len(one) for one in are], [[float(each) for each in one] for one in are])
    found, start = [], 0
    for one in are:
        places = [start + place for place, each in enumerate(one) if each][-count:]
        found.append([-1] * (count - len(places)) + places)
        start += len(one)
    assert sequences.last_targets(count).tolist() == found
