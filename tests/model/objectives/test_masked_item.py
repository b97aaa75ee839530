"""Which items are hidden, and how often. B rows, L length, T targets."""

import math

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import MASK, PAD, Batch
from nextitem.model.objectives.masked_item import MaskedItem

SEQUENCES = Sequences.of([[4, 8], [3], [], [1, 2, 3, 4, 5, 6], [7, 7, 9]], number_of_items=10)


def many(length: int, windows: int = 4000) -> Sequences:
    """Equal windows 0, 1, … length − 1, so that an item is its own place."""
    return Sequences.of([list(range(length))], number_of_items=length).select(torch.zeros(windows, dtype=torch.int64))


def drawn(windows: Sequences, seed: int = 0, **settings: object) -> Batch:
    objective = MaskedItem(**{"maximum_length": 50, **settings})
    return objective.batch(objective.windows(windows), torch.Generator().manual_seed(seed))


def masked_places(batch: Batch) -> Tensor:
    return batch.inputs_BL == MASK


def is_share(count: float, of: int, share: float) -> bool:
    """Whether `count` successes are within five standard deviations of a binomial's mean."""
    return abs(count - of * share) < 5 * math.sqrt(of * share * (1 - share))


def test_a_window_is_the_last_events() -> None:
    windows = MaskedItem(maximum_length=4).windows(SEQUENCES)
    assert windows.tolist() == [[4, 8], [3], [3, 4, 5, 6], [7, 7, 9]]  # one event is enough, none is not
    assert windows.users_U.tolist() == [0, 1, 3, 4]


def test_a_hidden_item_is_the_target_and_the_others_stay() -> None:
    objective = MaskedItem(maximum_length=4, mask_probability=0.5)
    windows = objective.windows(SEQUENCES)
    for seed in range(20):
        batch = objective.batch(windows, torch.Generator().manual_seed(seed))
        restored_BL = batch.inputs_BL.clone()
        restored_BL.view(-1)[batch.positions_T] = batch.targets_T
        assert restored_BL.tolist() == [[4, 8, PAD, PAD], [3, PAD, PAD, PAD], [3, 4, 5, 6], [7, 7, 9, PAD]]
        assert int(masked_places(batch).sum()) == len(batch.targets_T)
        assert bool(masked_places(batch).view(-1)[batch.positions_T].all())


def test_a_query_ends_with_a_mask_at_the_rows_own_end() -> None:
    batch = MaskedItem(maximum_length=4).query(SEQUENCES.select(torch.tensor([3, 1, 0])))
    assert batch.inputs_BL.tolist() == [[4, 5, 6, MASK], [3, MASK, PAD, PAD], [4, 8, MASK, PAD]]
    assert batch.lengths_B.tolist() == [4, 2, 3]
    assert batch.positions_T.tolist() == [3, 5, 10]


def test_a_query_of_an_empty_history_is_a_lone_mask() -> None:
    batch = MaskedItem(maximum_length=4).query(SEQUENCES.select(torch.tensor([2])))
    assert batch.inputs_BL.tolist() == [[MASK]]
    assert batch.lengths_B.tolist() == [1]


def test_independent_masks_hide_every_place_with_the_given_probability() -> None:
    is_masked_BL = masked_places(drawn(many(8), mask_probability=0.3))
    for place in range(8):
        assert is_share(int(is_masked_BL[:, place].sum()), 4000, 0.3)
    for place in range(1, 8):  # and apart from each other
        assert is_share(int((is_masked_BL[:, 0] & is_masked_BL[:, place]).sum()), 4000, 0.3 * 0.3)


def test_independent_masks_leave_some_windows_whole() -> None:
    batch = drawn(many(5), mask_probability=0.2)
    assert is_share(4000 - len(batch.rows_T.unique()), 4000, 0.8**5)


def test_a_batch_may_have_no_target_at_all() -> None:
    batch = drawn(many(2, windows=1), mask_probability=1e-9)
    assert batch.targets_T.shape == batch.positions_T.shape == batch.rows_T.shape == (0,)
    assert batch.inputs_BL.tolist() == [[0, 1]]


