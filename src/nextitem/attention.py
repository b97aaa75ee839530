"""Multi-head scaled dot-product attention over packed positions (Vaswani et al., NeurIPS 2017).

P positions, Q of them that ask, d width; within a group n rows, h heads, m queries, l keys, w = d / h.
"""

import torch
from torch import Tensor

from nextitem.dropout import dropout
from nextitem.packing import Queries


def attend(
    q_Qd: Tensor, keys_and_values_P2d: Tensor, queries: Queries, heads: int, probability: float, *, training: bool
) -> Tensor:
    """What each query mixes of the values it sees, shape (Q, d); dropout with `probability` on the weights."""
    width = q_Qd.shape[1] // heads
    q_Qd = q_Qd * width**-0.5
    mixed = []
    for group in queries.groups:
        q_nhmw = _heads(group.padded_queries(q_Qd), heads)
        k_nhlw, v_nhlw = (_heads(part, heads) for part in group.padded_keys(keys_and_values_P2d).chunk(2, -1))
        weights_nhml = (q_nhmw @ k_nhlw.transpose(2, 3) + group.bias_nhml).softmax(-1)
        mixed_nhmw = dropout(weights_nhml, probability, training=training) @ v_nhlw
        mixed.append(group.unpadded(mixed_nhmw.transpose(1, 2).flatten(2)))
    return torch.cat(mixed) if mixed else q_Qd


def _heads(x_nmd: Tensor, heads: int) -> Tensor:
    rows, places, _ = x_nmd.shape
    return x_nmd.view(rows, places, heads, -1).transpose(1, 2)
