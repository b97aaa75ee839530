"""What an exported file computes: the best items after histories. B rows, L length, H hidden, k best, N items."""

import torch
from torch import Tensor, nn

from nextitem.model.batches import MASK, PAD, Batch
from nextitem.model.model import SequenceModel


class Network(nn.Module):
    """(items_Bk, scores_Bk) of histories, best first: a model without anything that is looked up by raw ids."""

    def __init__(self, model: SequenceModel, k: int, is_out_N: Tensor | None = None) -> None:
        """`is_out_N` says which items are in no list, whatever is hidden; None: none of them."""
        super().__init__()
        self.model, self.k = model, k
        self.register_buffer("is_out_N", is_out_N, persistent=False)
        self.asks_by_mask = model.objective.needs_mask and not model.objective.needs_causal
        self.most = model.objective.maximum_length - self.asks_by_mask
        """L at most: the events that the model reads."""

    def forward(self, history_BL: Tensor, hidden_BH: Tensor) -> tuple[Tensor, Tensor]:
        """The best items after `history_BL` (oldest first, −1 behind the newest), of which none is in `hidden_BH`.

        −1 in `hidden_BH` hides nothing. An item is −1, and its score −inf, where fewer than k are left.
        """
        states_Be = self.model.states(self._query(history_BL))
        scores_BN = self.model.items.scores(states_Be, 0, self.model.items.number_of_items)
        if isinstance(self.is_out_N, Tensor):
            scores_BN = scores_BN.masked_fill(self.is_out_N, -torch.inf)
        spare_BN = nn.functional.pad(scores_BN, (0, 1))  # one more column for what hides nothing
        columns_BH = torch.where(hidden_BH < 0, scores_BN.shape[1], hidden_BH)
        shown_BN = spare_BN.scatter(1, columns_BH, -torch.inf)[:, :-1]
        scores_Bk, items_Bk = shown_BN.topk(self.k, dim=1)
        return torch.where(scores_Bk == -torch.inf, -1, items_Bk), scores_Bk

    def _query(self, history_BL: Tensor) -> Batch:
        """The histories as the objective asks about them."""
        lengths_B = (history_BL >= 0).sum(1)
        inputs_BL = torch.where(history_BL >= 0, history_BL, PAD)
        if self.asks_by_mask:
            room_BL = nn.functional.pad(inputs_BL, (0, 1), value=PAD)
            columns_L = torch.arange(room_BL.shape[1])
            inputs_BL, lengths_B = torch.where(columns_L == lengths_B[:, None], MASK, room_BL), lengths_B + 1
        rows_B = torch.arange(inputs_BL.shape[0])
        positions_B = rows_B * inputs_BL.shape[1] + lengths_B - 1
        return Batch(
            inputs_BL, lengths_B, positions_B, torch.full_like(rows_B, -1), rows_B, torch.full_like(rows_B, -1)
        )
