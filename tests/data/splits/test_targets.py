"""Which events are asked for where some may not be: worked out by hand, 0…9 the places and the items of one history."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from nextitem.data.sequences import Sequences
from nextitem.data.splits import LeaveOneOut, Temporal, Users
from nextitem.data.splits.targets import Stretch

#           0    1    2    3    4    5    6    7    8    9
WEIGHTS = [1.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.2, 1.0, 0.0, 0.0]


def weighed(*histories: list[float]) -> Sequences:
    """Histories whose events weigh so much; events are numbered, and are at the seconds of their places."""
    flat, items = 0, []
    for weights in histories:
        items.append([*range(flat, flat + len(weights))])
        flat += len(weights)
    sequences = Sequences.of(items, flat, [[float(n) for n, _ in enumerate(one)] for one in histories])
    weights_E = torch.tensor([weight for one in histories for weight in one])
    return replace(sequences, events=replace(sequences.events, weights=weights_E))


@pytest.mark.parametrize(
    ("rule", "targets", "lengths"),
    [
        ("first", [4], [4]),
        ("last", [7], [7]),
        ("successive", [4, 6, 7], [4, 6, 7]),
        ("all", [4, 6, 7], [3, 3, 3]),
    ],
)
def test_of_the_later_events_those_that_weigh_are_asked_for(rule: Any, targets: list[int], lengths: list[int]) -> None:
    whole = weighed(WEIGHTS, [1.0, 1.0, 1.0, 0.0])
    histories, targets_C = Stretch(whole, whole.starts_U + 3, whole.stops_U).asked(rule, 0, 0)
    assert targets_C.tolist() == targets
    assert histories.lengths_U.tolist() == lengths  # of `all` up to the cut, else all before the target


def test_a_random_target_is_each_of_those_that_weigh() -> None:
    whole = weighed(WEIGHTS)
    asked = {int(Stretch(whole, whole.starts_U, whole.stops_U).asked("random", seed, 0)[1]) for seed in range(40)}
    assert asked == {2, 4, 6, 7}  # nobody is asked for a first event


@pytest.mark.parametrize(
    "split", [LeaveOneOut(), Temporal(cut=0.5, validation="last"), Users(test_share=0.5, validation_share=0.9)]
)
def test_no_split_asks_for_what_never_is_a_target_and_targets_follow_their_histories(split: Any) -> None:
    draws = torch.Generator().manual_seed(0)
    whole = weighed(*[torch.randint(0, 3, (9,), generator=draws).float().tolist() for _ in range(20)])
    found = split.split(whole)
    assert whole.events.weights is not None
    for cases in (found.validation, found.test):
        assert len(cases) > 5
        assert bool((whole.events.weights[cases.targets_C] > 0).all())
        assert torch.equal(cases.histories.stops_U, cases.targets_C)
    learnt = set(found.train.flatten()[1].tolist())
    assert not learnt & set(found.validation.targets_C.tolist() + found.test.targets_C.tolist())
