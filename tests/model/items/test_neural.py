"""What a network of pairs computes, its losses and its gradients. T positions, K candidates, N items, U users."""

import pytest
import torch
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.encoders import UserVectors
from nextitem.model.items import Neural
from nextitem.model.losses import BinaryCrossEntropy
from nextitem.model.model import SequenceModel
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import UserItem
from nextitem.training.training import Training
from worlds.parts import with_parts

U, N = 5, 9
NEGATIVES = Uniform(count=4, exclude="history")
RECIPE = Recipe(
    name="ncf",
    model=SequenceRecipe(
        encoder=UserVectors(dim=5), items=Neural(layers=(6, 5, 3)), objective=UserItem(),
        loss=BinaryCrossEntropy(), negatives=NEGATIVES,
        training=Training(epochs=3, batch_size=16, learning_rate=0.02, patience=2),
    ),
)  # fmt: skip
TRAIN = Sequences.of([[0, 1, 2], [3], [4, 4, 5, 6], [7], [1, 7]], N)


def lively(seed: int = 0) -> SequenceModel:
    """A model with weights large enough for every one of them to be felt."""
    model = RECIPE.sequence.build(N, seed, U).double().eval()
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=draws, dtype=torch.float64))
    return model


def naive(model: SequenceModel, user: int, item: int) -> Tensor:
    """NeuMF by the formulas of He et al. (2017), section 3.4, one pair at a time."""
    weights = dict(model.named_parameters())
    p, q = weights["encoder.users_Ud"][user], weights["items.table.weight_Nd"][item]
    hidden = torch.cat([p[2:], q[2:]])
    for layer in (0, 1):
        name = f"items.network.layers.{layer}"
        hidden = (weights[f"{name}.weight"] @ hidden + weights[f"{name}.bias"]).relu()
    together = torch.cat([p[:2] * q[:2], hidden])
    return weights["items.network.output.weight"][0] @ together + weights["items.network.output.bias"][0]


def test_scores_are_those_of_a_naive_network() -> None:
    model = lively()
    query = model.query(TRAIN)
    expected = torch.stack([torch.stack([naive(model, user, item) for item in range(N)]) for user in range(U)])
    torch.testing.assert_close(query.scores(0, N), expected)
    torch.testing.assert_close(query.scores(2, 7), expected[:, 2:7])
    ids_CK = tensor([[8, 0], [1, 1], [2, 3], [0, 8], [5, 4]])
    torch.testing.assert_close(query.candidate_scores(ids_CK), expected.gather(1, ids_CK))
    torch.testing.assert_close(query.select(tensor([3, 1])).scores(0, N), expected[[3, 1]])


@pytest.mark.parametrize("pairs", [1, 5, 12])
def test_the_catalogue_is_scored_in_chunks(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query = lively().query(TRAIN)
    whole = query.scores(0, N)
    monkeypatch.setattr("nextitem.model.items.neural._PAIRS", pairs)
    torch.testing.assert_close(query.scores(0, N), whole)


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_candidates_may_be_shared(sharing: str) -> None:
    model = lively()
    states_Te, rows_T = model.query_states(TRAIN)[tensor([0, 0, 2])], tensor([0, 0, 1])
    ids = {"position": tensor([[1, 2], [3, 4], [5, 6]]), "sequence": tensor([[1, 2], [5, 6]]), "batch": tensor([7, 8])}
    asked = {"position": [[1, 2], [3, 4], [5, 6]], "sequence": [[1, 2], [1, 2], [5, 6]], "batch": [[7, 8]] * 3}
    scores_TK = model.items.candidate_scores(states_Te, ids[sharing], sharing, rows_T)
    expected = [[naive(model, user, item) for item in row] for user, row in zip((0, 0, 2), asked[sharing], strict=True)]
    torch.testing.assert_close(scores_TK, torch.stack([torch.stack(row) for row in expected]))


def test_loss_and_gradients_are_those_of_naive_pairs() -> None:
    model = lively()
    batch = model.batch(model.windows(TRAIN), torch.Generator())
    drawn = NEGATIVES.build(TRAIN).sample(batch, torch.Generator().manual_seed(0))
    ours = model.loss(batch, BinaryCrossEntropy().build(), drawn)
    expected = torch.zeros((), dtype=torch.float64)
    for row, (user, target) in enumerate(zip(batch.users_B.tolist(), batch.targets_T.tolist(), strict=True)):
        expected = expected - naive(model, user, target).sigmoid().log()
        for item in drawn.ids[row].tolist():
            assert item not in TRAIN.tolist()[user]
            expected = expected - (1 - naive(model, user, item).sigmoid()).log()
    weights = list(model.parameters())
    for one, other in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(ours, expected)


def test_a_step_on_touched_rows_has_the_same_loss() -> None:
    model = lively()
    batch = model.batch(model.windows(TRAIN), torch.Generator())
    drawn = NEGATIVES.build(TRAIN).sample(batch, torch.Generator().manual_seed(0))
    narrow, batch_R, drawn_R, ids_R = model.narrowed(batch, drawn)
    assert len(ids_R) <= N
    loss = BinaryCrossEntropy().build()
    torch.testing.assert_close(narrow.loss(batch_R, loss, drawn_R), model.loss(batch, loss, drawn))


def test_weights_start_as_published() -> None:
    model = with_parts(RECIPE, encoder=UserVectors(), items=Neural()).sequence.build(4000, 0, 3000)
    assert [(layer.in_features, layer.out_features) for layer in model.items.network.layers] == [
        (64, 32), (32, 16), (16, 8),
    ]  # fmt: skip
    assert (model.encoder.users_Ud.shape, model.items.weight_Nd.shape) == ((3000, 40), (4000, 40))
    for table in (model.encoder.users_Ud, model.items.weight_Nd):
        assert float(table.detach().std()) == pytest.approx(0.01, rel=0.02)
    network = model.items.network
    ranges = [(layer, (6 / (layer.in_features + layer.out_features)) ** 0.5) for layer in network.layers]
    for layer, bound in [*ranges, (network.output, (3 / 16) ** 0.5)]:
        assert 0.8 * bound < float(layer.weight.detach().abs().max()) <= bound
        assert not layer.bias.any()


def test_what_a_score_takes_counts_the_network() -> None:
    items = Neural(layers=(6, 5, 4))  # 3 numbers of a vector go into the network, 2 of 5 are factors
    vectors, answers = 3 * 5, 2 * (5 + 4)  # each with its gradient, of a vector also what is read of it
    assert items.lookup_bytes(columns=7, number_of_items=100, dim=5, width=5) == 7 * 4 * (vectors + answers)
    assert items.flops(dim=5) == 6 * (2 + 3 * 5 + 5 * 4 + 4)
