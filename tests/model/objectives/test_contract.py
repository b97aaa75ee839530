"""What every objective promises about its windows, batches and queries. B rows, L length, T targets."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import MASK, PAD, Batch, cut
from worlds.shelves import OBJECTIVES, each, each_objective, having

# One that shows no items has a place for its targets, and rows of length 0; it has tests of its own.
each_that_shows = each("objective", {name: one for name, one in OBJECTIVES.items() if one.shows_items})

ITEMS, LONGEST = 30, 12
LENGTHS = [5, 1, 0, 20, 2, 12, 13, 3]


@pytest.fixture
def histories() -> Sequences:
    draws = torch.Generator().manual_seed(0)
    sequences = Sequences.of([torch.randint(ITEMS, (n,), generator=draws).tolist() for n in LENGTHS], ITEMS)
    users_U = torch.tensor([3, 14, 15, 92, 65, 35, 89, 79])
    return Sequences(sequences.events, sequences.starts_U, sequences.stops_U, users_U)


def batch_of(objective: Any, histories: Sequences, seed: int = 0) -> tuple[Sequences, Batch]:
    windows = objective.windows(histories)
    return windows, objective.batch(windows, torch.Generator().manual_seed(seed))


def fields(batch: Batch) -> list[Tensor]:
    return [batch.inputs_BL, batch.lengths_B, batch.positions_T, batch.targets_T, batch.rows_T, batch.users_B]


def stretches(objective: Any, histories: Sequences) -> dict[int, list[tuple[int, int]]]:
    """Where the windows of each user begin and end in the user's history."""
    windows = objective.windows(histories)
    begins = dict(zip(histories.users_U.tolist(), histories.starts_U.tolist(), strict=True))
    found: dict[int, list[tuple[int, int]]] = {}
    for user, start, stop in zip(
        windows.users_U.tolist(), windows.starts_U.tolist(), windows.stops_U.tolist(), strict=True
    ):
        found.setdefault(user, []).append((start - begins[user], stop - begins[user]))
    return found


@each_objective
def test_a_window_is_a_stretch_of_its_users_history_and_one_of_them_its_end(
    objective: Any, histories: Sequences
) -> None:
    found = stretches(objective, histories)
    assert found
    lengths = dict(zip(histories.users_U.tolist(), LENGTHS, strict=True))
    for user, parts in found.items():
        assert all(0 <= start < stop <= lengths[user] for start, stop in parts)
        assert any(stop == lengths[user] for _, stop in parts)


# One with a window at every event is no matter of strides, and has tests of its own.
each_that_strides = each(
    "objective", {k: one for k, one in having(OBJECTIVES, "stride").items() if getattr(one, "targets", None) != "last"}
)


@each_that_strides
def test_without_a_stride_a_user_has_the_end_alone_and_with_one_every_event(
    objective: Any, histories: Sequences
) -> None:
    parts = set(stretches(objective, histories)[92])  # the user with 20 events
    longest = LONGEST + (objective.name == "next_item")
    assert all(stop - start == longest for start, stop in parts)
    stride = objective.stride or 20
    steps = {(20 - longest - back, 20 - back) for back in range(0, 20 - longest, stride)}
    assert parts == (steps if objective.stride is None else {*steps, (0, longest)})


