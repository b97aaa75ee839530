"""Where positions go and come from. B rows, L length, d width."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.model.layers.packing import Packed, Padded, arrange
from worlds.shelves import each_encoder, embeddings, lively_encoder
from worlds.waits import pretend_gpu

LENGTHS_B = torch.tensor([3, 1, 4, 2])
LENGTH = 5


def numbered() -> Tensor:
    """(B, L, 1): 10·row + column"""
    return (10.0 * torch.arange(4)[:, None] + torch.arange(LENGTH))[:, :, None]


def test_packed_rows_lie_side_by_side_in_order_of_length() -> None:
    layout = Packed(LENGTHS_B, LENGTH, is_causal=True)
    assert layout.flat(numbered())[:, 0].tolist() == [10, 30, 31, 0, 1, 2, 20, 21, 22, 23]
    assert layout.columns_P.tolist() == [0, 0, 1, 0, 1, 2, 0, 1, 2, 3]
    assert layout.lengths_P.tolist() == [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]


@pytest.mark.parametrize("kind", [Packed, Padded])
def test_what_is_laid_flat_comes_back_in_rows(kind: Any) -> None:
    layout = kind(LENGTHS_B, LENGTH, is_causal=True)
    is_real_BL = torch.arange(LENGTH) < LENGTHS_B[:, None]
    rows = layout.rows(layout.flat(numbered()))
    assert torch.equal(rows[is_real_BL], numbered()[is_real_BL])
    assert kind is Padded or bool((rows[~is_real_BL] == 0).all())


@pytest.mark.parametrize("kind", [Packed, Padded])
@pytest.mark.parametrize("read", [[2, 5], [0, 1, 2, 5, 10, 11, 12, 13, 15, 16]])
def test_reads_are_found_among_those_who_ask(kind: Any, read: list[int]) -> None:
    layout, read_T = kind(LENGTHS_B, LENGTH, is_causal=True), torch.tensor(read)
    queries, places_T = layout.readers(read_T)
    asked = queries.of(layout.flat(numbered()))
    assert torch.equal(asked[places_T], numbered().flatten(0, 1)[read_T])


def test_few_reads_are_all_that_is_asked_for() -> None:
    layout = Packed(LENGTHS_B, LENGTH, is_causal=True)
    queries, _ = layout.readers(torch.tensor([2, 5]))
    assert len(queries.of(layout.flat(numbered()))) == 2
    assert layout.readers(torch.tensor([0, 1, 2, 5, 10, 11]))[0].places_Q is None  # most of the ten


def test_groups_are_padded_to_their_own_longest_row_only() -> None:
    lengths_B = torch.cat([torch.full((40,), 2), torch.tensor([50])])
    groups = Packed(lengths_B, 50, is_causal=False).everyone().groups
    assert [(group.rows, group.padded_keys(torch.zeros(130, 1)).shape[1]) for group in groups] == [(32, 2), (9, 50)]


def test_the_cpu_computes_real_positions_only() -> None:
    assert isinstance(arrange(LENGTHS_B, LENGTH, is_causal=True), Packed)
    assert isinstance(arrange(LENGTHS_B.to("meta"), LENGTH, is_causal=True), Padded)


@each_encoder
@pytest.mark.parametrize("read", [None, [3, 20, 22], [*range(7), *range(20, 23)]])
def test_both_layouts_give_the_same_states(encoder: Any, read: list[int] | None, monkeypatch: Any) -> None:
    module, lengths_B = lively_encoder(encoder), torch.tensor([7, 1, 10, 4])
    inputs, read_T = embeddings(4, 10, encoder), None if read is None else torch.tensor(read)
    packed = module(inputs, lengths_B, None, read_T)
    pretend_gpu(monkeypatch)
    padded = module(inputs, lengths_B, None, read_T)
    if read is None:
        is_real_BL = torch.arange(10) < lengths_B[:, None]
        packed, padded = packed[is_real_BL], padded[is_real_BL]
    torch.testing.assert_close(packed, padded, rtol=0, atol=1e-12)


@each_encoder
@pytest.mark.parametrize("lengths", [[7, 1, 10, 4], [10, 10, 10, 10]])
@pytest.mark.parametrize("read", [None, [6, 10, 23], [*range(7), *range(20, 23)]])
def test_states_are_the_same_where_nothing_is_learnt(encoder: Any, lengths: list[int], read: list[int] | None) -> None:
    module, lengths_B = lively_encoder(encoder), torch.tensor(lengths)
    inputs, read_T = embeddings(4, 10, encoder), None if read is None else torch.tensor(read)
    with torch.no_grad():
        found = module(inputs, lengths_B, None, read_T)
    torch.testing.assert_close(found, module(inputs, lengths_B, None, read_T), rtol=0, atol=1e-12)
