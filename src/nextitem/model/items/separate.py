"""One matrix that embeds items and another that scores them. d width, e output width, N items, K candidates."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ConfigurationError
from nextitem.model.batches import Sharing
from nextitem.model.items.content import Content
from nextitem.model.items.head import Headed, HeadedItems
from nextitem.model.items.table import ItemTable
from nextitem.model.items.tied import TiedItems
from nextitem.model.layers.twins import Twins


class Separate(Headed):
    """Items are read from one table and scored by another, of whatever width the encoder's states have."""

    name: Literal["separate"] = "separate"
    can_narrow: ClassVar[bool] = False

    @property
    def step_copies(self) -> int:
        """None by itself: the gradient of the look-up and that of the scores are of two tables."""
        return self.head_copies

    def build(
        self,
        number_of_items: int,
        dim: int,
        width: int,
        *,
        has_mask: bool = False,
        content: Content | None = None,
    ) -> "SeparateItems | HeadedItems":
        """Both tables with fresh weights from torch's global generator."""
        table = SeparateItems(
            number_of_items, dim, width, has_mask=has_mask, has_bias=self.bias, deviation=self.deviation
        )
        return self.headed(table)


class SeparateItems(nn.Module):
    """One matrix that embeds items and another, of the width of the encoder's states, that scores them.

    With `has_bias` each item has a number that is added to all of its scores. It is the last column of the output
    table, which meets one more column of the states that is 1 (`to_score`); so no loss knows of it.

    Weights start at N(0, deviation²), biases at 0.
    """

    def __init__(
        self,
        number_of_items: int,
        dim: int,
        width: int,
        *,
        has_mask: bool = False,
        has_bias: bool = False,
        deviation: float = 0.02,
    ) -> None:
        super().__init__()
        self.number_of_items, self.has_bias = number_of_items, has_bias
        self.inputs = TiedItems(number_of_items, dim, has_mask=has_mask, deviation=deviation)
        self.outputs = TiedItems(number_of_items, width + has_bias, deviation=deviation)
        if has_bias:
            with torch.no_grad():
                self.outputs.weight_Nd[:, -1] = 0.0

    @property
    def weight_Nd(self) -> nn.Parameter:
        """The matrix that embeds items."""
        return self.inputs.weight_Nd

    @property
    def state_width(self) -> int:
        """That of the output table."""
        return self.outputs.state_width

    def made(self) -> "SeparateItems":
        """The table itself."""
        return self

    def embed(self, ids: Tensor) -> Tensor:
        """Vectors of `ids` as (..., d), as `TiedItems` has them."""
        return self.inputs.embed(ids)

    def to_score(self, states_Te: Tensor) -> Tensor:
        """The states, with a column of ones where items have a bias."""
        return F.pad(states_Te, (0, 1), value=1.0) if self.has_bias else states_Te

    def scores(self, states_Be: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (B, stop − start)."""
        return self.outputs.scores(states_Be, start, stop)

    def candidate_scores(self, states_Te: Tensor, ids: Tensor, sharing: Sharing, rows_T: Tensor) -> Tensor:
        """Scores of candidates, shape (T, K), as dot products of states and rows of the output table."""
        return self.outputs.candidate_scores(states_Te, ids, sharing, rows_T)

    def item_vectors(self) -> Tensor:
        """The vectors that score, shape (N, e − 1) where a bias is their last number, else (N, e)."""
        vectors_Ne: Tensor = self.outputs.weight_Nd
        return vectors_Ne[:, :-1] if self.has_bias else vectors_Ne

    def twins(self) -> Twins:
        """Items of equal output vectors, however they are read."""
        return self.outputs.twins()

    def output_table(self) -> Tensor:
        """The matrix (N, e) of output vectors; the biases are its last column."""
        return self.outputs.weight_Nd

    def count(self, counts_N: Tensor) -> None:
        """Nothing here is counted."""

    def narrowed(self, ids: Tensor) -> "tuple[ItemTable, Tensor, Tensor]":
        """Raises ConfigurationError: a step would have to move rows of two tables."""
        raise ConfigurationError("a separate output table is trained as a whole; set training.item_rows=all")

    def rows(self) -> dict[str, Tensor]:
        """The rows of both tables; the biases are in those of the outputs."""
        return {f"{name}.weight_Nd": table.weight_Nd.detach() for name, table in self._tables().items()}

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> None:
        """None: nothing is learnt of features."""
        return

    def grown(self, more: Mapping[str, Tensor]) -> "SeparateItems":
        """Both tables with M more items, whose `rows` these are; MASK is shared with this one."""
        grown = SeparateItems(0, self.inputs.weight_Nd.shape[1], self.outputs.weight_Nd.shape[1])
        grown.has_bias = self.has_bias
        grown.inputs, grown.outputs = (
            table.grown({"weight_Nd": more[f"{name}.weight_Nd"]}) for name, table in self._tables().items()
        )
        grown.number_of_items = grown.inputs.number_of_items
        return grown

    def _tables(self) -> dict[str, TiedItems]:
        return {"inputs": self.inputs, "outputs": self.outputs}