@each_that_shows
def test_positions_and_rows_ascend_and_lie_within_their_rows(objective: Any, histories: Sequences) -> None:
    windows, batch = batch_of(objective, histories)
    assert bool((batch.read.diff() > 0).all())
    assert torch.equal(batch.positions_T.unique(), batch.read)
    assert bool((batch.positions_T.diff() >= 0).all())
    assert bool((batch.rows_T.diff() >= 0).all())
    assert torch.equal(batch.positions_T // batch.inputs_BL.shape[1], batch.rows_T)
    assert bool((batch.columns_T < batch.lengths_B[batch.rows_T]).all())
    rows = torch.arange(len(batch.lengths_B)) % len(windows)  # each window once, or each of them once more
    assert torch.equal(batch.users_B, windows.users_U[rows])
    assert len(rows) == len(windows) * (1 + (getattr(objective, "cloze_weight", 0) > 0))


@each_objective
def test_every_position_has_one_weight_if_any_has(objective: Any, histories: Sequences) -> None:
    _, batch = batch_of(objective, histories)
    is_weighted = getattr(objective, "cloze_weight", 0) > 0 or getattr(objective, "last_weight", 1) != 1
    assert (batch.weights_T is not None) is is_weighted
    if batch.weights_T is not None:
        assert batch.weights_T.shape == batch.targets_T.shape


@each_objective
def test_what_the_host_is_told_is_what_the_batch_holds(objective: Any, histories: Sequences) -> None:
    for seed in range(5):
        _, batch = batch_of(objective, histories, seed)
        assert torch.equal(batch.sizes_B, batch.lengths_B)
        assert batch.host_counts_B is not None
        assert torch.equal(batch.counts_B, torch.bincount(batch.rows_T, minlength=len(batch.lengths_B)))


@each_objective
def test_a_target_is_always_an_item(objective: Any, histories: Sequences) -> None:
    for seed in range(20):
        _, batch = batch_of(objective, histories, seed)
        assert bool(((batch.targets_T >= 0) & (batch.targets_T < ITEMS)).all())


@each_that_shows
def test_inputs_are_padded_behind_their_end_and_nowhere_else(objective: Any, histories: Sequences) -> None:
    _, batch = batch_of(objective, histories)
    length = batch.inputs_BL.shape[1]
    assert length == batch.lengths_B.max()
    assert length <= objective.maximum_length
    assert torch.equal(batch.inputs_BL == PAD, torch.arange(length) >= batch.lengths_B[:, None])
    assert bool((batch.lengths_B >= 1).all())


@each_objective
def test_mask_is_an_input_of_objectives_that_need_it_only(objective: Any, histories: Sequences) -> None:
    assert bool((batch_of(objective, histories)[1].inputs_BL == MASK).any()) is objective.needs_mask
    query = objective.query(histories.select(histories.lengths_U > 0))
    assert bool((query.inputs_BL == MASK).any()) is (objective.name == "masked_item")


@each_objective
def test_the_batch_is_a_function_of_windows_and_generator(objective: Any, histories: Sequences) -> None:
    before = histories.events.items.clone()
    (_, first), (_, second) = batch_of(objective, histories, seed=5), batch_of(objective, histories, seed=5)
    assert all(torch.equal(one, other) for one, other in zip(fields(first), fields(second), strict=True))
    assert torch.equal(histories.events.items, before)


@each_that_shows
def test_a_batch_of_one_user_is_enough(objective: Any, histories: Sequences) -> None:
    windows, batch = batch_of(objective, histories.select(torch.tensor([3])))
    assert batch.inputs_BL.shape[1] == LONGEST
    assert len(batch.lengths_B) in (len(windows), 2 * len(windows))
    assert set(batch.users_B.tolist()) == {92}


@each_that_shows
def test_a_query_asks_once_at_each_rows_end(objective: Any, histories: Sequences) -> None:
    known = histories.select(histories.lengths_U > 0)
    batch = objective.query(known)
    rows_B = torch.arange(len(known))
    assert torch.equal(batch.rows_T, rows_B)
    assert torch.equal(batch.columns_T, batch.lengths_B - 1)
    assert torch.equal(batch.users_B, known.users_U)
    assert batch.inputs_BL.shape == (len(known), LONGEST)
    assert torch.equal(batch.inputs_BL == PAD, torch.arange(LONGEST) >= batch.lengths_B[:, None])


@each_that_shows
def test_a_query_shows_the_newest_items(objective: Any, histories: Sequences) -> None:
    known = histories.select(histories.lengths_U > 0)
    batch = objective.query(known)
    for row, history in enumerate(known.tolist()):
        shown = batch.inputs_BL[row, : batch.lengths_B[row]]
        items = shown[shown != MASK].tolist()
        assert items == history[-len(items) :]
        assert len(items) == min(len(history), LONGEST - (objective.name == "masked_item"))


@each_objective
def test_a_query_carries_the_targets_it_is_given(objective: Any, histories: Sequences) -> None:
    known = histories.select(histories.lengths_U > 0)
    targets_C = torch.arange(len(known)) + 7
    assert torch.equal(objective.query(known, targets_C).targets_T, targets_C)
    assert objective.query(known).targets_T.tolist() == [-1] * len(known)  # without any, nothing can be looked up


@each_objective
def test_no_history_at_all_is_an_empty_query(objective: Any, histories: Sequences) -> None:
    batch = objective.query(histories.select(torch.tensor([], dtype=torch.int64)))
    assert len(batch.inputs_BL) == len(batch.positions_T) == len(batch.targets_T) == 0


def timed() -> Sequences:
    """Histories of the usual lengths in which item i happened at 10 i + 5 seconds."""
    starts = [sum(LENGTHS[:number]) for number in range(len(LENGTHS))]
    items = [list(range(start, start + length)) for start, length in zip(starts, LENGTHS, strict=True)]
    return Sequences.of(items, sum(LENGTHS), times=[[10 * item + 5 for item in history] for history in items])


def assert_times_are_of_inputs(batch: Batch) -> None:
    assert batch.times_BL is not None
    assert batch.times_BL.shape == batch.inputs_BL.shape
    is_item_BL = batch.inputs_BL >= 0
    assert torch.equal(batch.times_BL[is_item_BL], 10 * batch.inputs_BL[is_item_BL] + 5)
    columns_BL = torch.arange(batch.inputs_BL.shape[1]).expand_as(batch.inputs_BL)
    newest_B1 = batch.times_BL.gather(1, (batch.lengths_B - 1).clamp(min=0)[:, None])
    is_after_BL = columns_BL >= batch.lengths_B[:, None]
    assert torch.equal(batch.times_BL[is_after_BL], newest_B1.expand_as(batch.times_BL)[is_after_BL])


@each_that_shows
def test_inputs_have_their_times_and_padding_that_of_the_newest_input(objective: Any) -> None:
    _, batch = batch_of(objective, timed())
    assert_times_are_of_inputs(batch)
    assert batch.times_BL is not None
    for inputs, times in zip(batch.inputs_BL.tolist(), batch.times_BL.tolist(), strict=True):
        shown = [10 * item + 5 for item in inputs if item >= 0]
        for place, item in enumerate(inputs):
            before = [10 * one + 5 for one in inputs[:place] if one >= 0]
            if item == MASK and shown:  # when it was is hidden as well
                assert times[place] == (before[-1] if before else shown[0])


@each_that_shows
def test_a_query_gives_away_nothing_later_than_the_history(objective: Any) -> None:
    histories = timed().select(torch.tensor([0, 3, 4, 7]))
    batch = objective.query(histories)
    assert_times_are_of_inputs(batch)
    assert batch.times_BL.max(1).values.tolist() == [10 * history[-1] + 5 for history in histories.tolist()]


@each_that_shows
def test_a_part_of_a_batch_has_its_own_times(objective: Any) -> None:
    _, batch = batch_of(objective, timed())
    part, _ = cut(batch, None, slice(1, 3))
    assert part.times_BL is not None
    assert batch.times_BL is not None
    assert torch.equal(part.times_BL, batch.times_BL[1:3])


@each_objective
def test_without_times_a_batch_has_none(objective: Any, histories: Sequences) -> None:
    assert batch_of(objective, histories)[1].times_BL is None
    assert objective.query(histories.select(torch.tensor([0, 3]))).times_BL is None
