"""What Caser computes. T positions, U users, w items of a window, d width, N items."""

import math

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.encoders.caser import Caser, CaserEncoder
from nextitem.model.losses import BinaryCrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import NextFew
from worlds.shelves import build_model, embeddings, lively_encoder

CASER = Caser(dim=4, window=3, vertical_filters=2, horizontal_filters=3)
ITEMS = 9


@torch.no_grad()
def naive_state(encoder: CaserEncoder, window: list[Tensor], user: int) -> Tensor:
    """The state after a window of w vectors, filter by filter and place by place."""
    found = []
    for column in range(4):  # one for each number of an item's vector, as the dense layer takes them
        for weights, bias in zip(encoder.vertical.weight, encoder.vertical.bias, strict=True):
            found.append(sum(float(weight) * float(item[column]) for weight, item in zip(weights, window, strict=True)))
            found[-1] += float(bias)
    for height, filters in enumerate(encoder.horizontal, start=1):
        for weights_dh, bias in zip(filters.weight, filters.bias, strict=True):
            answers = []
            for first in range(len(window) - height + 1):
                rows = window[first : first + height]
                total = sum(float(weights_dh[:, row] @ item) for row, item in enumerate(rows))
                answers.append(max(0.0, total + float(bias)))
            found.append(max(answers))
    dense = encoder.dense.weight @ torch.tensor(found, dtype=torch.float64) + encoder.dense.bias
    assert encoder.users_Ud is not None
    return torch.cat([dense.clamp(min=0), encoder.users_Ud[user]])


def test_caser_has_the_published_weights() -> None:
    """Each kind of filter has a bias, and there are horizontal ones of every height."""
    encoder = Caser(dim=50).build(number_of_users=7)
    assert {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()} == {
        "users_Ud": (7, 50),
        "vertical.weight": (4, 5),
        "vertical.bias": (4,),
        **{f"horizontal.{h}.weight": (16, 50, h + 1) for h in range(5)},
        **{f"horizontal.{h}.bias": (16,) for h in range(5)},
        "dense.weight": (50, 4 * 50 + 16 * 5),
        "dense.bias": (50,),
    }


def test_states_are_those_of_a_naive_reader() -> None:
    encoder, inputs, lengths_B = lively_encoder(CASER), embeddings(2, 5, CASER), torch.tensor([5, 2])
    users_B, nothing = torch.tensor([6, 1]), torch.zeros(4, dtype=torch.float64)
    states = encoder(inputs, lengths_B, users_B).detach()
    for row, column in [(0, 4), (0, 3), (0, 1), (0, 0), (1, 1), (1, 0)]:
        window = [nothing, nothing, *inputs[row, : column + 1]][-3:]  # zeros before the oldest item
        expected = naive_state(encoder, window, int(users_B[row]))
        torch.testing.assert_close(states[row, column], expected, rtol=0, atol=1e-12)


def test_a_state_sees_the_last_items_of_its_window_and_no_older_one() -> None:
    wide = Caser(dim=8, window=3)  # enough filters that some are awake everywhere
    encoder, inputs, lengths_B = lively_encoder(wide), embeddings(1, 6, wide), torch.tensor([6])
    states = encoder(inputs, lengths_B)
    for place in range(6):
        changed = inputs.clone()
        changed[:, place] += 1
        is_other_L = (encoder(changed, lengths_B) - states).abs().amax(2)[0] > 1e-6
        assert is_other_L.tolist() == [place <= column < place + 3 for column in range(6)]


def test_without_user_vectors_a_state_is_what_the_filters_saw() -> None:
    alone = CASER.model_copy(update={"user_vectors": False})
    assert (CASER.output_width, alone.output_width) == (8, 4)
    both, only = lively_encoder(CASER), lively_encoder(alone)
    only.load_state_dict({name: weight for name, weight in both.state_dict().items() if name != "users_Ud"})
    inputs, lengths_B, users_B = embeddings(2, 5, CASER), torch.tensor([5, 2]), torch.tensor([6, 1])
    assert torch.equal(only(inputs, lengths_B, users_B), both(inputs, lengths_B, users_B)[..., :4])


def test_the_loss_of_a_step_is_that_of_the_paper() -> None:
    """−log σ(y) of each target and −log(1 − σ(y)) of each of its three negatives, y = W′[z; P_u] + b′."""
    train = Sequences.of([[0, 1, 2, 3, 4, 5], [6, 7]], ITEMS)
    model = build_model(CASER, NextFew(maximum_length=3, targets=2), ITEMS).eval()
    table_Ne = model.items.output_table().detach()
    table_Ne[:, -1] = torch.linspace(-1, 1, ITEMS)  # biases that are felt
    batch = model.batch(model.windows(train), torch.Generator())
    drawn = Uniform(count=3).build(train).sample(batch, torch.Generator().manual_seed(0))
    ours = model.loss(batch, BinaryCrossEntropy().build(), drawn)
    instances = [(0, [0, 1, 2], [3, 4]), (0, [1, 2, 3], [4, 5]), (1, [6], [7])]
    expected, position = 0.0, 0
    for user, inputs, targets in instances:
        vectors = [model.items.weight_Nd.detach()[item] for item in inputs]
        window = [*[torch.zeros(4, dtype=torch.float64)] * (3 - len(vectors)), *vectors]
        assert isinstance(model.encoder, CaserEncoder)
        state = naive_state(model.encoder, window, user)
        for target in targets:
            rows = table_Ne[[target, *drawn.ids[position].tolist()]]
            positive, *others = (float(row[:-1] @ state + row[-1]) for row in rows)
            out = drawn.is_out(batch.targets_T)[position].tolist()
            expected += math.log1p(math.exp(-positive))
            expected += sum(
                math.log1p(math.exp(other)) for other, is_out in zip(others, out, strict=True) if not is_out
            )
            position += 1
    assert ours.item() == pytest.approx(expected, rel=1e-12)
