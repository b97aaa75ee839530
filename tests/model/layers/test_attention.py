"""Attention by fused kernels is attention. n rows, h heads, m queries, l keys, w width."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nextitem.model.layers.attention import attend, attend_to, fused, plain
from nextitem.model.layers.packing import Packed, Padded, Queries, RowGroup
from worlds.waits import pretend_gpu

LENGTHS_B = torch.tensor([5, 1, 3])


def vectors(queries: int, keys: int) -> list[Tensor]:
    draws = torch.Generator().manual_seed(0)
    return [torch.randn(3, 2, n, 4, generator=draws, dtype=torch.float64) for n in (queries, keys, keys)]


def everyone(*, is_causal: bool, length: int = 5) -> RowGroup:
    (group,) = Padded(LENGTHS_B, length, is_causal=is_causal).everyone().groups
    return group


def with_bias(bias_nhml: Tensor) -> RowGroup:
    return replace(everyone(is_causal=False), bias_nhml=bias_nhml)


def is_same(queries: int, keys: int, group: RowGroup) -> bool:
    """Whether the fused kernel finds what plain products find."""
    q, k, v = vectors(queries, keys)
    return torch.allclose(fused(q, k, v, group, 0.0), plain(q, k, v, group, 0.0), rtol=0, atol=1e-14)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_causal_attention_is_the_same_by_a_fused_kernel(length: int) -> None:
    group = everyone(is_causal=True, length=length)
    assert group.is_triangle
    assert is_same(length, length, group)
    assert is_same(length, length, replace(group, is_triangle=False))


@pytest.mark.parametrize("queries", [1, 2, 5])
def test_padding_is_hidden_from_a_fused_kernel(queries: int) -> None:
    group = everyone(is_causal=False)
    assert not group.is_triangle
    assert is_same(queries, 5, group)


@pytest.mark.parametrize("length", [1, 31, 33, 70])
def test_a_triangle_is_the_same_in_strips(length: int) -> None:
    group, (q, k, v) = everyone(is_causal=True, length=length), vectors(length, length)
    with torch.no_grad():
        found = plain(q, k, v, group, 0.0)
    torch.testing.assert_close(found, plain(q, k, v, group, 0.0), rtol=0, atol=1e-14)


@pytest.mark.parametrize("lengths", [[5, 1, 3], [5, 5, 5]])
@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("read", [[4, 5, 12], [4], [0, 4, 5]])
def test_few_who_ask_need_no_keys_and_values(lengths: list[int], is_causal: bool, read: list[int]) -> None:
    draws, layout = torch.Generator().manual_seed(0), Packed(torch.tensor(lengths), 5, is_causal=is_causal)
    x_Pd, weight, bias = (
        torch.randn(*size, generator=draws, dtype=torch.float64) for size in ((sum(lengths), 6), (12, 6), (12,))
    )
    queries, _ = layout.readers(torch.tensor(read))
    assert queries.places_Q is not None
    q_Qd = queries.of(x_Pd).flip(1)
    with torch.no_grad():
        found = attend_to(x_Pd, q_Qd, (weight, bias), queries, 2, 0.0, training=False)
    same_by_keys = attend(q_Qd, x_Pd @ weight.T + bias, queries, 2, 0.0, training=False)
    torch.testing.assert_close(found, same_by_keys, rtol=0, atol=1e-12)


def test_a_mask_of_its_own_for_each_row() -> None:
    assert is_same(2, 6, with_bias(torch.full((3, 1, 2, 6), -1e30).triu_(2)))


def test_a_row_without_any_key_is_no_nan_in_half_the_bits() -> None:
    q, k, v = (one.bfloat16() for one in vectors(2, 4))
    nothing = with_bias(torch.full((3, 1, 1, 4), torch.finfo(torch.float32).min))
    assert not fused(q, k, v, nothing, 0.0).isnan().any()


def test_dropped_weights_keep_the_expectation() -> None:
    torch.manual_seed(0)
    q, k, v = vectors(3, 3)
    group = everyone(is_causal=True, length=3)
    mean = torch.stack([fused(q, k, v, group, 0.3) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, plain(q, k, v, group, 0.0), rtol=0, atol=0.08)


def test_a_gpu_gets_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def attention(q: Tensor, *_: object, is_causal: bool = False, **__: object) -> Tensor:
        seen.append(is_causal)
        return q

    monkeypatch.setattr("nextitem.model.layers.attention.scaled_dot_product_attention", attention)
    queries: Queries = Padded(LENGTHS_B, 5, is_causal=True).everyone()
    q_Qd, keys_and_values_P2d = torch.randn(15, 4), torch.randn(15, 8)
    attend(q_Qd, keys_and_values_P2d, queries, 2, 0.1, training=True)
    assert not seen
    pretend_gpu(monkeypatch)
    attend(q_Qd, keys_and_values_P2d, queries, 2, 0.1, training=True)
    assert seen == [True]
