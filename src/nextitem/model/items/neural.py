"""An item table whose scores are no products: a network judges each pair of a state and an item (NeuMF).

B rows, T targets, K candidates, N items, I items of a chunk, e = f + h: f factors, and h numbers for the network, half
of its input.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import embedding, linear

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ConfigurationError
from nextitem.model.batches import FLOAT_BYTES, Sharing
from nextitem.model.items.content import Content
from nextitem.model.items.table import Items
from nextitem.model.items.tied import TiedItems
from nextitem.model.layers.twins import Twins

_PAIRS = 1 << 16  # of states and items that the network judges at a time over the catalogue


class Neural(Items):
    """A network judges each pair of a state and an item, beside the product of their factors (He et al., WWW 2017).

    Vectors and states are as wide as the factors f and half of the network's input together: `encoder.dim` decides f.
    """

    name: Literal["neural"] = "neural"
    is_product: ClassVar[bool] = False
    needs_own_negatives: ClassVar[bool] = True
    layers: tuple[int, ...] = Field((64, 32, 16, 8), min_length=2, max_length=64)
    """Widths of the network: its input, half from the state and half from the item, and each hidden layer."""

    @field_validator("layers")
    @classmethod
    def _input_has_two_halves(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if min(layers) < 1 or layers[0] % 2:
            raise ValueError(f"widths are at least 1, and the first is even: it is shared by state and item; {layers}")
        return layers

    def reason_against(self, dim: int, width: int) -> str | None:
        """Why vectors of two widths cannot be multiplied, or why nothing of them would be left to multiply."""
        if dim != width:
            return (
                f"items neural multiply factors of a state with those of an item, so both are of one width; vectors "
                f"have {dim} and the encoder's states {width}; use items=separate"
            )
        if dim <= self.layers[0] // 2:
            return (
                f"the network's input takes {self.layers[0] // 2} numbers of a vector, half of items.layers[0], and "
                f"encoder.dim={dim} leaves no factors beside them; raise encoder.dim, or lower items.layers[0]"
            )
        return None

    def lookup_bytes(self, columns: int, number_of_items: int, dim: int, width: int) -> int:
        """What a position takes to score so many candidates of its own: vectors, and what each layer answers.

        Of both there are gradients. Within 6 % of what steps of 400,000 pairs were measured to take.
        """
        answers = 2 * columns * sum(self.layers[1:]) * FLOAT_BYTES
        return super().lookup_bytes(columns, number_of_items, dim, width) + answers

    def flops(self, dim: int) -> int:
        """Of a score, forward and backward: the product of factors, and every weight that an item's half meets."""
        own, *hidden = self.layers[0] // 2, *self.layers[1:]
        weights = sum(before * after for before, after in pairwise((own, *hidden)))
        return 6 * (dim - own + weights + hidden[-1])

    def build(
        self,
        number_of_items: int,
        dim: int,
        width: int,
        *,
        has_mask: bool = False,
        content: Content | None = None,
    ) -> "NeuralItems":
        """The table and the network with fresh weights from torch's global generator; `width` is `dim`."""
        table = TiedItems(number_of_items, dim, has_mask=has_mask)
        with torch.no_grad():
            table.weight_Nd.mul_(0.5)  # He et al. start at N(0, 0.01²), a table at twice that
        return NeuralItems(table, PairNetwork(dim - self.layers[0] // 2, self.layers))


class PairNetwork(nn.Module):
    """The score of a pair: a linear layer over the product of both factors and the last layer of a network."""

    def __init__(self, factors: int, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.factors, self.own = factors, layers[0] // 2
        hidden = [nn.Linear(before, after) for before, after in pairwise(layers)]
        self.layers = nn.ModuleList(hidden)
        self.output = nn.Linear(factors + layers[-1], 1)
        # As the authors' code draws them: Glorot's range, and for the output LeCun's √(3/inputs).
        for layer in hidden:
            nn.init.xavier_uniform_(layer.weight)
        nn.init.kaiming_uniform_(self.output.weight, nonlinearity="linear")
        for layer in (*hidden, self.output):
            nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor, vectors: Tensor) -> Tensor:
        """Scores of the shape that the leading dimensions of both (…, e) broadcast to."""
        first: nn.Linear = self.layers[0]  # type: ignore[assignment]
        # The first layer acts on each half apart, so that a user is not multiplied once per item.
        of_user = linear(states[..., self.factors :], first.weight[:, : self.own], first.bias)
        hidden = (of_user + linear(vectors[..., self.factors :], first.weight[:, self.own :])).relu()
        for layer in self.layers[1:]:
            hidden = layer(hidden).relu()
        weight = self.output.weight[0]
        product = (states[..., : self.factors] * weight[: self.factors]) * vectors[..., : self.factors]
        return product.sum(-1) + hidden @ weight[self.factors :] + self.output.bias


class NeuralItems(nn.Module):
    """An item table whose scores are no product: a network judges each pair of state and item."""

    def __init__(self, table: TiedItems, network: PairNetwork) -> None:
        super().__init__()
        self.table, self.network = table, network
        self.number_of_items = table.number_of_items

    @property
    def weight_Nd(self) -> nn.Parameter:
        """The vectors of the items, shape (N, e)."""
        return self.table.weight_Nd

    @property
    def state_width(self) -> int:
        """That of the table."""
        return self.weight_Nd.shape[1]

    def made(self) -> "NeuralItems":
        """The table itself."""
        return self

    def embed(self, ids: Tensor) -> Tensor:
        """Vectors of `ids` as (…, e); zero for PAD."""
        return self.table.embed(ids)

    def to_score(self, states_Td: Tensor) -> Tensor:
        """The states themselves."""
        return states_Td

    def scores(self, states_Be: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (B, stop − start), a chunk of items at a time."""
        chunks = self.weight_Nd[start:stop].split(max(1, _PAIRS // max(1, len(states_Be))))
        return torch.cat([self.network(states_Be[:, None], vectors_Ie) for vectors_Ie in chunks], 1)

    def candidate_scores(self, states_Te: Tensor, ids: Tensor, sharing: Sharing, rows_T: Tensor) -> Tensor:
        """Scores of candidates, shape (T, K); `sharing` says whether ids are (T, K), (B, K) or (K,)."""
        vectors = embedding(ids[rows_T] if sharing == "sequence" else ids, self.weight_Nd)
        scores: Tensor = self.network(states_Te[:, None], vectors)
        return scores

    def item_vectors(self) -> Tensor:
        """The vectors that the network judges beside a state, shape (N, e)."""
        return self.weight_Nd

    def twins(self) -> Twins:
        """Items of equal vectors."""
        return self.table.twins()

    def output_table(self) -> Tensor:
        """There is none. Raises ConfigurationError."""
        raise ConfigurationError(
            "items neural are scored by a network, so a loss over the whole catalogue has no table to multiply with; "
            "use loss=binary_cross_entropy with negatives.sharing=position"
        )

    def count(self, counts_N: Tensor) -> None:
        """Nothing here is counted."""

    def narrowed(self, ids: Tensor) -> "tuple[NeuralItems, Tensor, Tensor]":
        """(the table of the R distinct rows among `ids`, their ids ascending, each id's row); the network is shared."""
        table, ids_R, rows = self.table.narrowed(ids)
        return NeuralItems(table, self.network), ids_R, rows

    def rows(self) -> dict[str, Tensor]:
        """The vectors."""
        return {f"table.{name}": rows for name, rows in self.table.rows().items()}

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> None:
        """None: nothing is learnt of features."""
        return

    def grown(self, more: Mapping[str, Tensor]) -> "NeuralItems":
        """The table with M more items, whose `rows` these are; the network is shared with this one."""
        return NeuralItems(self.table.grown({"weight_Nd": more["table.weight_Nd"]}), self.network)
