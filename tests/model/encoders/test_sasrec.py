"""What SASRec's options do. L length, d width."""

import pytest
import torch
from torch import Tensor

from nextitem.model.encoders.sasrec import SASRec
from worlds.shelves import embeddings, lively_encoder

LENGTHS = [7, 1, 12, 4]


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_sasrec_has_the_published_weights() -> None:
    encoder = SASRec(dim=8, blocks=1, positions=20).build()
    assert {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()} == {
        "positions_Ld": (20, 8),
        "blocks.0.attention_norm.weight": (8,),
        "blocks.0.attention_norm.bias": (8,),
        "blocks.0.attention.in_weight": (3 * 8, 8),
        "blocks.0.attention.in_bias": (3 * 8,),
        "blocks.0.attention.out.weight": (8, 8),
        "blocks.0.attention.out.bias": (8,),
        "blocks.0.forward_norm.weight": (8,),
        "blocks.0.forward_norm.bias": (8,),
        "blocks.0.inner.weight": (8, 8),
        "blocks.0.inner.bias": (8,),
        "blocks.0.outer.weight": (8, 8),
        "blocks.0.outer.bias": (8,),
        "last_norm.weight": (8,),
        "last_norm.bias": (8,),
    }


def test_positions_from_the_newest_are_those_of_left_padded_rows() -> None:
    """With rows padded on the left to the whole table, the newest item always has the table's last vector."""
    newest = SASRec(dim=8, positions=16, position_direction="from_newest")
    oldest = newest.model_copy(update={"position_direction": "from_oldest"})
    module, inputs, lengths_B = lively_encoder(newest), embeddings(4, 12, newest), torch.tensor(LENGTHS)
    states = module(inputs, lengths_B)
    for row, length in enumerate(LENGTHS):
        as_left_padded = lively_encoder(oldest)
        as_left_padded.load_state_dict(module.state_dict())
        with torch.no_grad():  # row by row, the table without the places of the pads
            as_left_padded.positions_Ld[:length] = module.positions_Ld[16 - length :]
        close(states[row, :length], as_left_padded(inputs[row : row + 1, :length], torch.tensor([length]))[0])


def test_attention_without_an_output_projection_is_one_with_the_identity() -> None:
    without = SASRec(dim=8, positions=16, heads=2, attention_output_projection=False)
    module, projecting = (
        lively_encoder(without),
        lively_encoder(without.model_copy(update={"attention_output_projection": True})),
    )
    identity = {
        f"blocks.{block}.attention.out.{name}": value.double()
        for block in range(2)
        for name, value in (("weight", torch.eye(8)), ("bias", torch.zeros(8)))
    }
    projecting.load_state_dict({**module.state_dict(), **identity})
    inputs, lengths_B = embeddings(4, 12, without), torch.tensor(LENGTHS)
    close(module(inputs, lengths_B), projecting(inputs, lengths_B))


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("placement", ["query", "pre"])
def test_sasrec_follows_its_layer_order_term_by_term(heads: int, placement: str) -> None:
    encoder = SASRec(dim=8, positions=16, heads=heads, norm_placement=placement)
    module, inputs = lively_encoder(encoder), embeddings(1, 5, encoder)
    expected = naive_sasrec(module.state_dict(), inputs[0], heads, placement)
    close(module(inputs, torch.tensor([5]))[0].detach(), expected)


def naive_sasrec(weights: dict[str, Tensor], inputs_Ld: Tensor, heads: int, placement: str) -> Tensor:
    """One unpadded row through two blocks, position by position and head by head."""

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scale = (centred.pow(2).mean(-1, keepdim=True) + 1e-8).sqrt()
        return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def forward(x: Tensor, block: str) -> Tensor:
        inner = (x @ weights[f"{block}.inner.weight"].T + weights[f"{block}.inner.bias"]).clamp_min(0)
        return inner @ weights[f"{block}.outer.weight"].T + weights[f"{block}.outer.bias"]

    def attend(query: Tensor, x: Tensor, block: str) -> Tensor:
        w_q, w_k, w_v = weights[f"{block}.attention.in_weight"].chunk(3)
        b_q, b_k, b_v = weights[f"{block}.attention.in_bias"].chunk(3)
        q, k, v = query @ w_q.T + b_q, x @ w_k.T + b_k, x @ w_v.T + b_v
        width = 8 // heads
        mixed = torch.zeros_like(x)
        for now in range(len(x)):
            for part in (slice(head * width, (head + 1) * width) for head in range(heads)):
                scores = k[: now + 1, part] @ q[now, part] / width**0.5
                mixed[now, part] = (scores.exp() / scores.exp().sum()) @ v[: now + 1, part]
        return mixed @ weights[f"{block}.attention.out.weight"].T + weights[f"{block}.attention.out.bias"]

    x = inputs_Ld * 8**0.5 + weights["positions_Ld"][: len(inputs_Ld)]
    for block in ("blocks.0", "blocks.1"):
        normed = norm(x, f"{block}.attention_norm")
        if placement == "query":
            x = norm(normed + attend(normed, x, block), f"{block}.forward_norm")
            x = x + forward(x, block)
        else:
            x = x + attend(normed, normed, block)
            x = x + forward(norm(x, f"{block}.forward_norm"), block)
    return norm(x, "last_norm")
