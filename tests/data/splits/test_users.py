"""Ten users, user u with u + 1 events; two of them are tested and two of the others validate."""

from typing import Any

import pytest
import torch

from nextitem.data.checkup.held_out import HeldOut
from nextitem.data.sequences import Sequences
from nextitem.data.splits import Users
from nextitem.errors import DataError

LOG = Sequences.of([[*range(user + 1)] for user in range(10)], 10)
QUARTER = {"test_share": 0.25, "validation_share": 0.25}  # of the nine with two events: two; of the seven left: two


def test_users_are_tested_validated_or_learnt_from_whole() -> None:
    split = Users(**QUARTER).split(LOG)
    tested, validated = (part.histories.users_U.tolist() for part in (split.test, split.validation))
    assert (len(tested), len(validated)) == (2, 2)
    learnt = [user for user in range(10) if user not in (*tested, *validated)]
    assert split.train.tolist() == [[*range(user + 1)] if user in learnt else [] for user in range(10)]
    assert split.train_and_validation.lengths_U[tested].tolist() == [0, 0]
    assert split.train_and_validation.lengths_U[validated].tolist() == [user + 1 for user in validated]
    assert split.notes == ("1 user with one event is learnt from and never asked about",)


def test_the_last_event_is_asked_for_after_all_before_it() -> None:
    test = Users(**QUARTER).split(LOG).test
    assert test.histories.tolist() == [[*range(user)] for user in test.histories.users_U.tolist()]
    assert test.targets_C.tolist() == test.histories.users_U.tolist()


def test_every_event_but_the_first_is_asked_for() -> None:
    test = Users(target="successive", **QUARTER).split(LOG).test
    users = test.histories.users_U.unique().tolist()
    assert test.targets_C.tolist() == [target for user in users for target in range(1, user + 1)]
    assert test.histories.lengths_U.tolist() == test.targets_C.tolist()


def test_the_ceiling_that_is_told_is_averaged_over_users_as_metrics_are() -> None:
    asked = Users(target="successive", test_share=0.25, validation_share=0.25, seed=1)
    split = asked.split(LOG)
    learnt = {item for history in split.train.tolist() for item in history}
    targets = [range(1, user + 1) for user in split.test.histories.users_U.unique().tolist()]
    reached = [sum(item in learnt for item in items) / len(items) for items in targets]
    of_cases = sum(item in learnt for items in targets for item in items) / sum(map(len, targets))
    ceiling = sum(reached) / len(reached)
    assert ceiling != of_cases
    assert split.told[-1].endswith(f"by their ids alone exceeds {ceiling:.3f}")
    assert HeldOut.of(asked, split).ceiling == pytest.approx(ceiling)


def test_a_random_event_has_a_history() -> None:
    test = Users(target="random", **QUARTER).split(LOG).test
    assert torch.equal(test.histories.lengths_U, test.targets_C)
    assert bool((test.targets_C >= 1).all())


def test_a_seed_draws_the_users() -> None:
    def tested(seed: int) -> list[int]:
        return Users(seed=seed, **QUARTER).split(LOG).test.histories.users_U.tolist()

    assert tested(0) == tested(0)
    assert len({tuple(tested(seed)) for seed in range(10)}) > 1


def test_a_log_needs_no_times() -> None:
    assert Users().split(LOG).cuts == ()


@pytest.mark.parametrize(
    ("histories", "settings", "said"),
    [
        ([[0, 1], [2]], {}, r"1 user has two events, a history and a target, so nothing can be held out by users"),
        ([[0, 1], [1, 0]], {}, r"1 user has two events, a history and a target, so nothing can be held out by users"),
        ([[0, 1]] * 3, {"test_share": 0.9}, r"0 users have two .*the test asks about 3 others: lower split.test_share"),
        ([[0, 1]] * 4, {"test_share": 0.5, "validation_share": 0.9}, "all would be asked about and nobody learnt from"),
    ],
)
def test_too_few_users_are_refused(histories: list[list[int]], settings: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Users(**settings).split(Sequences.of(histories, 3))
