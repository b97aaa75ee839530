"""Every event of a user is asked about, and nothing is shown before it."""

import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import PAD
from nextitem.model.objectives import UserItem

TRAIN = Sequences.of([[0, 1, 2], [3], [4, 4, 5, 6], [7], [1, 7]], 9)


def test_every_event_is_a_target_of_its_user_and_nothing_is_read() -> None:
    windows = UserItem().windows(TRAIN)
    assert windows.users_U.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 3, 4, 4]
    assert windows.tolist() == [[0], [1], [2], [3], [4], [4], [5], [6], [7], [1], [7]]
    batch = UserItem().batch(windows.select(tensor([10, 0])), torch.Generator())
    assert (batch.targets_T.tolist(), batch.users_B.tolist(), batch.rows_T.tolist()) == ([7, 0], [4, 0], [0, 1])
    assert bool((batch.inputs_BL == PAD).all())


def test_a_query_asks_for_each_user_at_a_place_that_holds_no_item() -> None:
    batch = UserItem().query(TRAIN, tensor([3, 1, 0, 2, 4]))
    assert (batch.inputs_BL.tolist(), batch.lengths_B.tolist()) == ([[PAD]] * 5, [0] * 5)
    assert (batch.positions_T.tolist(), batch.rows_T.tolist()) == ([*range(5)], [*range(5)])
    assert batch.users_B.tolist() == [*range(5)]
