"""GPT-2 against its formulas, written out, and against torch's own pre-norm transformer."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nextitem.model.encoders.gpt2 import GPT2
from worlds.shelves import embeddings, lively_encoder

each_number_of_heads = pytest.mark.parametrize("heads", [1, 2, 4], ids="heads={}".format)


def close(ours: Any, expected: Any) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_gpt2_has_the_published_weights() -> None:
    assert {
        name: tuple(weight.shape) for name, weight in GPT2(dim=8, blocks=1, positions=20).build().state_dict().items()
    } == {
        "positions_Ld": (20, 8),
        "blocks.0.attention_norm.weight": (8,),
        "blocks.0.attention_norm.bias": (8,),
        "blocks.0.attention.weight": (24, 8),
        "blocks.0.attention.bias": (24,),
        "blocks.0.out_projection.weight": (8, 8),
        "blocks.0.out_projection.bias": (8,),
        "blocks.0.forward_norm.weight": (8,),
        "blocks.0.forward_norm.bias": (8,),
        "blocks.0.inner.weight": (32, 8),  # four times the width
        "blocks.0.inner.bias": (32,),
        "blocks.0.outer.weight": (8, 32),
        "blocks.0.outer.bias": (8,),
        "last_norm.weight": (8,),
        "last_norm.bias": (8,),
    }


def test_the_width_within_a_block_can_be_chosen() -> None:
    assert GPT2(dim=8, inner=5).build().blocks[0].inner.weight.shape == (5, 8)


def test_weights_start_as_published() -> None:
    torch.manual_seed(0)
    weights = GPT2(dim=64, blocks=8).build().state_dict()
    for name, weight in weights.items():
        if "norm" in name or name.endswith("bias"):
            assert bool((weight == float("norm.weight" in name)).all())
        else:
            ends_a_branch = name.endswith(("out_projection.weight", "outer.weight"))
            assert float(weight.std()) == pytest.approx(0.02 / 4 if ends_a_branch else 0.02, rel=0.05)


@each_number_of_heads
def test_gpt2_follows_its_formulas_term_by_term(heads: int) -> None:
    encoder = GPT2(dim=8, heads=heads, positions=16)
    module, inputs = lively_encoder(encoder), embeddings(1, 6, encoder)
    close(module(inputs, torch.tensor([6]))[0].detach(), naive(module.state_dict(), inputs[0], heads))


def naive(weights: dict[str, Tensor], inputs_Ld: Tensor, heads: int) -> Tensor:
    """One unpadded row through two blocks, position by position and head by head."""

    def norm(x_d: Tensor, name: str) -> Tensor:
        mean = x_d.sum() / 8
        variance = ((x_d - mean) ** 2).sum() / 8
        return (x_d - mean) / (variance + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def layer(x_d: Tensor, name: str) -> Tensor:
        return weights[f"{name}.weight"] @ x_d + weights[f"{name}.bias"]

    def gelu(x: Tensor) -> Tensor:
        return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh())

    states = list(inputs_Ld + weights["positions_Ld"][: len(inputs_Ld)])
    for block in ("blocks.0", "blocks.1"):
        triples = [layer(norm(x, f"{block}.attention_norm"), f"{block}.attention").chunk(3) for x in states]
        width = 8 // heads
        for now in range(len(states)):
            mixed = []
            for part in (slice(head * width, (head + 1) * width) for head in range(heads)):
                query, seen = triples[now][0][part], triples[: now + 1]
                shares = [math.exp(float(query @ key[part]) / math.sqrt(width)) for _, key, _ in seen]
                values = [share * value[part] for share, (*_, value) in zip(shares, seen, strict=True)]
                mixed.append(torch.stack(values).sum(0) / sum(shares))
            states[now] = states[now] + layer(torch.cat(mixed), f"{block}.out_projection")
        for now, x in enumerate(states):
            inner = gelu(layer(norm(x, f"{block}.forward_norm"), f"{block}.inner"))
            states[now] = x + layer(inner, f"{block}.outer")
    return torch.stack([norm(x, "last_norm") for x in states])


@each_number_of_heads
def test_states_and_gradients_are_those_of_torchs_transformer(heads: int) -> None:
    encoder, lengths = GPT2(dim=8, heads=heads, blocks=3, positions=16), [7, 1, 12, 4]
    module, factors = lively_encoder(encoder), embeddings(4, 12, encoder, seed=3)
    theirs = nn.ModuleList(_theirs(block, heads) for block in module.blocks).eval()
    inputs = embeddings(4, 12, encoder).requires_grad_()
    x = inputs + module.positions_Ld[:12]
    hidden = nn.Transformer.generate_square_subsequent_mask(12, dtype=torch.float64)
    for block in theirs:
        x = block(x, hidden, is_causal=True)
    x = module.last_norm(x)
    is_real_BL = torch.arange(12) < torch.tensor(lengths)[:, None]
    ours = module(inputs, torch.tensor(lengths))
    close(ours[is_real_BL], x[is_real_BL])
    known = [inputs, module.positions_Ld]
    gradients = [torch.autograd.grad(((s * factors)[is_real_BL]).sum(), known, retain_graph=True) for s in (ours, x)]
    close(gradients[0], gradients[1])


def _theirs(block: Any, heads: int) -> nn.TransformerEncoderLayer:
    """torch's layer with the weights of ours."""
    layer = nn.TransformerEncoderLayer(
        8, heads, 32, dropout=0.0, activation=nn.GELU(approximate="tanh"), norm_first=True, batch_first=True,
        dtype=torch.float64,
    )  # fmt: skip
    weights = {}
    for kind in ("weight", "bias"):
        weights[f"self_attn.in_proj_{kind}"] = getattr(block.attention, kind)
        pairs = {"self_attn.out_proj": block.out_projection, "linear1": block.inner, "linear2": block.outer}
        for theirs, ours in {**pairs, "norm1": block.attention_norm, "norm2": block.forward_norm}.items():
            weights[f"{theirs}.{kind}"] = getattr(ours, kind)
    layer.load_state_dict(weights)
    return layer
