"""The reference: SASRec+ and BERT4Rec as textbooks train them, everything padded to L and B·L × N logits.

B rows, L length, N items, d width. Item 0 is padding; for BERT4Rec item N + 1 is the mask. Same widths, blocks, heads,
windows and share of masked items as the recipes `sasrec-ce` and `bert4rec`; plain torch, and nothing of the package.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IGNORED = -100


class PaddedModel(nn.Module):
    """Embeddings, torch's own transformer layers, and a product with the item table."""

    def __init__(self, items: int, width: int, length: int, *, is_causal: bool) -> None:
        super().__init__()
        self.items, self.is_causal = items, is_causal
        self.table = nn.Embedding(items + 1 + (not is_causal), width, padding_idx=0)
        self.positions = nn.Embedding(length, width)
        heads, inner, activation = (1, width, "relu") if is_causal else (2, 4 * width, "gelu")
        layer = nn.TransformerEncoderLayer(width, heads, inner, 0.1, activation, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.dropout = nn.Dropout(0.1)
        nn.init.normal_(self.table.weight, 0.0, 0.02)

    def forward(self, inputs_BL: Tensor) -> Tensor:
        """Logits (B, L, N + 1); item 0 is padding."""
        length = inputs_BL.shape[1]
        x_BLd = self.dropout(self.table(inputs_BL) + self.positions.weight[:length])
        is_future_LL = torch.ones(length, length, dtype=torch.bool).triu_(1) if self.is_causal else None
        # Right-padded and causal: no real position sees a padded one. Both ways the pads have to be hidden.
        is_pad_BL = None if self.is_causal else inputs_BL == 0
        states_BLd = self.layers(x_BLd, mask=is_future_LL, src_key_padding_mask=is_pad_BL)
        return states_BLd @ self.table.weight[: self.items + 1].T


def padded_rows(windows: list[list[int]], length: int) -> Tensor:
    """Windows of item indices as rows (B, L) of ids from 1, 0 after the end."""
    rows_BL = torch.zeros(len(windows), length, dtype=torch.int64)
    for row, window in zip(rows_BL, windows, strict=True):
        row[: len(window)] = torch.tensor(window) + 1
    return rows_BL


def inputs_and_labels(windows: list[list[int]], length: int, items: int, *, is_causal: bool) -> tuple[Tensor, Tensor]:
    """(inputs, labels), both (B, L); a label of −100 does not count."""
    if is_causal:
        rows = padded_rows(windows, length + 1)
        return rows[:, :-1], rows[:, 1:].masked_fill(rows[:, 1:] == 0, IGNORED)
    rows = padded_rows(windows, length)
    is_hidden = (torch.rand(rows.shape) < 0.2) & (rows > 0)
    is_hidden[:, 0] |= ~is_hidden.any(1)  # a row has at least one
    return rows.masked_fill(is_hidden, items + 1), rows.masked_fill(~is_hidden, IGNORED)


def step(model: PaddedModel, optimiser: torch.optim.Optimizer, inputs_BL: Tensor, labels_BL: Tensor) -> None:
    """One training step."""
    optimiser.zero_grad()
    F.cross_entropy(model(inputs_BL).flatten(0, 1), labels_BL.flatten(), ignore_index=IGNORED).backward()
    optimiser.step()
