"""Attention by fused kernels is attention. n rows, h heads, m queries, l keys, w width."""

import pytest
import torch
from torch import Tensor

from nextitem.fused import mix, mix_fused, mix_plainly
from waits import pretend_gpu


def vectors(queries: int, keys: int) -> list[Tensor]:
    draws = torch.Generator().manual_seed(0)
    return [torch.randn(3, 2, n, 4, generator=draws, dtype=torch.float64) for n in (queries, keys, keys)]


def causal(length: int) -> Tensor:
    return torch.full((length, length), -torch.inf, dtype=torch.float64).triu_(1)


def padded(lengths: list[int], longest: int) -> Tensor:
    is_pad_nl = torch.arange(longest) >= torch.tensor(lengths)[:, None]
    lowest = torch.finfo(torch.float32).min
    return torch.zeros(is_pad_nl.shape).masked_fill_(is_pad_nl, lowest)[:, None, None]


def test_causal_attention_is_the_same_by_a_fused_kernel() -> None:
    for length in (1, 2, 7):
        plain = mix_plainly(*vectors(length, length), causal(length), 0.0)
        for is_causal in (True, False):
            fused = mix_fused(*vectors(length, length), causal(length), 0.0, is_causal=is_causal)
            torch.testing.assert_close(fused, plain, rtol=0, atol=1e-14)


@pytest.mark.parametrize("queries", [1, 2, 5])
def test_padding_is_hidden_from_a_fused_kernel(queries: int) -> None:
    bias = padded([5, 1, 3], 5)
    plain = mix_plainly(*vectors(queries, 5), bias, 0.0)
    torch.testing.assert_close(mix_fused(*vectors(queries, 5), bias, 0.0), plain, rtol=0, atol=1e-14)


def test_a_mask_of_its_own_for_each_row() -> None:
    mask = causal(6)[torch.tensor([[5, 0], [3, 3], [1, 4]])][:, None]
    plain = mix_plainly(*vectors(2, 6), mask, 0.0)
    torch.testing.assert_close(mix_fused(*vectors(2, 6), mask, 0.0), plain, rtol=0, atol=1e-14)


def test_a_row_without_any_key_is_no_nan_in_half_the_bits() -> None:
    q, k, v = (one.bfloat16() for one in vectors(2, 4))
    assert not mix_fused(q, k, v, padded([0, 2, 4], 4), 0.0).isnan().any()


def test_dropped_weights_keep_the_expectation() -> None:
    torch.manual_seed(0)
    q, k, v = vectors(3, 3)
    mean = torch.stack([mix_fused(q, k, v, causal(3), 0.3, is_causal=True) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, mix_plainly(q, k, v, causal(3), 0.0), rtol=0, atol=0.08)


def test_a_gpu_gets_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def attention(q: Tensor, *_: Tensor, is_causal: bool = False, **__: object) -> Tensor:
        seen.append(is_causal)
        return q

    monkeypatch.setattr("nextitem.fused.scaled_dot_product_attention", attention)
    mix(*vectors(3, 3), causal(3), 0.0, is_causal=True)
    assert not seen
    pretend_gpu(monkeypatch)
    mix(*vectors(3, 3), causal(3), 0.0, is_causal=True)
    assert seen == [True]
