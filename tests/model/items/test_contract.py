"""What holds for every kind of item table on the shelf. T positions, K candidates, N items, e width of states."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn, tensor

from nextitem.compute.randomness import Purpose, seeded_globally
from nextitem.errors import ConfigurationError
from nextitem.model.batches import MASK, PAD
from nextitem.model.items.table import Items
from worlds.featured import content
from worlds.shelves import ITEM_TABLES, each, each_item_table

N, DIM = 9, 8
ROWS_T = tensor([0, 0, 2, 2, 2])  # row 1 has no position
IDS = {
    "position": tensor([[0, 3], [1, 1], [2, 8], [4, 0], [5, 5]]),
    "sequence": tensor([[0, 3], [1, 1], [2, 8]]),
    "batch": tensor([4, 0, 4]),
}
PRODUCTS = {name: items for name, items in ITEM_TABLES.items() if items.is_product}
NARROWED = {name: items for name, items in ITEM_TABLES.items() if items.can_narrow}


def width_of(items: Any) -> int:
    """A width of states that goes with vectors of DIM, another one where the table admits it."""
    return DIM + 1 if items.reason_against(DIM, DIM + 1) is None else DIM


def lively(items: Any, seed: int = 0, **settings: Any) -> Any:
    """A table with weights large enough for every one of them to be felt."""
    with seeded_globally(seed, Purpose.WEIGHTS):
        table = items.build(N, DIM, width_of(items), content=content(N), **settings).double()
        with torch.no_grad():
            for weight in table.parameters():
                weight.add_(torch.randn_like(weight))
    table.count(torch.arange(N))
    return table


def states_for(items: Any, table: Any) -> Tensor:
    """States of an encoder at five positions, as the scores take them."""
    draws = torch.Generator().manual_seed(1)
    return table.to_score(torch.randn(5, width_of(items), generator=draws, dtype=torch.float64))


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@each_item_table
def test_a_table_is_a_module_and_has_a_row_for_every_item_and_none_besides(items: Any) -> None:
    table = lively(items)
    assert isinstance(items, Items)
    assert isinstance(table, nn.Module)
    assert table.number_of_items == N
    assert table.weight_Nd.shape == (N, DIM)


@each_item_table
def test_padding_is_zero_and_a_mask_has_a_vector_of_its_own(items: Any) -> None:
    table = lively(items, has_mask=True)
    vectors_Nd = table.embed(torch.arange(N))
    embedded = table.embed(tensor([[3, MASK], [0, PAD]]))
    close(embedded[0, 0], vectors_Nd[3])
    close(embedded[1, 0], vectors_Nd[0])
    assert embedded[1, 1].tolist() == [0.0] * DIM
    assert not any(torch.equal(embedded[0, 1], vector) for vector in vectors_Nd)


@each_item_table
def test_every_item_has_a_vector_of_its_own_to_which_its_row_belongs(items: Any) -> None:
    table = lively(items)
    before_Nd = table.embed(torch.arange(N))
    assert len(before_Nd.unique(dim=0)) == N
    with torch.no_grad():
        table.weight_Nd[4] += 1.0
    is_other_N = (table.embed(torch.arange(N)) != before_Nd).any(1)
    assert is_other_N.nonzero().tolist() == [[4]]


@each_item_table
def test_states_are_scored_in_the_width_that_is_stated(items: Any) -> None:
    table = lively(items)
    states_Te = states_for(items, table)
    assert states_Te.shape[1] == table.state_width == items.scored_width(width_of(items))


@each_item_table
def test_scores_of_a_part_are_a_part_of_the_scores(items: Any) -> None:
    table = lively(items)
    states_Te = states_for(items, table)
    whole_TN = table.scores(states_Te, 0, N)
    assert whole_TN.shape == (5, N)
    close(table.scores(states_Te, 2, 7), whole_TN[:, 2:7])
    close(table.scores(states_Te[1:2], 0, N), whole_TN[1:2])
    assert table.scores(states_Te[:0], 0, N).shape == (0, N)


@each_item_table
@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_candidates_have_the_scores_of_the_whole_catalogue(items: Any, sharing: Any) -> None:
    table = lively(items)
    states_Te, ids = states_for(items, table), IDS[sharing]
    own = {"position": range(5), "sequence": ROWS_T.tolist(), "batch": [slice(None)] * 5}[sharing]
    ids_TK = torch.stack([ids[place] for place in own])
    close(table.candidate_scores(states_Te, ids, sharing, ROWS_T), table.scores(states_Te, 0, N).gather(1, ids_TK))


@each("items", PRODUCTS)
def test_what_is_called_a_product_is_one(items: Any) -> None:
    table = lively(items)
    states_Te = states_for(items, table)
    close(states_Te @ table.output_table().T, table.scores(states_Te, 0, N))


@each_item_table
def test_what_is_no_product_has_no_output_table(items: Any) -> None:
    if not items.is_product:
        with pytest.raises(ConfigurationError, match=r"use loss=\w+ with negatives\.sharing=position"):
            lively(items).output_table()


@each("items", NARROWED)
def test_a_narrowed_table_has_the_scores_of_its_rows(items: Any) -> None:
    table = lively(items)
    states_Te, asked = states_for(items, table), tensor([7, 2, 7, 4])
    narrow, ids_R, rows = table.narrowed(asked)
    assert ids_R.tolist() == [2, 4, 7]
    assert rows.tolist() == [2, 0, 2, 1]
    found_TK = narrow.candidate_scores(states_Te, rows, "batch", ROWS_T)
    close(found_TK, table.candidate_scores(states_Te, asked, "batch", ROWS_T))
    close(narrow.embed(rows), table.embed(asked))


@each_item_table
def test_what_cannot_be_narrowed_says_so(items: Any) -> None:
    if not items.can_narrow:
        with pytest.raises(ConfigurationError, match=r"set training\.item_rows=all"):
            lively(items).narrowed(tensor([0]))


@each_item_table
def test_every_weight_is_learnt(items: Any) -> None:
    table = lively(items, has_mask=True)
    embedded, factors = table.embed(tensor([*range(N), MASK])), torch.arange(5 * N, dtype=torch.float64).view(5, N)
    scores_TN = table.scores(states_for(items, table), 0, N)
    (embedded.square().sum() + (scores_TN * factors).sum()).backward()
    assert [name for name, weight in table.named_parameters() if not weight.grad.any()] == []


@each_item_table
def test_equal_seeds_give_equal_tables(items: Any) -> None:
    first, second, other = (lively(items, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    assert not torch.equal(first[next(iter(first))], other[next(iter(other))])


@each_item_table
@pytest.mark.parametrize("settings", [{}, {"has_mask": True}], ids=["", "with MASK"])
def test_an_item_that_is_given_the_rows_of_another_scores_and_is_read_as_that(items: Any, settings: Any) -> None:
    table = lively(items, **settings)
    more = {name: rows[[3, 5]] for name, rows in table.rows().items()}
    grown = table.grown(more)
    states = states_for(items, table)
    assert grown.number_of_items == N + 2
    close(grown.scores(states, 0, N), table.scores(states, 0, N))
    close(grown.scores(states, N, N + 2), table.scores(states, 0, N)[:, [3, 5]])
    close(grown.embed(tensor([N, N + 1, 0, PAD])), table.embed(tensor([3, 5, 0, PAD])))
    if settings:
        close(grown.embed(tensor([MASK])), table.embed(tensor([MASK])))
    assert table.number_of_items == N


@each_item_table
def test_rows_are_what_the_table_calls_them_among_its_weights(items: Any) -> None:
    table = lively(items)
    weights = table.state_dict()
    for name, rows in table.rows().items():
        assert len(rows) == N
        assert torch.equal(weights[name], rows)
    assert all(weight.shape[:1] != (N,) or name in table.rows() for name, weight in weights.items())
