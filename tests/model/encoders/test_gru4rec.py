"""The recurrence against its formulas, against torch's own network, and against finite differences."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nextitem.model.encoders.gru4rec import GRU4Rec
from worlds.shelves import embeddings, lively_encoder
from worlds.waits import pretend_gpu

LENGTHS_B = torch.tensor([7, 1, 12, 4, 12])
ENCODERS = [GRU4Rec(dim=8), GRU4Rec(dim=8, blocks=3), GRU4Rec(dim=8, hidden=5, blocks=2)]
each_encoder = pytest.mark.parametrize("encoder", ENCODERS, ids=["one layer", "three layers", "of another width"])


def close(ours: Any, expected: Any) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_gru4rec_has_the_published_weights() -> None:
    assert {name: tuple(weight.shape) for name, weight in GRU4Rec(dim=8).build().state_dict().items()} == {
        "blocks.0.weight_ih_l0": (24, 8),
        "blocks.0.weight_hh_l0": (24, 8),
        "blocks.0.bias_ih_l0": (24,),
        "blocks.0.bias_hh_l0": (24,),
    }


def test_another_width_is_projected_to_that_of_the_items() -> None:
    encoder = GRU4Rec(dim=8, hidden=5).build()
    assert encoder.blocks[0].weight_hh_l0.shape == (15, 5)
    assert encoder.projection.weight.shape == (8, 5)
    assert encoder.projection.bias is None


def test_gru4rec_follows_its_formulas_term_by_term() -> None:
    module, inputs = lively_encoder(ENCODERS[0]), embeddings(1, 6, ENCODERS[0])
    weights = module.state_dict()
    (w_r, w_z, w_n), (u_r, u_z, u_n), (b_r, b_z, b_n), (c_r, c_z, c_n) = (
        weights[f"blocks.0.{name}"].chunk(3) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    )
    state, expected = torch.zeros(8, dtype=torch.float64), []
    for item in inputs[0]:
        reset = 1 / (1 + (-(w_r @ item + b_r + u_r @ state + c_r)).exp())
        keep = 1 / (1 + (-(w_z @ item + b_z + u_z @ state + c_z)).exp())
        new = (w_n @ item + b_n + reset * (u_n @ state + c_n)).tanh()
        state = (1 - keep) * new + keep * state
        expected.append(state)
    close(module(inputs, torch.tensor([6]))[0].detach(), torch.stack(expected))


def torch_own(module: Any, x: Tensor) -> Tensor:
    """The states by torch's packed network and autograd."""
    packed = pack_padded_sequence(x, LENGTHS_B, batch_first=True, enforce_sorted=False)
    for layer in module.blocks:
        packed, _ = layer(packed)
    projected: Tensor = module.projection(pad_packed_sequence(packed, batch_first=True)[0])
    return projected


@each_encoder
def test_states_and_gradients_are_those_of_torch(encoder: GRU4Rec) -> None:
    module, factors = lively_encoder(encoder), embeddings(5, 12, encoder, seed=3)
    inputs = embeddings(5, 12, encoder).requires_grad_()
    ours, theirs = module(inputs, LENGTHS_B), torch_own(module, inputs)
    close(ours, theirs)
    gradients = [torch.autograd.grad((s * factors).sum(), [inputs, *module.parameters()]) for s in (ours, theirs)]
    close(gradients[0], gradients[1])


@each_encoder
def test_gradients_are_slopes(encoder: GRU4Rec) -> None:
    module, lengths_B = lively_encoder(encoder), torch.tensor([3, 1, 4])
    weights = dict(module.named_parameters())

    def states(inputs: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(weights, values, strict=True))
        found: Tensor = torch.func.functional_call(module, named, (inputs, lengths_B))
        return found

    assert torch.autograd.gradcheck(states, (embeddings(3, 4, encoder).requires_grad_(), *weights.values()))


@each_encoder
@pytest.mark.parametrize("read", [None, [3, 12, 24, 35, 59]])
def test_the_states_of_a_gpu_are_those_of_the_cpu(
    encoder: GRU4Rec, read: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, read_T = lively_encoder(encoder), None if read is None else torch.tensor(read)
    inputs = embeddings(5, 12, encoder)
    packed = module(inputs, LENGTHS_B, None, read_T)
    pretend_gpu(monkeypatch)
    padded = module(inputs, LENGTHS_B, None, read_T)
    if read is None:
        is_real_BL = torch.arange(12) < LENGTHS_B[:, None]
        packed, padded = packed[is_real_BL], padded[is_real_BL]
    close(padded, packed)


@pytest.mark.parametrize(("products", "kernels"), [("highest", "ieee"), ("high", "tf32")])
def test_on_a_gpu_the_kernels_round_as_other_products_do(
    products: str, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpu(monkeypatch)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: products)
    monkeypatch.setattr(torch.backends.cudnn.rnn, "fp32_precision", "tf32")
    lively_encoder(ENCODERS[0])(embeddings(5, 12, ENCODERS[0]), LENGTHS_B)
    assert torch.backends.cudnn.rnn.fp32_precision == kernels


def test_no_row_at_all_has_no_state() -> None:
    module = lively_encoder(ENCODERS[0])
    assert module(torch.zeros(0, 3, 8, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)).shape == (0, 3, 8)
