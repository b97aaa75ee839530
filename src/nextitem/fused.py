"""Attention as one kernel where there is one. n rows, h heads, m queries, l keys, w width of a head."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nextitem import transfer
from nextitem.dropout import dropout


def mix(
    q_nhmw: Tensor, k_nhlw: Tensor, v_nhlw: Tensor, bias: Tensor, probability: float, *, is_causal: bool = False
) -> Tensor:
    """What each query mixes of the values by softmax(q · k / √w + bias), shape (n, h, m, w).

    Weights are dropped with `probability`. `bias` broadcasts to (n, h, m, l); `is_causal` promises that it hides from
    the m-th query the keys after the m-th and nothing else. On a GPU the (m, l) weights are never stored, and which of
    them are dropped is torch's choice.
    """
    form = mix_fused if transfer.is_elsewhere(q_nhmw.device) else mix_plainly
    return form(q_nhmw, k_nhlw, v_nhlw, bias, probability, is_causal=is_causal)


def mix_plainly(
    q_nhmw: Tensor, k_nhlw: Tensor, v_nhlw: Tensor, bias: Tensor, probability: float, *, is_causal: bool = False
) -> Tensor:
    """`mix` in plain products; on the CPU, with its cheap dropout, as fast as any."""
    scores_nhml = (q_nhmw * q_nhmw.shape[-1] ** -0.5) @ k_nhlw.transpose(2, 3) + bias
    return dropout(scores_nhml.softmax(-1), probability, training=True) @ v_nhlw


def mix_fused(
    q_nhmw: Tensor, k_nhlw: Tensor, v_nhlw: Tensor, bias: Tensor, probability: float, *, is_causal: bool = False
) -> Tensor:
    """`mix` by torch's fused kernels; where the mask is causal, what it hides is not even computed."""
    if is_causal:
        return scaled_dot_product_attention(q_nhmw, k_nhlw, v_nhlw, dropout_p=probability, is_causal=True)
    # The lowest finite number of a wider type would be −inf in a narrower one, and a row of them NaN.
    lowest = max(torch.finfo(one.dtype).min for one in (bias, q_nhmw))
    mask = bias.clamp(min=lowest).to(q_nhmw.dtype)
    shape = (*q_nhmw.shape[:-1], k_nhlw.shape[2])
    return scaled_dot_product_attention(q_nhmw, k_nhlw, v_nhlw, mask.expand(shape), probability)
