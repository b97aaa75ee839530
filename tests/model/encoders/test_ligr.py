"""LiGR against its equations, number by number. L length, d width, i inner width."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.model.encoders import LiGR
from worlds.shelves import embeddings, lively_encoder


def small(**settings: Any) -> LiGR:
    return LiGR(**{"dim": 8, "positions": 16, "heads": 2, "inner": 12, **settings})


def norm(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    centred = x - x.mean()
    return centred / (centred.pow(2).mean() + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def naive_ligr(weights: dict[str, Tensor], inputs_Ld: Tensor, settings: LiGR) -> Tensor:
    """One unpadded row, position by position and head by head."""

    def gate(x: Tensor, name: str) -> Tensor | float:
        if not settings.gates:
            return 1.0
        return 1 / (1 + (-(weights[f"{name}.weight"] @ x + weights[f"{name}.bias"])).exp())

    def swiglu(x: Tensor, block: str) -> Tensor:
        gate_i, up_i = (half @ x for half in weights[f"{block}.gate_and_up_2id"].chunk(2))
        return weights[f"{block}.outer.weight"] @ (gate_i / (1 + (-gate_i).exp()) * up_i)

    def attend(normed: list[Tensor], now: int, block: str) -> Tensor:
        name, width = f"{block}.attention", settings.dim // settings.heads
        q, *_ = (weights[f"{name}.weight"] @ normed[now] + weights[f"{name}.bias"]).chunk(3)
        keys, values = zip(
            *((weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]).chunk(3)[1:] for x in normed[: now + 1]),
            strict=True,
        )
        mixed = []
        for part in (slice(head * width, (head + 1) * width) for head in range(settings.heads)):
            scores = torch.stack([q[part] @ key[part] / width**0.5 for key in keys]).exp()
            mixed.append(sum(score / scores.sum() * value[part] for score, value in zip(scores, values, strict=True)))
        return weights[f"{block}.out.weight"] @ torch.cat(mixed) + weights[f"{block}.out.bias"]

    length, table = len(inputs_Ld), weights["positions_Ld"]
    places = table[:length] if settings.position_direction == "from_oldest" else table[len(table) - length :]
    states = list(inputs_Ld * (settings.dim**0.5 if settings.scales_items else 1) + places)
    for block in (f"blocks.{number}" for number in range(settings.blocks)):
        normed = [norm(x, weights, f"{block}.attention_norm") for x in states]
        states = [x + gate(x, f"{block}.attention_gate") * attend(normed, now, block) for now, x in enumerate(states)]
        states = [
            x + gate(x, f"{block}.forward_gate") * swiglu(norm(x, weights, f"{block}.forward_norm"), block)
            for x in states
        ]
    return torch.stack([norm(x, weights, "last_norm") if settings.last_norm else x for x in states])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"heads": 1, "position_direction": "from_oldest"},
        {"scales_items": True, "last_norm": True},
        {"gates": False},
    ],
)
def test_ligr_follows_its_equations_term_by_term(settings: dict[str, Any]) -> None:
    encoder = small(**settings)
    module, inputs = lively_encoder(encoder), embeddings(1, 5, encoder).requires_grad_()
    weights = dict(module.named_parameters())
    states_Ld, expected_Ld = module(inputs, torch.tensor([5]))[0], naive_ligr(weights, inputs[0], encoder)
    torch.testing.assert_close(states_Ld, expected_Ld, rtol=0, atol=1e-12)
    asked = [inputs, *weights.values()]
    ours, theirs = (
        torch.autograd.grad((states * states.detach().cos()).sum(), asked) for states in (states_Ld, expected_Ld)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_feed_forward_layers_are_four_times_as_wide_where_nothing_is_said() -> None:
    assert small(inner=None).build().blocks[0].outer.in_features == 4 * 8
    assert small().build().blocks[0].outer.in_features == 12


def test_a_closed_gate_lets_nothing_through() -> None:
    encoder = small(position_direction="from_oldest")
    module, inputs = lively_encoder(encoder), embeddings(1, 5, encoder)
    with torch.no_grad():
        for block in module.blocks:
            for each in (block.attention_gate, block.forward_gate):
                each.weight.zero_()
                each.bias.fill_(-1e3)
    torch.testing.assert_close(module(inputs, torch.tensor([5]))[0], inputs[0] + module.positions_Ld[:5])