def test_at_least_one_adds_a_mask_at_random_where_there_was_none() -> None:
    is_masked_BL = masked_places(drawn(many(5), mask_probability=0.2, masks="at_least_one"))
    assert int(is_masked_BL.sum(1).min()) == 1
    for place in range(5):
        assert is_share(int(is_masked_BL[:, place].sum()), 4000, 0.2 + 0.8**5 / 5)


def test_at_least_one_changes_no_window_that_has_a_mask_already() -> None:
    independent, at_least_one = (
        masked_places(drawn(many(5), mask_probability=0.2, masks=masks)) for masks in ("independent", "at_least_one")
    )
    has_mask_B = independent.any(1)
    assert torch.equal(at_least_one[has_mask_B], independent[has_mask_B])
    assert at_least_one[~has_mask_B].sum(1).unique().tolist() == [1]


@pytest.mark.parametrize(
    ("length", "share", "hidden"),
    [(10, 0.2, 2), (8, 0.2, 2), (7, 0.2, 1), (2, 0.2, 1), (1, 0.2, 1), (50, 0.6, 30), (5, 1.0, 5)],
    ids=lambda value: f"{value}",
)
def test_an_exact_share_is_the_rounded_product_and_at_least_one(length: int, share: float, hidden: int) -> None:
    assert hidden == max(1, round(share * length))
    is_masked_BL = masked_places(drawn(many(length, windows=500), mask_probability=share, masks="exact_share"))
    assert is_masked_BL.sum(1).unique().tolist() == [hidden]
    for place in range(length if hidden < length else 0):
        assert is_share(int(is_masked_BL[:, place].sum()), 500, hidden / length)


@pytest.mark.parametrize("masks", ["independent", "at_least_one", "exact_share"])
def test_every_window_has_its_own_share_and_padding_is_never_hidden(masks: str) -> None:
    lengths = torch.arange(1, 41)
    windows = Sequences.of([list(range(length)) for length in lengths.tolist()], number_of_items=40)
    batch = drawn(windows, mask_probability=0.5, masks=masks)
    is_masked_BL = masked_places(batch)
    assert not bool(is_masked_BL[torch.arange(40) >= lengths[:, None]].any())
    assert torch.equal(batch.targets_T, batch.columns_T)  # an item is its own place
    if masks == "exact_share":
        assert is_masked_BL.sum(1).tolist() == [max(1, round(0.5 * length)) for length in lengths.tolist()]


@pytest.mark.parametrize("masks", ["independent", "at_least_one", "exact_share"])
def test_everything_can_be_hidden(masks: str) -> None:
    batch = drawn(SEQUENCES, mask_probability=1.0, masks=masks)
    assert batch.targets_T.tolist() == [4, 8, 3, 1, 2, 3, 4, 5, 6, 7, 7, 9]


@pytest.mark.parametrize("masks", ["independent", "at_least_one", "exact_share"])
def test_forcing_the_last_item_hides_it_always_and_the_others_as_before(masks: str) -> None:
    plain, forced = (
        masked_places(drawn(many(6), mask_probability=0.3, masks=masks, force_last_probability=probability))
        for probability in (0.0, 1.0)
    )
    assert bool(forced[:, -1].all())
    assert torch.equal(forced[:, :-1], plain[:, :-1])


def test_forcing_the_last_item_sometimes_adds_to_its_own_share() -> None:
    is_masked_BL = masked_places(drawn(many(6), mask_probability=0.2, force_last_probability=0.25))
    assert is_share(int(is_masked_BL[:, -1].sum()), 4000, 1 - 0.8 * 0.75)
    assert is_share(int(is_masked_BL[:, 0].sum()), 4000, 0.2)


def test_the_forced_item_is_the_last_of_its_own_row() -> None:
    batch = drawn(SEQUENCES, mask_probability=1e-9, force_last_probability=1.0)
    assert batch.inputs_BL[:, :3].tolist() == [[4, MASK, PAD], [MASK, PAD, PAD], [1, 2, 3], [7, 7, MASK]]
    assert batch.targets_T.tolist() == [8, 3, 6, 9]


def test_masks_are_drawn_anew_by_every_generator() -> None:
    first, second = (masked_places(drawn(many(10), seed=seed, mask_probability=0.5)) for seed in (0, 1))
    assert is_share(int((first == second).sum()), 4000 * 10, 0.5)
