import torch

from nextitem.data.sequences import Sequences
from nextitem.model.batches import PAD
from nextitem.model.objectives.next_few import NextFew

SEQUENCES = Sequences.of([[4, 8], [3], [], [1, 2, 3, 4, 5, 6], [7, 7, 9]], number_of_items=10)
NEVER_USED = torch.Generator()
OBJECTIVE = NextFew(maximum_length=2, targets=2)


def test_windows_slide_by_one_event_and_a_short_history_is_one() -> None:
    windows = OBJECTIVE.windows(SEQUENCES)
    assert windows.tolist() == [[4, 8], [1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6], [7, 7, 9]]
    assert windows.users_U.tolist() == [0, 3, 3, 3, 4]  # one event or none holds no pair


def test_all_targets_of_a_window_are_asked_for_at_its_newest_input() -> None:
    batch = OBJECTIVE.batch(OBJECTIVE.windows(SEQUENCES), NEVER_USED)
    assert batch.inputs_BL.tolist() == [[4, PAD], [1, 2], [2, 3], [3, 4], [7, PAD]]
    assert batch.lengths_B.tolist() == batch.sizes_B.tolist() == [1, 2, 2, 2, 1]
    assert batch.targets_T.tolist() == [8, 3, 4, 4, 5, 5, 6, 7, 9]
    assert batch.rows_T.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert batch.counts_B.tolist() == [1, 2, 2, 2, 2]
    assert batch.positions_T.tolist() == [0, 3, 3, 5, 5, 7, 7, 8, 8]
    assert batch.read.tolist() == [0, 3, 5, 7, 8]  # each state is computed once


def test_one_input_and_one_target_are_a_transition() -> None:
    objective = NextFew(maximum_length=1, targets=1)
    batch = objective.batch(objective.windows(SEQUENCES), NEVER_USED)
    assert batch.inputs_BL.tolist() == [[4], [1], [2], [3], [4], [5], [7], [7]]
    assert batch.targets_T.tolist() == [8, 2, 3, 4, 5, 6, 7, 9]


def test_a_history_no_longer_than_the_targets_keeps_an_input() -> None:
    objective = NextFew(maximum_length=5, targets=3)
    batch = objective.batch(objective.windows(Sequences.of([[1, 2], [3, 4, 5], [6, 7, 8, 9]], 10)), NEVER_USED)
    assert batch.inputs_BL.tolist() == [[1], [3], [6]]
    assert batch.targets_T.tolist() == [2, 4, 5, 7, 8, 9]


def test_a_query_is_the_last_events_as_they_are() -> None:
    batch = OBJECTIVE.query(SEQUENCES.select(torch.tensor([3, 1])))
    assert batch.inputs_BL.tolist() == [[5, 6], [3, PAD]]
    assert batch.positions_T.tolist() == batch.read.tolist() == [1, 2]


def test_nothing_is_drawn() -> None:
    draws = torch.Generator().manual_seed(1)
    before = draws.get_state()
    OBJECTIVE.batch(OBJECTIVE.windows(SEQUENCES), draws)
    assert torch.equal(draws.get_state(), before)
