"""Cosines and popularity: values and gradients of a naive reference. T positions, d width, N items."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn, tensor
from torch.nn.functional import cross_entropy

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.batches import Batch
from nextitem.model.encoders import SASRec
from nextitem.model.items import Separate, Tied
from nextitem.model.items.head import HeadedItems
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import NextItem
from nextitem.training.fit import Training, fit_model
from nextitem.training.session import Session
from worlds.parts import sequence

ITEMS, WIDTH = 12, 4
TRAIN = Sequences.of([[0, 1, 2, 3, 2, 4], list(range(11)), [5, 6], [7, 8, 9, 7, 10, 9, 0]], ITEMS)
COUNTS = TRAIN.counts()
BATCH: Batch = NextItem().batch(NextItem().windows(TRAIN), torch.Generator())
HEADED = Tied(bias=True, cosine="learnt", cosine_temperature=0.5, popularity="learnt", popularity_factor=0.7)


def drawn_from(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(items: Any = HEADED) -> Any:
    table = items.build(ITEMS, WIDTH, WIDTH).double()
    with torch.no_grad():
        for number, weight in enumerate(table.parameters()):
            if weight.ndim:
                weight.copy_(drawn_from(1 + number, *weight.shape))
    table.count(COUNTS)
    return table


def naive(states_Td: Tensor, table: HeadedItems, shrinkage: float = 10.0) -> Tensor:
    """Score by score, from the formulas of the two classes."""
    weights = dict(table.named_parameters())
    vectors_Nd, bias_N = weights["table.weight_Nd"], weights["table.bias_N"]
    temperature, factor = weights["cosine.log_temperature"].exp(), weights["popularity.factor"]
    mean = sum(count + shrinkage for count in COUNTS.tolist()) / ITEMS
    rows = []
    for state_d in states_Td:
        cosines = [(state_d @ v) / (state_d.square().sum().sqrt() * v.square().sum().sqrt()) for v in vectors_Nd]
        added = [factor * math.log((count + shrinkage) / mean) for count in COUNTS.tolist()]
        rows.append(torch.stack([c / temperature for c in cosines]) + torch.stack(added) + bias_N)
    return torch.stack(rows)


def states() -> Tensor:
    return drawn_from(0, len(BATCH.targets_T), WIDTH).requires_grad_()


def agree(ours: Tensor, expected: Tensor, wanted: list[Tensor]) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    for one, other in zip(torch.autograd.grad(ours, wanted), torch.autograd.grad(expected, wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_tiled_softmax_and_all_its_gradients_are_those_of_naive_scores(weighted: bool) -> None:
    table, states_Td = built(), states()
    weights_T = torch.arange(len(states_Td), dtype=torch.float64) if weighted else None
    loss = CrossEntropy(block_rows=5, tile_items=7).build()
    ours = loss(table.to_score(states_Td), BATCH.targets_T, table, None, weights_T)
    losses_T = cross_entropy(naive(states_Td, table), BATCH.targets_T, reduction="none")
    expected = losses_T.sum() if weights_T is None else (losses_T * weights_T).sum()
    agree(ours, expected, [states_Td, *table.parameters()])


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), SampledCrossEntropy()], ids=["bce", "sampled"])
def test_sampled_losses_and_their_gradients_are_those_of_a_plain_table(sharing: Any, loss: Any) -> None:
    """The table that the naive scores are products with: one column an item, which a state meets by its scores."""
    table, states_Td = built(), states()
    drawn = Uniform(count=4, sharing=sharing).build(TRAIN).sample(BATCH, torch.Generator().manual_seed(0))
    ours = loss.build()(table.to_score(states_Td), BATCH.targets_T, table, drawn)
    plain = TiedItems(ITEMS, ITEMS).double()
    plain.weight_Nd = nn.Parameter(torch.eye(ITEMS, dtype=torch.float64))
    expected = loss.build()(naive(states_Td, table), BATCH.targets_T, plain, drawn)
    agree(ours, expected, [states_Td, *table.parameters()])


def test_a_narrowed_table_shares_temperature_and_factor_and_has_their_gradients() -> None:
    table, states_Td = built(), states()
    asked = tensor([7, 2, 7, 4])
    narrow, ids_R, rows = table.narrowed(asked)
    expected = naive(states_Td, table)[:, asked].square().sum()
    ours = (table.to_score(states_Td) @ narrow.output_table()[rows].T).square().sum()
    shared = [table.cosine.log_temperature, table.popularity.factor]
    agree(ours, expected, [states_Td, *shared])
    of_rows_Rd = torch.autograd.grad(
        (table.to_score(states_Td) @ narrow.output_table()[rows].T).square().sum(), narrow.weight_Nd
    )[0]
    of_table_Nd = torch.autograd.grad(naive(states_Td, table)[:, asked].square().sum(), table.weight_Nd)[0]
    torch.testing.assert_close(of_rows_Rd, of_table_Nd[ids_R])


def test_training_on_touched_rows_moves_all_weights_as_training_on_all_does() -> None:
    train = Sequences.of([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]] * 2, 6)
    recipe = sequence(encoder=SASRec(dim=8, heads=2, positions=8), items=HEADED, objective=NextItem(maximum_length=8))
    weights = []
    for item_rows in ("all", "touched"):
        model = recipe.sequence.build(6, 0).double()
        model.count(train)
        training = Training(epochs=2, batch_size=4, patience=None, item_rows=item_rows)
        negatives = Uniform(count=20, exclude="target").build(train)  # every row is touched
        fit_model(model, train, BinaryCrossEntropy().build(), training, Session(0), None, negatives=negatives)
        weights.append(model.state_dict())
    assert weights[0]["items.cosine.log_temperature"] != math.log(0.5)
    assert weights[0]["items.popularity.factor"] != 0.7
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-6, atol=1e-9)


def test_scores_follow_the_weights_out_of_training_too() -> None:
    """What is made of the weights is kept between questions; a fused optimiser moves them without a trace."""
    table, states_Td = built(Tied(cosine="fixed")).eval(), states().detach()
    with torch.no_grad():
        before = table.scores(table.to_score(states_Td), 0, ITEMS)
        torch.testing.assert_close(table.scores(table.to_score(states_Td), 3, 4), before[:, 3:4])
        table.weight_Nd[3] *= -1
        close = table.scores(table.to_score(states_Td), 3, 4)
    torch.testing.assert_close(close, -before[:, 3:4])
    table.train()
    optimiser = torch.optim.Adam(table.parameters(), 0.1, fused=True)
    table.output_table()[:, 0].sum().backward()
    optimiser.step()
    table.eval()
    with torch.no_grad():
        after = table.scores(table.to_score(states_Td), 0, ITEMS)
        torch.testing.assert_close(after, table.to_score(states_Td) @ table.output_table().T)
    assert not after[:, 5].equal(before[:, 5])


def test_cosines_are_at_most_one_over_the_temperature_and_lengths_do_not_count() -> None:
    table = built(Separate(cosine="fixed"))
    scores = table.scores(table.to_score(table.item_vectors()), 0, ITEMS)
    torch.testing.assert_close(scores.diagonal(), torch.full((ITEMS,), 20.0).double(), rtol=1e-6, atol=0)
    assert float(scores.detach().abs().max()) <= 20.0 + 1e-5
    with torch.no_grad():
        table.table.outputs.weight_Nd[4] *= 7
    torch.testing.assert_close(table.scores(table.to_score(3 * table.item_vectors()), 0, ITEMS), scores)
    assert table.scores(table.to_score(torch.zeros(1, WIDTH).double()), 0, ITEMS).tolist() == [[0.0] * ITEMS]


def test_popularity_alone_ranks_by_training_counts_and_tells_rare_items_apart_the_less_the_more_it_is_shrunken() -> (
    None
):
    nothing = torch.zeros(1, WIDTH, dtype=torch.float64)
    scores = {}
    for shrinkage in (1.0, 100.0):
        table = built(Tied(popularity="fixed", popularity_shrinkage=shrinkage))
        scores[shrinkage] = table.scores(table.to_score(nothing), 0, ITEMS)[0].tolist()
    counts, mean = COUNTS.tolist(), sum(COUNTS.tolist()) / ITEMS
    assert scores[1.0] == pytest.approx([math.log((count + 1) / (mean + 1)) for count in counts])
    assert max(scores[100.0]) - min(scores[100.0]) < max(scores[1.0]) - min(scores[1.0])


def test_fresh_vectors_have_the_deviation_that_is_asked_for() -> None:
    for items in (Tied(initial_deviation=0.5), Separate(initial_deviation=0.5, cosine="fixed")):
        for rows in items.build(500, 20, 20).rows().values():
            assert float(rows.std()) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"cosine_temperature": 0.1},
            r"cosine_temperature=0\.1 says something of a cosine that is off; add cosine=fixed",
        ),
        ({"popularity_factor": 0.5}, r"popularity_factor=0\.5 .* add popularity=fixed"),
        ({"popularity_shrinkage": 1.0}, r"popularity_shrinkage=1 says"),
        ({"cosine": "fixed", "cosine_temperature": 0.0}, r"cosine_temperature"),
    ],
)
def test_settings_of_what_is_off_are_refused(settings: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Tied(**settings)
