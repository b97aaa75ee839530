"""What every objective makes of events that weigh differently, or are never a target. B rows, T targets."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch
from nextitem.model.objectives import MaskedItem, NextFew, NextItem, UserItem
from worlds.shelves import each_objective

ITEMS = 30
LENGTHS = [5, 1, 0, 20, 2, 12, 13, 3, 1, 4]


def histories(weights: list[float] | None = None) -> Sequences:
    """Every event has an item of its own, so that an item tells its event; or one history with these weights."""
    lengths = LENGTHS if weights is None else [len(weights)]
    flat, items = 0, []
    for length in lengths:
        items.append([*range(flat, flat + length)])
        flat += length
    draws = torch.Generator().manual_seed(0)
    drawn = torch.tensor([0.0, 0.2, 1.0, 2.5])[torch.randint(4, (flat,), generator=draws)]
    given = drawn if weights is None else torch.tensor(weights)
    sequences = Sequences.of(items, flat)
    return replace(sequences, events=replace(sequences.events, weights=given))


def batch_of(objective: Any, train: Sequences, seed: int = 0) -> Batch:
    return objective.batch(objective.windows(train), torch.Generator().manual_seed(seed))  # type: ignore[no-any-return]


def own_weights(objective: Any, train: Sequences, seed: int) -> tuple[Tensor, Tensor]:
    """The targets of the same draws where all events weigh 1, and what the objective itself weighs them."""
    batch = batch_of(objective, replace(train, events=replace(train.events, weights=None)), seed)
    ones = torch.ones(len(batch.targets_T))
    return batch.targets_T, ones if batch.weights_T is None else batch.weights_T


@each_objective
def test_targets_are_those_that_weigh_and_each_weighs_what_its_event_does(objective: Any) -> None:
    train = histories()
    weights_E, asked = train.events.weights, 0
    assert weights_E is not None
    for seed in range(5):
        batch = batch_of(objective, train, seed)
        assert batch.weights_T is not None
        assert bool((weights_E[batch.targets_T] > 0).all())
        factors_T = batch.weights_T / weights_E[batch.targets_T]  # of the objective's own
        allowed = {1.0, getattr(objective, "cloze_weight", 1.0) or 1.0, getattr(objective, "last_weight", 1.0)}
        assert all(min(abs(one - factor) for one in allowed) < 1e-6 for factor in factors_T.tolist())
        assert torch.equal(batch.counts_B, torch.bincount(batch.rows_T, minlength=len(batch.lengths_B)))
        assert bool((batch.positions_T // batch.inputs_BL.shape[1] == batch.rows_T).all())
        asked += len(batch.targets_T)
    assert asked > 0


@each_objective
def test_all_weights_of_1_are_as_none(objective: Any) -> None:
    train = histories()
    train = replace(train, events=replace(train.events, weights=torch.ones(sum(LENGTHS))))
    batch = batch_of(objective, train, 3)
    targets_T, weights_T = own_weights(objective, train, 3)
    assert torch.equal(batch.targets_T, targets_T)
    assert batch.weights_T is not None
    assert torch.equal(batch.weights_T, weights_T)


def test_a_view_is_read_and_not_foreseen() -> None:
    batch = NextItem(maximum_length=4).batch(histories([1.0, 0.0, 0.25, 0.0, 1.0]), torch.Generator())
    assert batch.inputs_BL.tolist() == [[0, 1, 2, 3]]
    assert (batch.positions_T.tolist(), batch.targets_T.tolist()) == ([1, 3], [2, 4])
    assert batch.weights_T is not None
    assert batch.weights_T.tolist() == [0.25, 1.0]


def test_of_the_next_few_those_that_weigh_are_targets() -> None:
    objective = NextFew(maximum_length=2, targets=3)
    batch = objective.batch(objective.windows(histories([1.0, 1.0, 0.5, 0.0, 2.0])), torch.Generator())
    assert batch.inputs_BL.tolist() == [[0, 1]]
    assert batch.targets_T.tolist() == [2, 4]
    assert batch.weights_T is not None
    assert batch.weights_T.tolist() == [0.5, 2.0]


def test_a_user_is_asked_about_what_weighs_alone() -> None:
    assert UserItem().windows(histories([0.0, 1.0, 0.5, 0.0])).tolist() == [[1], [2]]


def test_masks_hide_what_weighs_alone_and_their_share_is_of_that() -> None:
    train = histories([0.0, 0.0, 1.0, 0.0, 0.5, 0.0])
    whole = batch_of(MaskedItem(maximum_length=6, mask_probability=1.0), train)
    assert whole.targets_T.tolist() == [2, 4]
    half = MaskedItem(maximum_length=6, mask_probability=0.5, masks="exact_share")
    assert {len(batch_of(half, train, seed).targets_T) for seed in range(9)} == {1}
    last = MaskedItem(maximum_length=6, mask_probability=1e-9, force_last_probability=1.0)
    assert batch_of(last, train).targets_T.tolist() == [4]
    for masks in ("independent", "at_least_one", "exact_share"):
        nothing = MaskedItem(maximum_length=6, masks=masks, force_last_probability=1.0)
        assert not len(batch_of(nothing, histories([0.0, 0.0, 0.0])).targets_T)
