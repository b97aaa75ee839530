"""HSTU against its equations, number by number. L length, d width."""

import math

import pytest
import torch
from torch import Tensor

from nextitem.model.encoders import HSTU
from nextitem.model.layers.gaps import bucket
from worlds.shelves import embeddings, lively_encoder

TIMES = torch.tensor([1_700_000_000, 1_700_000_000, 1_700_000_059, 1_700_086_400, 1_800_000_000])


def silu(x: Tensor) -> Tensor:
    return x / (1 + (-x).exp())


def norm(x: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / (centred.pow(2).mean() + 1e-6).sqrt()


def naive_hstu(weights: dict[str, Tensor], inputs_Ld: Tensor, times_L: Tensor, settings: HSTU) -> Tensor:
    """One unpadded row, position by position and head by head."""
    width = settings.dim // settings.heads
    states = list(inputs_Ld * settings.dim**0.5 + weights["positions_Ld"][: len(inputs_Ld)])
    for block in (f"blocks.{number}" for number in range(settings.blocks)):
        of_places, of_gaps = weights[f"{block}.of_places_L"], weights[f"{block}.of_gaps_K"]
        projected = [silu(weights[f"{block}.projection_4dd"] @ norm(x)).chunk(4) for x in states]
        changed = []
        for now, (x, (u, q, _, _)) in enumerate(zip(states, projected, strict=True)):
            heads = []
            for part in (slice(head * width, (head + 1) * width) for head in range(settings.heads)):
                mixed = torch.zeros(width, dtype=x.dtype)
                for before in range(now + 1):
                    seconds = max(1, int(times_L[now] - times_L[before]))
                    gap = min(128, math.floor(math.log(seconds) / 0.301))
                    _, _, v, k = projected[before]
                    mixed = mixed + silu(q[part] @ k[part] + of_places[now - before] + of_gaps[gap]) * v[part]
                heads.append(mixed / settings.positions)
            gated = u * norm(torch.cat(heads))
            changed.append(x + weights[f"{block}.out.weight"] @ gated + weights[f"{block}.out.bias"])
        states = changed
    return torch.stack(states)


@pytest.mark.parametrize("heads", [1, 2])
def test_hstu_follows_its_equations_term_by_term(heads: int) -> None:
    encoder = HSTU(dim=8, positions=16, heads=heads)
    module, inputs = lively_encoder(encoder), embeddings(1, 5, encoder).requires_grad_()
    weights = dict(module.named_parameters())
    states_Ld = module(inputs, torch.tensor([5]), times_BL=TIMES[None])[0]
    expected_Ld = naive_hstu(weights, inputs[0], TIMES, encoder)
    torch.testing.assert_close(states_Ld, expected_Ld, rtol=0, atol=1e-10)
    asked = [inputs, *weights.values()]
    ours, theirs = (
        torch.autograd.grad((states * states_Ld.detach().cos()).sum(), asked) for states in (states_Ld, expected_Ld)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)


def test_nobody_is_told_of_a_later_moment() -> None:
    """When an event was changes no state before it: that of the event before would be asked with its target's time."""
    encoder = HSTU(dim=8, positions=16)
    module, inputs, lengths_B = lively_encoder(encoder), embeddings(1, 5, encoder), torch.tensor([5])
    states = module(inputs, lengths_B, times_BL=TIMES[None])[0]
    for place in range(1, 5):
        later = TIMES + 10**9 * (torch.arange(5) >= place)
        changed = module(inputs, lengths_B, times_BL=later[None])[0]
        torch.testing.assert_close(changed[:place], states[:place], rtol=0, atol=1e-12)
        assert bool(((changed - states)[place:].abs().amax(1) > 1e-6).all())


def test_only_differences_of_times_count_to_a_fraction_of_a_second() -> None:
    encoder = HSTU(dim=8, positions=16)
    module, inputs, lengths_B = lively_encoder(encoder), embeddings(1, 5, encoder), torch.tensor([5])
    states = module(inputs, lengths_B, times_BL=TIMES[None])
    shifted = module(inputs, lengths_B, times_BL=TIMES[None].double() - 0.25)
    torch.testing.assert_close(shifted, states, rtol=0, atol=0)


def test_seconds_fall_into_the_published_buckets() -> None:
    seconds = torch.tensor([0, 1, 2, 3, 60, 3600, 86400, 365 * 86400])
    assert bucket(seconds).tolist() == [math.floor(math.log(max(1, one)) / 0.301) for one in seconds.tolist()]
    assert bucket(torch.tensor([0.5, 1.36, 2.7])).tolist() == [0, 1, 3]
