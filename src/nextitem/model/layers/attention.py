"""Multi-head scaled dot-product attention over packed positions (Vaswani et al., NeurIPS 2017).

P positions, Q of them that ask, d width; within a group n rows, h heads, m queries, l keys, w = d / h.
"""

import torch
from pydantic import ValidationInfo
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from nextitem.compute import transfer
from nextitem.model.layers.dropout import dropout
from nextitem.model.layers.packing import Queries, RowGroup

_STRIP = 32  # queries that are computed together where each sees no later key


def heads_divide_dim(heads: int, others: ValidationInfo) -> int:
    """The setting `heads` where it divides the setting `dim` before it; raises ValueError where it does not."""
    dim = others.data.get("dim", heads)  # absent where dim itself was refused
    if dim % heads:
        raise ValueError(f"should divide dim={dim}, since each head takes an equal share of the width")
    return heads


def attention_flops(blocks: int, length: int, width: int) -> int:
    """What each position of a window takes besides the weights, forward and backward, in so many blocks."""
    return 12 * blocks * length * width


def attend_to(
    x_Pd: Tensor,
    q_Qd: Tensor,
    keys_and_values: tuple[Tensor, Tensor],
    queries: Queries,
    heads: int,
    probability: float,
    *,
    training: bool,
) -> Tensor:
    """`attend` to keys and values that are one linear map of `x_Pd`, of weight (2d, d) and bias (2d), shape (Q, d).

    Where few ask and nothing is learnt, neither keys nor values of all positions are computed: q · (W x + b) is
    (Wᵀ q) · x but for a number that all keys of a query share, and a mean of W x + b is W (mean of x) + b.
    """
    weight, bias = keys_and_values
    is_learning = training or torch.is_grad_enabled()
    if queries.places_Q is None or is_learning or transfer.is_asynchronous(x_Pd.device):
        return attend(q_Qd, linear(x_Pd, weight, bias), queries, heads, probability, training=training)
    width = q_Qd.shape[1] // heads
    keys_hwd, values_hwd = weight.view(2, heads, width, -1)
    asked_Qhd = torch.einsum("qhw,hwd->qhd", (q_Qd * width**-0.5).view(len(q_Qd), heads, width), keys_hwd)
    mixed = []
    for group in queries.groups:
        asked_nhmd = in_heads(group.padded_queries(asked_Qhd.flatten(1)), heads)
        x_nld = group.padded_keys(x_Pd)
        weights_nhml = torch.einsum("nhmd,nld->nhml", asked_nhmd, x_nld).add_(group.bias_nhml).softmax(-1)
        mixed_nmhd = torch.einsum("nhml,nld->nmhd", weights_nhml, x_nld)
        mixed.append(group.unpadded(mixed_nmhd.flatten(2)))
    mixed_Qhd = (torch.cat(mixed) if mixed else asked_Qhd).view(len(q_Qd), heads, -1)
    return torch.einsum("qhd,hwd->qhw", mixed_Qhd, values_hwd).flatten(1) + bias[q_Qd.shape[1] :]


def attend(
    q_Qd: Tensor, keys_and_values_P2d: Tensor, queries: Queries, heads: int, probability: float, *, training: bool
) -> Tensor:
    """What each query mixes of the values it sees, shape (Q, d); dropout with `probability` on the weights."""
    width = q_Qd.shape[1] // heads
    q_Qd = q_Qd * width**-0.5
    mixed = []
    for group in queries.groups:
        q_nhmw = in_heads(group.padded_queries(q_Qd), heads)
        k_nhlw, v_nhlw = (in_heads(part, heads) for part in group.padded_keys(keys_and_values_P2d).chunk(2, -1))
        mix = fused if transfer.is_asynchronous(q_Qd.device) else plain
        mixed_nhmw = mix(q_nhmw, k_nhlw, v_nhlw, group, probability if training else 0.0)
        mixed.append(group.unpadded(mixed_nhmw.transpose(1, 2).flatten(2)))
    return torch.cat(mixed) if mixed else q_Qd


def plain(q_nhmw: Tensor, k_nhlw: Tensor, v_nhlw: Tensor, group: RowGroup, probability: float) -> Tensor:
    """softmax(q · k + bias) · v in plain products, shape (n, h, m, w); with cheap dropout, the best on the CPU."""
    if group.is_triangle and not probability and not torch.is_grad_enabled():
        return _in_strips(q_nhmw, k_nhlw, v_nhlw, group.bias_nhml)
    weights_nhml = (q_nhmw @ k_nhlw.transpose(2, 3) + group.bias_nhml).softmax(-1)
    return dropout(weights_nhml, probability, training=True) @ v_nhlw


def _in_strips(q_nhmw: Tensor, k_nhlw: Tensor, v_nhlw: Tensor, bias_nhml: Tensor) -> Tensor:
    """The same of a triangle, of which what is hidden is for the most part not computed."""
    mixed = []
    for start in range(0, q_nhmw.shape[2], _STRIP):
        stop = min(start + _STRIP, q_nhmw.shape[2])
        weights = q_nhmw[:, :, start:stop] @ k_nhlw[:, :, :stop].transpose(2, 3)
        weights[..., start:] += bias_nhml[..., start:stop, start:stop]
        mixed.append(weights.softmax(-1) @ v_nhlw[:, :, :stop])
    return torch.cat(mixed, 2)


def fused(q_nhmw: Tensor, k_nhlw: Tensor, v_nhlw: Tensor, group: RowGroup, probability: float) -> Tensor:
    """The same by torch's kernels, which never store the weights; dropout is torch's own."""
    if group.is_triangle:  # then what is hidden is not even computed
        return scaled_dot_product_attention(q_nhmw, k_nhlw, v_nhlw, None, probability, is_causal=True, scale=1.0)
    # The lowest finite number of a wider type would be −inf in a narrower one, and a row of them NaN.
    lowest = max(torch.finfo(one.dtype).min for one in (group.bias_nhml, q_nhmw))
    mask_nhml = group.bias_nhml.clamp(min=lowest).to(q_nhmw.dtype).expand(*q_nhmw.shape[:3], k_nhlw.shape[2])
    return scaled_dot_product_attention(q_nhmw, k_nhlw, v_nhlw, mask_nhml, probability, scale=1.0)


def in_heads(x_nmd: Tensor, heads: int) -> Tensor:
    """Vectors cut into those of each head, shape (n, h, m, w)."""
    rows, places, _ = x_nmd.shape
    return x_nmd.view(rows, places, heads, -1).transpose(1, 2)
