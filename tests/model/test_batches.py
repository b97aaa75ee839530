import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from nextitem.model.batches import MASK, PAD, Batch, Drawn, Sharing, cut, stack

N = 6
_ = PAD


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


def test_stacked_rows_keep_their_places_and_weigh_1_unless_they_have_weights() -> None:
    upper = Batch(
        tensor([[7, 8], [9, PAD]]), tensor([2, 1]), tensor([1, 2]), tensor([20, 21]), tensor([0, 1]), tensor([5, 6])
    )
    lower = Batch(
        tensor([[MASK, 1, MASK]]), tensor([3]), tensor([0, 2]), tensor([22, 23]), tensor([0, 0]), tensor([6]),
        tensor([0.5, 0.25]),
    )  # fmt: skip
    batch = stack(upper, lower)
    assert batch.inputs_BL.tolist() == [[7, 8, PAD], [9, PAD, PAD], [MASK, 1, MASK]]
    assert batch.lengths_B.tolist() == batch.sizes_B.tolist() == [2, 1, 3]
    assert batch.positions_T.tolist() == [1, 3, 6, 8]
    assert batch.columns_T.tolist() == [1, 0, 0, 2]
    assert batch.rows_T.tolist() == [0, 1, 2, 2]
    assert batch.counts_B.tolist() == [1, 1, 2]
    assert batch.targets_T.tolist() == [20, 21, 22, 23]
    assert batch.users_B.tolist() == [5, 6, 6]
    assert batch.weights_T is not None
    assert batch.weights_T.tolist() == [1.0, 1.0, 0.5, 0.25]


def stepped(counts: list[int], sharing: Sharing) -> tuple[Batch, Drawn]:
    """A step whose rows have so many positions each, at the even places; every number in it occurs once."""
    width = 2 * max(counts, default=0) + 1
    inputs_BL = torch.arange(len(counts) * width).view(len(counts), width)
    rows_T = torch.repeat_interleave(torch.arange(len(counts)), tensor(counts, dtype=torch.int64))
    columns_T = tensor([2 * place for count in counts for place in range(count)], dtype=torch.int64)
    positions_T = rows_T * width + columns_T
    batch = Batch(
        inputs_BL, tensor([width] * len(counts)), positions_T, 1000 + positions_T, rows_T,
        2000 + torch.arange(len(counts)), 0.5 * positions_T, places_B=torch.arange(len(counts)) * width + width - 1,
    )  # fmt: skip
    sets = {"position": len(rows_T), "sequence": len(counts), "batch": 1}[sharing]
    ids = 3000 + torch.arange(sets * 2).view(sets, 2)
    rows = len(rows_T) if sharing == "position" else len(counts)
    excluded = torch.arange(rows * 2).view(rows, 2) % 3 == 0
    return batch, Drawn(ids[0] if sharing == "batch" else ids, sharing, rows_T, excluded)


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.integers(1, 9))
def test_parts_of_a_step_hold_every_position_once_with_its_own_negatives(
    sharing: Sharing, counts: list[int], parts: int
) -> None:
    batch, drawn = stepped(counts, sharing)
    edges = [len(counts) * part // parts for part in range(parts + 1)]
    cuts = [cut(batch, drawn, slice(*pair)) for pair in itertools.pairwise(edges)]  # more parts than rows: some empty
    for name in ("inputs_BL", "lengths_B", "targets_T", "users_B", "weights_T"):
        assert torch.equal(torch.cat([getattr(part, name) for part, _ in cuts]), getattr(batch, name))
    out = []
    for part, own in cuts:
        assert own is not None
        assert part.inputs_BL.flatten()[part.positions_T].tolist() == (part.targets_T - 1000).tolist()
        assert part.inputs_BL.flatten()[part.read].tolist() == part.inputs_BL[:, -1].tolist()
        assert part.columns_T.tolist() == [
            2 * place for row in part.rows_T.unique() for place in range(int((part.rows_T == row).sum()))
        ]
        assert torch.equal(own.rows_T, part.rows_T)
        # One target among the negatives, so that both reasons to leave one out are felt.
        out.append(own.is_out(torch.where(part.targets_T % 2 == 0, 3000, part.targets_T)))
    assert torch.equal(torch.cat(out), drawn.is_out(torch.where(batch.targets_T % 2 == 0, 3000, batch.targets_T)))
    if sharing != "batch":
        assert torch.equal(torch.cat([own.ids for _, own in cuts if own is not None]), drawn.ids)


def test_the_whole_step_is_not_copied_and_negatives_may_be_absent() -> None:
    batch, drawn = stepped([2, 1], "sequence")
    assert cut(batch, drawn, slice(0, 2)) == (batch, drawn)
    part, none = cut(batch, None, slice(1, 2))
    assert none is None
    assert (part.rows_T.tolist(), part.positions_T.tolist()) == ([0], [0])


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
@given(st.data())
def test_a_position_is_empty_where_all_of_its_negatives_are_out(sharing: Sharing, drawing: st.DataObject) -> None:
    """Two rows of two positions, whose sets hold few of three items."""
    count = drawing.draw(st.integers(0, 3) | st.integers(8, 10))  # the first eight often suffice to say so
    sets, rows = {"position": (4, 4), "sequence": (2, 2), "batch": (1, 2)}[sharing]
    ids = tensor(drawing.draw(st.lists(st.integers(0, 2), min_size=sets * count, max_size=sets * count)))
    out = drawing.draw(st.none() | st.lists(st.booleans(), min_size=rows * count, max_size=rows * count))
    drawn = Drawn(
        ids.long().view(sets, count)[0] if sharing == "batch" else ids.long().view(sets, count),
        sharing,
        tensor([0, 0, 1, 1]),
        None if out is None else tensor(out, dtype=torch.bool).view(rows, count),
    )
    targets_T = tensor(drawing.draw(st.lists(st.integers(0, 2), min_size=4, max_size=4)))
    assert torch.equal(drawn.is_empty(targets_T), drawn.is_out(targets_T).all(1))


def test_the_only_negative_that_counts_may_be_the_last_of_many() -> None:
    ids, out = torch.arange(20).repeat(2, 1), torch.ones(2, 20, dtype=torch.bool)
    out[:, 19] = False
    drawn = Drawn(ids, "position", tensor([0, 1]), out)
    assert drawn.is_empty(tensor([3, 19])).tolist() == [False, True]
