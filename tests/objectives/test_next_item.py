import torch

from nextitem.batches import PAD
from nextitem.objectives.next_item import NextItem
from nextitem.sequences import Sequences

SEQUENCES = Sequences.of([[4, 8], [3], [], [1, 2, 3, 4, 5, 6], [7, 7, 9]], number_of_items=10)
NEVER_USED = torch.Generator()


def test_a_window_is_the_last_events_one_more_than_the_longest_input() -> None:
    windows = NextItem(maximum_length=3).windows(SEQUENCES)
    assert windows.tolist() == [[4, 8], [3, 4, 5, 6], [7, 7, 9]]  # one event or none holds no pair
    assert windows.users_U.tolist() == [0, 3, 4]


def test_inputs_are_all_but_the_last_event_and_targets_all_but_the_first() -> None:
    objective = NextItem(maximum_length=3)
    batch = objective.batch(objective.windows(SEQUENCES), NEVER_USED)
    assert batch.inputs_BL.tolist() == [[4, PAD, PAD], [3, 4, 5], [7, 7, PAD]]
    assert batch.lengths_B.tolist() == [1, 3, 2]
    assert batch.targets_T.tolist() == [8, 4, 5, 6, 7, 9]
    assert batch.rows_T.tolist() == [0, 1, 1, 1, 2, 2]
    assert batch.positions_T.tolist() == [0, 3, 4, 5, 6, 7]
    assert batch.columns_T.tolist() == [0, 0, 1, 2, 0, 1]


def test_the_shortest_windows_have_one_input() -> None:
    objective = NextItem(maximum_length=1)
    batch = objective.batch(objective.windows(SEQUENCES), NEVER_USED)
    assert batch.inputs_BL.tolist() == [[4], [5], [7]]
    assert batch.targets_T.tolist() == [8, 6, 9]


def test_a_query_is_the_last_events_as_they_are() -> None:
    batch = NextItem(maximum_length=3).query(SEQUENCES.select(torch.tensor([3, 1])))
    assert batch.inputs_BL.tolist() == [[4, 5, 6], [3, PAD, PAD]]
    assert batch.lengths_B.tolist() == [3, 1]
    assert batch.positions_T.tolist() == [2, 3]


def test_nothing_is_drawn() -> None:
    draws = torch.Generator().manual_seed(1)
    before = draws.get_state()
    NextItem().batch(NextItem().windows(SEQUENCES), draws)
    assert torch.equal(draws.get_state(), before)
