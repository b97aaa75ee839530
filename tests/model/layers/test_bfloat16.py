"""Tests of nextitem.model.layers.bfloat16."""

import pytest
import torch
from torch.nn.functional import linear

from nextitem.model.layers.bfloat16 import products_in_bfloat16


@pytest.mark.parametrize("rows", [1, 511, 512, 513])
def test_products_are_those_of_rounded_factors(rows: int) -> None:
    x, weight, bias = torch.randn(rows, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True), torch.randn(4)
    with products_in_bfloat16(torch.device("cpu")):
        y = linear(x, weight, bias)
    y.float().sum().backward()
    rounded = linear(x.detach().bfloat16().double(), weight.detach().bfloat16().double(), bias.double())
    assert y.dtype == torch.bfloat16
    assert y.shape == (rows, 4)
    torch.testing.assert_close(y.double(), rounded, rtol=0.02, atol=0.02)
    assert x.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(x.grad, weight.detach().sum(0).expand(rows, -1), rtol=0.02, atol=0.05)
    torch.testing.assert_close(weight.grad, x.detach().sum(0).expand(4, -1), rtol=0.02, atol=0.5)


def test_linear_maps_have_few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = torch.nn.Linear(8, 4)
    with products_in_bfloat16(torch.device("cpu")), torch.autograd.profiler.profile(record_shapes=True) as profile:
        for rows in range(1000, 1024, 3):
            layer(torch.randn(rows, 8))
    seen = {str(event.input_shapes[0]) for event in profile.function_events if event.name == "aten::linear"}
    assert seen == {"[1024, 8]"}
