import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, tensor

from nextitem.data.events import Events
from nextitem.data.sequences import Sequences

N = 6
lists = st.lists(st.lists(st.integers(0, N - 1), max_size=5), max_size=6)


def test_lists_become_views_of_one_flat_tensor() -> None:
    sequences = Sequences.of([[3, 1], [], [2]], number_of_items=4)
    assert sequences.events.items.tolist() == [3, 1, 2]
    assert (sequences.starts_U.tolist(), sequences.stops_U.tolist()) == ([0, 2, 2], [2, 2, 3])
    assert (sequences.users_U.tolist(), sequences.lengths_U.tolist()) == ([0, 1, 2], [2, 0, 1])


@given(lists)
def test_lists_come_back_as_they_were(histories: list[list[int]]) -> None:
    sequences = Sequences.of(histories, N)
    assert sequences.tolist() == histories
    assert len(sequences) == len(histories)


@given(lists, st.integers(0, 6))
def test_the_last_events_are_those_of_a_list(histories: list[list[int]], length: int) -> None:
    expected = [history[max(0, len(history) - length) :] for history in histories]
    assert Sequences.of(histories, N).last(length).tolist() == expected


@given(lists, st.integers(0, 6))
def test_without_the_last_events_a_short_view_is_empty(histories: list[list[int]], events: int) -> None:
    expected = [history[: max(0, len(history) - events)] for history in histories]
    assert Sequences.of(histories, N).without_last(events).tolist() == expected


@given(lists, st.data())
def test_flattening_gives_every_event_with_its_row(histories: list[list[int]], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(histories))))
    shuffled = Sequences.of(histories, N).select(tensor(order, dtype=torch.int64))
    rows, items = shuffled.flatten()
    expected = [(row, item) for row, old in enumerate(order) for item in histories[old]]
    assert list(zip(rows.tolist(), items.tolist(), strict=True)) == expected


@given(lists)
def test_counts_are_those_of_the_views_alone(histories: list[list[int]]) -> None:
    cut = Sequences.of(histories, N).without_last(1)
    assert cut.counts().tolist() == [sum(history[:-1].count(item) for history in histories) for item in range(N)]


@pytest.mark.parametrize("rows", [tensor([2, 0]), tensor([True, False, True])])
def test_selected_views_keep_their_user(rows: Tensor) -> None:
    sequences = Sequences(Events(tensor([5, 4, 3]), N), tensor([0, 1, 2]), tensor([1, 2, 3]), tensor([70, 71, 72]))
    chosen = sequences.select(rows)
    assert dict(zip(chosen.users_U.tolist(), chosen.tolist(), strict=True)) == {70: [5], 72: [3]}


def test_views_may_overlap_and_cutting_never_copies_an_event() -> None:
    events = Events(tensor([1, 2, 3]), N)
    overlapping = Sequences(events, tensor([0, 1]), tensor([2, 3]), tensor([0, 0]))
    assert overlapping.tolist() == [[1, 2], [2, 3]]
    assert overlapping.counts().tolist() == [0, 1, 2, 1, 0, 0]
    for cut in (overlapping.last(1), overlapping.without_last(1), overlapping.select(tensor([1]))):
        assert cut.events is events


def test_no_views_have_no_events() -> None:
    empty = Sequences.of([], 3)
    assert (len(empty), empty.tolist(), empty.counts().tolist()) == (0, [], [0, 0, 0])
    assert empty.flatten()[0].dtype == torch.int64
