"""Biases of items: every loss and every score has them, and so do their gradients. T positions, d width, N items."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn, tensor
from torch.nn.functional import cross_entropy

from nextitem.data.sequences import Sequences
from nextitem.evaluation.ranks import target_ranks
from nextitem.model.batches import Batch
from nextitem.model.encoders import BERT4Rec
from nextitem.model.items.tied import Tied, TiedItems
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.fit import fit_model
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import sequence
from worlds.shelves import each_loss

ITEMS, WIDTH = 12, 4
TRAIN = Sequences.of([[0, 1, 2, 3, 2, 4], list(range(11)), [5, 6], [7, 8, 9, 7, 10, 9, 0]], ITEMS)
BATCH: Batch = NextItem().batch(NextItem().windows(TRAIN), torch.Generator())


def drawn_from(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def biased() -> TiedItems:
    items = TiedItems(ITEMS, WIDTH, has_bias=True).double()
    with torch.no_grad():
        items.weight_Nd.copy_(drawn_from(1, ITEMS, WIDTH))
        assert items.bias_N is not None
        items.bias_N.copy_(drawn_from(2, ITEMS))
    return items


def states() -> Tensor:
    return drawn_from(0, len(BATCH.targets_T), WIDTH).requires_grad_()


def test_biases_start_at_zero_and_are_one_number_an_item() -> None:
    weights = dict(TiedItems(6, 4, has_bias=True).named_parameters())
    assert weights["bias_N"].tolist() == [0.0] * 6
    assert weights.keys() == {"weight_Nd", "bias_N"}


def test_without_biases_states_and_table_are_what_they_were() -> None:
    items, states_Td = TiedItems(ITEMS, WIDTH).double(), states()
    assert items.to_score(states_Td) is states_Td
    assert items.output_table() is items.weight_Nd


def test_a_score_is_the_product_and_the_bias() -> None:
    items, states_Td = biased(), states()
    assert items.bias_N is not None
    expected_TN = states_Td @ items.weight_Nd.T + items.bias_N
    states_Te = items.to_score(states_Td)
    torch.testing.assert_close(items.scores(states_Te, 0, ITEMS), expected_TN)
    torch.testing.assert_close(items.scores(states_Te, 3, 7), expected_TN[:, 3:7])
    torch.testing.assert_close(states_Te @ items.output_table().T, expected_TN)
    ids_TK = torch.arange(len(states_Td))[:, None] % 5 + tensor([0, 3, 7])
    torch.testing.assert_close(
        items.candidate_scores(states_Te, ids_TK, "position", BATCH.rows_T), expected_TN.gather(1, ids_TK)
    )
    ids_K = tensor([11, 0, 4])
    torch.testing.assert_close(items.candidate_scores(states_Te, ids_K, "batch", BATCH.rows_T), expected_TN[:, ids_K])
    ids_BK = torch.arange(8).view(4, 2)
    torch.testing.assert_close(
        items.candidate_scores(states_Te, ids_BK, "sequence", BATCH.rows_T),
        expected_TN.gather(1, ids_BK[BATCH.rows_T]),
    )


@pytest.mark.parametrize(("block_rows", "tile_items"), [(None, None), (5, 7), (1, 1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_tiled_softmax_and_its_gradients_are_those_of_plain_scores(
    block_rows: int | None, tile_items: int | None, weighted: bool
) -> None:
    items, states_Td = biased(), states()
    weights_T = torch.arange(len(states_Td), dtype=torch.float64) if weighted else None
    loss = CrossEntropy(block_rows=block_rows, tile_items=tile_items).build()
    ours = loss(items.to_score(states_Td), BATCH.targets_T, items, None, weights_T)
    assert items.bias_N is not None
    losses_T = cross_entropy(states_Td @ items.weight_Nd.T + items.bias_N, BATCH.targets_T, reduction="none")
    expected = losses_T.sum() if weights_T is None else (losses_T * weights_T).sum()
    agree(ours, expected, [states_Td, items.weight_Nd, items.bias_N])


@each_loss
@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_a_bias_is_a_column_of_the_table_that_meets_a_one(loss: Any, sharing: Any) -> None:
    """Every loss is tested on tables without biases; here the bias is written into one by hand."""
    items, states_Td, plain = biased(), states(), TiedItems(ITEMS, WIDTH + 1).double()
    assert items.bias_N is not None
    plain.weight_Nd = nn.Parameter(torch.cat([items.weight_Nd, items.bias_N[:, None]], 1).detach())
    drawn = Uniform(count=4, sharing=sharing).build(TRAIN).sample(BATCH, torch.Generator().manual_seed(0))
    ones_T1 = torch.ones(len(states_Td), 1, dtype=torch.float64)
    ours = loss.build()(items.to_score(states_Td), BATCH.targets_T, items, drawn)
    expected = loss.build()(torch.cat([states_Td, ones_T1], 1), BATCH.targets_T, plain, drawn)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad(ours, [states_Td, items.weight_Nd, items.bias_N])
    of_states_Td, of_table_Ne = torch.autograd.grad(expected, [states_Td, plain.weight_Nd])
    wanted = (of_states_Td, of_table_Ne[:, :-1], of_table_Ne[:, -1])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def agree(ours: Tensor, expected: Tensor, wanted: list[Tensor]) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(torch.autograd.grad(ours, wanted), torch.autograd.grad(expected, wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


RECIPE = sequence(
    encoder=BERT4Rec(dim=8, heads=2, inner=16, positions=8, dropout=0.0),
    items=Tied(bias=True),
    objective=MaskedItem(maximum_length=8, mask_probability=0.5),
)


def test_the_model_of_a_recipe_ranks_by_its_biases_too() -> None:
    model = RECIPE.sequence.build(ITEMS, 0)
    assert model.items.bias_N is not None
    with torch.no_grad():
        model.items.bias_N[5] = 100.0
    query = model.query(TRAIN)
    above_C, _ = target_ranks(query, torch.full((4,), 5), seen=None)
    assert above_C.tolist() == [0.0] * 4
    assert query.states_Ce.shape == (4, 9)
    assert model.query(TRAIN.select(slice(0, 0))).scores(0, ITEMS).shape == (0, ITEMS)


@pytest.mark.parametrize("item_rows", ["all", "touched"])
def test_biases_are_learnt(item_rows: Any) -> None:
    """Where only some rows of the table are moved, each bias is still in place."""
    model = RECIPE.sequence.build(ITEMS, 0)
    training = Training(epochs=30, batch_size=4, patience=None, learning_rate=0.05, item_rows=item_rows)
    negatives = Uniform(count=4, exclude="target").build(TRAIN)
    loss = BinaryCrossEntropy().build()
    fit_model(model, TRAIN, loss, training, Session(0), None, negatives=negatives)
    assert model.items.bias_N is not None
    bias_N = model.items.bias_N.detach()
    assert bias_N[11] == 0  # nobody has it: never a target, never a negative
    assert bool((bias_N[:11] != 0).all())


def test_training_on_touched_rows_moves_biases_as_training_on_all_does() -> None:
    train = Sequences.of([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]] * 2, 6)
    weights = []
    for item_rows in ("all", "touched"):
        model = RECIPE.sequence.build(6, 0).double()
        training = Training(epochs=3, batch_size=4, patience=None, item_rows=item_rows)
        negatives = Uniform(count=20, exclude="target").build(train)  # every row is touched
        fit_model(model, train, BinaryCrossEntropy().build(), training, Session(0), None, negatives=negatives)
        weights.append(model.state_dict())
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-6, atol=1e-9)
