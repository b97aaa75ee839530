"""One matrix that embeds items and scores them. d width, N items, K candidates."""

from collections.abc import Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextitem.compute import transfer
from nextitem.data.features.table import ItemFeatures
from nextitem.model.batches import MASK, PAD, Sharing
from nextitem.model.items.candidates import is_all_sooner_had, products_with
from nextitem.model.items.content import Content
from nextitem.model.items.head import Headed, HeadedItems
from nextitem.model.layers.twins import Twins


class Tied(Headed):
    """The vectors that are read are those that score; so they are as wide as the encoder's states."""

    name: Literal["tied"] = "tied"

    @property
    def can_shard(self) -> bool:
        """Where there is nothing but vectors."""
        return not (self.bias or self.has_head)

    @property
    def step_copies(self) -> int:
        """The gradient of the look-up; with biases also table and biases side by side, and the gradient of that."""
        return (3 if self.bias else 1) + self.head_copies

    def reason_against(self, dim: int, width: int) -> str | None:
        """Why states and vectors of two widths cannot go with it."""
        if dim == width:
            return None
        return (
            f"items tied score by the vectors that are read, of width {dim}, and the encoder's states have {width}; "
            f"use items=separate"
        )

    def build(
        self,
        number_of_items: int,
        dim: int,
        width: int,
        *,
        has_mask: bool = False,
        content: Content | None = None,
    ) -> "TiedItems | HeadedItems":
        """The table with fresh weights from torch's global generator; `width` is `dim`."""
        table = TiedItems(number_of_items, dim, has_mask=has_mask, has_bias=self.bias, deviation=self.deviation)
        return self.headed(table)


