"""Windows that slide, copies of them, and what is hidden in each. B rows, L length, T targets."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.batches import MASK
from nextitem.model.objectives.masked_item import MaskedItem
from nextitem.model.objectives.next_item import NextItem

SEQUENCES = Sequences.of([[4, 8], [], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [7]], number_of_items=10)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def published_begins(length: int, longest: int, stride: int) -> list[int]:
    """Where the windows of a history begin in the data generation of 2019, in its own words: newest first, then 0."""
    return [0] if length <= longest else [*range(length - longest, 0, -stride), 0][::-1]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
def test_windows_slide_as_those_of_2019_do(length: int, longest: int, stride: int) -> None:
    history = list(range(length))
    windows = Sequences.of([[], history], 40).sliding(longest, stride)
    expected = [history[begin : begin + longest] for begin in published_begins(length, longest, stride)]
    assert [window for window in windows.tolist() if window] == expected
    assert expected[-1][-1] == length - 1


def test_a_stride_is_counted_back_from_the_newest_event() -> None:
    windows = MaskedItem(maximum_length=4, stride=3).windows(SEQUENCES)
    assert windows.tolist() == [[4, 8], [0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9], [7]]
    assert windows.users_U.tolist() == [0, 2, 2, 2, 3]


def test_with_a_stride_of_the_length_every_event_but_the_first_is_a_target_once() -> None:
    objective = NextItem(maximum_length=3, stride=3)
    windows = objective.windows(SEQUENCES)
    assert windows.tolist() == [[4, 8], [0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert objective.batch(windows, generator()).targets_T.tolist() == [8, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_lengths_on_the_host_follow_the_windows() -> None:
    elsewhere = replace(SEQUENCES, host_lengths_U=SEQUENCES.lengths_U)
    for windows in (elsewhere.sliding(4, 3), MaskedItem(maximum_length=4, stride=3, copies=2).windows(elsewhere)):
        assert windows.host_lengths_U is not None
        assert torch.equal(windows.host_lengths_U, windows.lengths_U)


@pytest.mark.parametrize("objective", [NextItem, MaskedItem])
def test_a_stride_that_would_leave_events_out_is_refused(objective: type[NextItem] | type[MaskedItem]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"stride = 6.*at most maximum_length=5: what lies between windows is never"
    ):
        objective(maximum_length=5, stride=6)
    assert objective(maximum_length=5, stride=5).stride == 5


def test_copies_are_views_of_the_same_events() -> None:
    windows = MaskedItem(maximum_length=4, copies=3, last_copies=2).windows(SEQUENCES)
    assert windows.events is SEQUENCES.events
    assert windows.tolist() == [[4, 8], [6, 7, 8, 9], [7]] * 5
    assert windows.host_marks_U is not None
    assert windows.host_marks_U.tolist() == [False] * 9 + [True] * 6


def test_a_marked_copy_hides_its_last_item_alone_and_the_others_what_is_drawn() -> None:
    objective = MaskedItem(
        maximum_length=10, stride=5, copies=2, last_copies=1, masks="exact_share", mask_probability=0.5
    )
    windows = objective.windows(SEQUENCES)
    batch = objective.batch(windows, generator())
    is_masked_BL = batch.inputs_BL == MASK
    assert is_masked_BL.sum(1).tolist() == [1, 5, 1] * 2 + [1, 1, 1]
    assert batch.targets_T[batch.rows_T >= 6].tolist() == [8, 9, 7]
    assert bool(is_masked_BL[torch.arange(6, 9), batch.lengths_B[6:] - 1].all())
    assert not torch.equal(is_masked_BL[1], is_masked_BL[4])  # masks of its own for each copy


def test_a_mark_goes_with_its_window_into_any_step() -> None:
    objective = MaskedItem(maximum_length=10, last_copies=1, mask_probability=1.0)
    windows = objective.windows(SEQUENCES)
    order = torch.tensor([4, 1, 0, 3])
    for rows in (order, slice(1, 5)):
        chosen = windows.select(rows)
        batch = objective.batch(chosen, generator())
        assert chosen.host_marks_U is not None
        whole_B = torch.where(chosen.host_marks_U, torch.ones_like(chosen.lengths_U), chosen.lengths_U)
        assert torch.equal(batch.counts_B, whole_B)


def test_copies_alone_are_so_many_epochs_in_one() -> None:
    windows = MaskedItem(maximum_length=4, copies=2).windows(SEQUENCES)
    assert windows.tolist() == [[4, 8], [6, 7, 8, 9], [7]] * 2
    assert windows.host_marks_U is not None
    assert not bool(windows.host_marks_U.any())


@pytest.mark.parametrize(
    ("length", "share", "most", "hidden"), [(50, 0.6, 30, 30), (50, 0.6, 20, 20), (200, 0.2, 20, 20), (5, 0.3, 9, 2)]
)
def test_an_exact_share_has_an_upper_limit(length: int, share: float, most: int, hidden: int) -> None:
    assert hidden == min(most, max(1, round(share * length)))
    objective = MaskedItem(maximum_length=length, mask_probability=share, masks="exact_share", most_masks=most)
    windows = Sequences.of([list(range(length))], length).select(torch.zeros(30, dtype=torch.int64))
    assert objective.batch(windows, generator()).counts_B.tolist() == [hidden] * 30


@pytest.mark.parametrize("masks", ["independent", "at_least_one"])
def test_masks_without_a_number_cannot_be_limited(masks: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"most_masks = 3 .*=exact_share: {masks} masks have no exact number"):
        MaskedItem(masks=masks, most_masks=3)


def test_the_latest_hidden_item_of_each_window_has_its_weight() -> None:
    objective = MaskedItem(maximum_length=10, mask_probability=0.5, last_weight=4.0)
    windows = objective.windows(SEQUENCES)
    for seed in range(20):
        batch = objective.batch(windows, generator(seed))
        assert batch.weights_T is not None
        later = [*batch.rows_T.tolist()[1:], -1]
        expected = [4.0 if row != other else 1.0 for row, other in zip(batch.rows_T.tolist(), later, strict=True)]
        assert batch.weights_T.tolist() == expected


def test_no_mask_at_all_has_no_weight_either() -> None:
    batch = MaskedItem(mask_probability=1e-9, last_weight=4.0).batch(SEQUENCES.select(slice(0, 1)), generator())
    assert batch.weights_T is not None
    assert batch.weights_T.shape == (0,)
