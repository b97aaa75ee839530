"""Views of events as padded rows, whatever stands before and after them in memory."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.model.batches import MASK, PAD
from nextitem.model.rows import hide, pad_right

N = 6
_ = PAD


@given(st.lists(st.lists(st.integers(0, N - 1), max_size=5), max_size=6), st.integers(0, 2))
def test_rows_are_padded_on_the_right_to_the_longest(histories: list[list[int]], room: int) -> None:
    sequences = Sequences.of([[0], *histories], N).select(torch.arange(1, len(histories) + 1))
    rows_BL, lengths_B = pad_right(sequences, room=room)
    length = max(map(len, histories), default=0) + room
    assert rows_BL.shape == (len(histories), length)
    assert rows_BL.tolist() == [history + [PAD] * (length - len(history)) for history in histories]
    assert lengths_B.tolist() == [len(history) for history in histories]


def test_what_follows_a_view_in_memory_is_not_read() -> None:
    sequences = Sequences(Events(tensor([1, 2, 3, 4]), N), tensor([0, 1]), tensor([1, 4]), tensor([0, 1]))
    assert pad_right(sequences)[0].tolist() == [[1, _, _], [2, 3, 4]]


def test_empty_rows_without_any_event_are_all_padding() -> None:
    rows_BL, lengths_B = pad_right(Sequences.of([[], []], N), room=1)
    assert (rows_BL.tolist(), lengths_B.tolist()) == ([[_], [_]], [0, 0])


def test_padding_leaves_the_events_as_they_were() -> None:
    sequences = Sequences.of([[1, 2], [3]], N)
    rows_BL, _lengths_B = pad_right(sequences)
    rows_BL.fill_(0)
    assert sequences.tolist() == [[1, 2], [3]]


def test_hidden_items_are_the_targets_and_mask_stands_for_them() -> None:
    sequences = Sequences.of([[4, 5, 6], [7]], 10)
    batch = hide(sequences, tensor([[False, True, True], [True, False, False]]))
    assert batch.inputs_BL.tolist() == [[4, MASK, MASK], [MASK, PAD, PAD]]
    assert (batch.targets_T.tolist(), batch.positions_T.tolist()) == ([5, 6, 7], [1, 2, 3])
    assert (batch.rows_T.tolist(), batch.counts_B.tolist()) == ([0, 0, 1], [2, 1])
