import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from nextitem.batches import PAD, Batch, Drawn, pad_right
from nextitem.sequences import Sequences

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
    sequences = Sequences(tensor([1, 2, 3, 4]), tensor([0, 1]), tensor([1, 4]), tensor([0, 1]), N)
    assert pad_right(sequences)[0].tolist() == [[1, _, _], [2, 3, 4]]


def test_empty_rows_without_any_event_are_all_padding() -> None:
    rows_BL, lengths_B = pad_right(Sequences.of([[], []], N), room=1)
    assert (rows_BL.tolist(), lengths_B.tolist()) == ([[_], [_]], [0, 0])


def test_padding_leaves_the_events_as_they_were() -> None:
    sequences = Sequences.of([[1, 2], [3]], N)
    rows_BL, _lengths_B = pad_right(sequences)
    rows_BL.fill_(0)
    assert sequences.tolist() == [[1, 2], [3]]


def test_columns_are_the_places_within_rows() -> None:
    inputs_BL = tensor([[5, 4, _], [3, 2, 1]])
    rows_T = tensor([0, 1, 1])
    batch = Batch(inputs_BL, tensor([2, 3]), tensor([1, 3, 5]), tensor([0, 0, 0]), rows_T, tensor([0, 1]))
    assert batch.columns_T.tolist() == [1, 0, 2]
    assert inputs_BL[batch.rows_T, batch.columns_T].tolist() == inputs_BL.flatten()[batch.positions_T].tolist()


def test_a_negative_that_is_the_target_is_out_for_every_sharing() -> None:
    targets_T, rows_T = tensor([1, 2, 3]), tensor([0, 0, 1])
    by_position = Drawn(tensor([[1, 2], [1, 2], [1, 2]]), "position", rows_T)
    by_sequence = Drawn(tensor([[1, 2], [3, 4]]), "sequence", rows_T)
    by_batch = Drawn(tensor([1, 2]), "batch", rows_T)
    assert by_position.is_out(targets_T).tolist() == [[True, False], [False, True], [False, False]]
    assert by_sequence.is_out(targets_T).tolist() == [[True, False], [False, True], [True, False]]
    assert by_batch.is_out(targets_T).tolist() == [[True, False], [False, True], [False, False]]


def test_an_excluded_negative_is_out_at_its_position_or_in_its_whole_row() -> None:
    targets_T, rows_T = tensor([9, 9, 9]), tensor([0, 0, 1])
    at_position = tensor([[False, False], [True, False], [False, False]])
    in_row = tensor([[False, True], [True, False]])
    by_position = Drawn(tensor([[1, 2]] * 3), "position", rows_T, at_position)
    by_sequence = Drawn(tensor([[1, 2], [3, 4]]), "sequence", rows_T, in_row)
    by_batch = Drawn(tensor([1, 2]), "batch", rows_T, in_row)
    assert by_position.is_out(targets_T).tolist() == at_position.tolist()
    assert by_sequence.is_out(targets_T).tolist() == [[False, True], [False, True], [True, False]]
    assert by_batch.is_out(targets_T).tolist() == [[False, True], [False, True], [True, False]]


def test_as_many_positions_as_rows_are_not_confused() -> None:
    # With T = B a shape alone cannot tell (T, K) from (B, K): here both positions are in row 0.
    ids, rows_T, targets_T = tensor([[1], [2]]), tensor([0, 0]), tensor([1, 1])
    assert Drawn(ids, "position", rows_T).is_out(targets_T).tolist() == [[True], [False]]
    assert Drawn(ids, "sequence", rows_T).is_out(targets_T).tolist() == [[True], [True]]