class TiedItems(nn.Module):
    """One matrix that embeds items and scores them; a MASK vector of its own for objectives that hide items.

    With `has_bias` each item has a number that is added to all of its scores. To losses it is one more column of the
    output table, which meets one more column of the states that is 1 (`to_score`); so none of them knows of it.

    Weights start at N(0, deviation²), by default with the reference implementation's 0.02, and biases at 0.
    """

    def __init__(
        self, number_of_items: int, dim: int, *, has_mask: bool = False, has_bias: bool = False, deviation: float = 0.02
    ) -> None:
        super().__init__()
        self.number_of_items = number_of_items
        self.weight_Nd = nn.Parameter(torch.empty(number_of_items, dim).normal_(0.0, deviation))
        self.mask_d = nn.Parameter(torch.empty(dim).normal_(0.0, deviation)) if has_mask else None
        self.bias_N = nn.Parameter(torch.zeros(number_of_items)) if has_bias else None
        self._rows_N: Tensor | None = None  # scratch: what is in it is never relied on
        self._bias_ids_R: Tensor | None = None  # of a narrowed table: the biases that are those of its rows

    @classmethod
    def of(cls, table_Nd: Tensor, mask_d: nn.Parameter | None) -> "TiedItems":
        """Items whose vectors are what was computed of other weights, to which their gradients go on."""
        items = cls(0, table_Nd.shape[1])
        items.number_of_items, items.mask_d = len(table_Nd), mask_d
        del items.weight_Nd
        items.weight_Nd = cast(nn.Parameter, table_Nd)
        return items

    @property
    def state_width(self) -> int:
        """That of the table, and one more for biases."""
        return self.weight_Nd.shape[1] + (self.bias_N is not None)

    def made(self) -> "TiedItems":
        """The table itself."""
        return self

    def embed(self, ids: Tensor) -> Tensor:
        """Vectors of `ids` as (..., d): zero for PAD, the mask vector for MASK, which needs `has_mask`."""
        if transfer.is_asynchronous(ids.device):  # there places would have to be waited for
            embeddings = F.embedding(ids.clamp_min(0), self.weight_Nd)
            if self.mask_d is not None:
                embeddings = torch.where((ids == MASK)[..., None], self.mask_d, embeddings)
            return embeddings * (ids != PAD)[..., None]
        # Most places of a batch are padding, and looking that up costs as much as an item.
        flat = ids.flatten()
        places = (flat >= 0).nonzero()[:, 0]
        if len(places) == len(flat):
            return F.embedding(ids, self.weight_Nd)
        embeddings = self.weight_Nd.new_zeros(len(flat), self.weight_Nd.shape[1])
        embeddings.index_copy_(0, places, F.embedding(flat[places], self.weight_Nd))
        if self.mask_d is not None:
            places = (flat == MASK).nonzero()[:, 0]
            embeddings = embeddings.index_copy(0, places, self.mask_d.expand(len(places), -1))
        return embeddings.view(*ids.shape, -1)

    def count(self, counts_N: Tensor) -> None:
        """Nothing here is counted."""

    def narrowed(self, ids: Tensor) -> "tuple[TiedItems, Tensor, Tensor]":
        """(a table of the R distinct rows among `ids` as weights of their own, their ids ascending, each id's row).

        Nothing of length N is read or written, unless there are biases: they and MASK are shared with this table.
        """
        if self._rows_N is None or self._rows_N.device != ids.device:
            # Not yet memory: the system gives it page by page.
            self._rows_N = torch.empty(self.number_of_items, dtype=torch.int64, device=ids.device)
        # Whichever of equal ids is written last is the one that finds its own number again.
        numbers = torch.arange(len(ids), device=ids.device)
        self._rows_N[ids] = numbers
        ids_R = ids[self._rows_N[ids] == numbers].sort().values
        self._rows_N[ids_R] = torch.arange(len(ids_R), device=ids.device)
        narrow = TiedItems(0, self.weight_Nd.shape[1])
        narrow.number_of_items, narrow.mask_d = self.number_of_items, self.mask_d
        narrow.bias_N, narrow._bias_ids_R = self.bias_N, ids_R
        narrow.weight_Nd = nn.Parameter(self.weight_Nd.detach().index_select(0, ids_R))
        return narrow, ids_R, self._rows_N[ids]

    def rows(self) -> dict[str, Tensor]:
        """The vectors, and the biases where there are any."""
        found = {"weight_Nd": self.weight_Nd, "bias_N": self.bias_N}
        return {name: rows.detach() for name, rows in found.items() if rows is not None}

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> None:
        """None: nothing is learnt of features."""
        return

    def grown(self, more: Mapping[str, Tensor]) -> "TiedItems":
        """The table with M more items, whose `rows` these are; MASK is shared with this one."""
        grown = TiedItems(0, self.weight_Nd.shape[1])
        grown.number_of_items, grown.mask_d = self.number_of_items + len(more["weight_Nd"]), self.mask_d
        grown.weight_Nd = nn.Parameter(torch.cat([self.weight_Nd.detach(), more["weight_Nd"]]))
        if self.bias_N is not None:
            grown.bias_N = nn.Parameter(torch.cat([self.bias_N.detach(), more["bias_N"]]))
        return grown

    def to_score(self, states_Td: Tensor) -> Tensor:
        """States as the scores take them, shape (T, e): with a column of ones where items have a bias."""
        return states_Td if self.bias_N is None else F.pad(states_Td, (0, 1), value=1.0)

    def scores(self, states_Be: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (B, stop − start)."""
        vectors = self.weight_Nd[start:stop]
        if self.bias_N is not None:
            return torch.addmm(self.bias_N[start:stop], states_Be[:, :-1], vectors.T)
        return states_Be @ vectors.T

    def candidate_scores(self, states_Te: Tensor, ids: Tensor, sharing: Sharing, rows_T: Tensor) -> Tensor:
        """Scores of candidates, shape (T, K), as dot products of states and rows of the output table."""
        number_of_items, width = self.weight_Nd.shape
        if sharing == "position" and is_all_sooner_had(number_of_items, ids.shape[1], width):
            return (states_Te @ self.output_table().T).gather(1, ids)
        vectors = F.embedding(ids, self.weight_Nd)
        if self.bias_N is not None:
            vectors = torch.cat([vectors, F.embedding(ids, self._of_rows(self.bias_N)[:, None])], -1)
        return products_with(states_Te, vectors, sharing, rows_T)

    def item_vectors(self) -> Tensor:
        """The matrix (N, d) itself."""
        return self.weight_Nd

    def twins(self) -> Twins:
        """Items of equal vectors, and of equal biases where there are any."""
        return Twins.among(self.weight_Nd, self.bias_N)

    def output_table(self) -> Tensor:
        """The matrix (N, d) itself; where items have a bias, (N, d + 1) with it as the last column."""
        if self.bias_N is None:
            return self.weight_Nd
        return torch.cat([self.weight_Nd, self._of_rows(self.bias_N)[:, None]], 1)

    def _of_rows(self, bias_N: Tensor) -> Tensor:
        return bias_N if self._bias_ids_R is None else bias_N.index_select(0, self._bias_ids_R)
