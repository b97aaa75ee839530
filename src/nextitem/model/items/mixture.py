"""An item table whose scores are mixtures of cosines: a state and an item have several vectors each (MoL).

B states, T targets, K candidates, N items, I items of a chunk; P = S · X pairs of one of S components of a state with
one of X components of an item, c numbers of a component.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ConfigurationError
from nextitem.model.batches import FLOAT_BYTES, Sharing
from nextitem.model.items.content import Content
from nextitem.model.items.table import Items
from nextitem.model.items.tied import TiedItems
from nextitem.model.layers.kept import Kept
from nextitem.model.layers.twins import Twins

_BLOCK_BYTES = 1 << 25  # of what is made of pairs at a time, so that it stays near a cache
_GATE = 16.0  # what either side of a gate is at most: e⁻⁶⁴, the smallest term of two products, still is a float32

Gate = Literal["apart", "crossed"]


class Mixture(Items):
    """Scores are cosines of several components of state and item, mixed by a gate that sees both (Zhai et al., 2023).

    States and vectors may be of different widths: what is compared are projections of them.
    """

    name: Literal["mixture"] = "mixture"
    is_product: ClassVar[bool] = False
    state_components: int = Field(4, ge=1)
    """Vectors that a state has."""
    item_components: int = Field(4, ge=1)
    """Vectors that an item has; every one meets every one of the state."""
    component_dim: int = Field(16, ge=1)
    """Numbers of such a vector."""
    temperature: float = Field(0.05, gt=0.0)
    """By which the cosines are divided."""
    gate: Gate = "apart"
    """How the pairs of components are weighed: by what the state says and what the item says, added, which is fast; or
    `crossed`, by the product of both and what the cosines themselves say, as published."""

    @property
    def pairs(self) -> int:
        """Pairs of components."""
        return self.state_components * self.item_components

    def scored_width(self, width: int) -> int:
        """All components of a state with their gates, laid out as the scores take them."""
        return _laid_out(self.state_components, self.item_components, self.component_dim, self.gate)

    def pair_bytes(self) -> int:
        """Numerator, denominator and quotient, or every cosine with its gate, of a state and an item; and gradients."""
        return (6 if self.gate == "apart" else 8 * self.pairs) * FLOAT_BYTES

    def lookup_bytes(self, columns: int, number_of_items: int, dim: int, width: int) -> int:
        """What a position takes to score so many candidates of its own: their rows, and what is made of the pairs."""
        return columns * (3 * width * FLOAT_BYTES + self.pair_bytes())

    def flops(self, dim: int) -> int:
        """Of a score, forward and backward."""
        crossed = self.pairs * (self.component_dim + self.pairs)
        return 6 * (self.pairs * (self.component_dim + 1) if self.gate == "apart" else crossed)

    def build(
        self,
        number_of_items: int,
        dim: int,
        width: int,
        *,
        has_mask: bool = False,
        content: Content | None = None,
    ) -> "MixtureItems":
        """The table, the projections and the gates with fresh weights from torch's global generator."""
        sizes = self.state_components, self.item_components, self.component_dim
        table = TiedItems(number_of_items, dim, has_mask=has_mask)
        components = Components(dim, width, sizes, self.temperature, self.gate)
        return MixtureItems(table, components, self.pair_bytes())


def _laid_out(states: int, items: int, dim: int, gate: Gate) -> int:
    return states * items * (dim + 1) if gate == "apart" else max(states, items) * dim + states * items


class Components(nn.Module):
    """The score of a state u and an item x, after Zhai et al. (KDD 2023, arXiv 2306.04039, section 3.1).

    φ(u, x) = Σ_p π_p(u, x) · cos(f_s(u), g_i(x)) / τ over all pairs p = (s, i) of components; π is a softmax over p:

    - `crossed`: of silu(a_p(u) · b_p(x) + w_p·cosines + w₀), the gate of HSTU's retrieval (arXiv 2407.13218, and
      Ding & Zhai, 2024), but with linear maps a and b in place of networks of one hidden layer, and without dropout;
    - `apart`: of a_p(u) + b_p(x), another of their forms, without the cosines. Then e^(a + b) = e^a · e^b, and φ is
      the quotient of two products: of width P·c with the components weighed, and of width P with the gates alone. So
      nothing of P values exists for a pair of state and item. Each of a and b is bounded by ±16, smoothly, so that no
      denominator is 0.
    """

    def __init__(self, dim: int, width: int, sizes: tuple[int, int, int], temperature: float, gate: Gate) -> None:
        super().__init__()
        self.sizes, self.temperature, self.gate = sizes, temperature, gate
        states, items, numbers = sizes
        self.of_state, self.of_item = nn.Linear(width, states * numbers), nn.Linear(dim, items * numbers)
        self.gate_of_state, self.gate_of_item = nn.Linear(width, states * items), nn.Linear(dim, states * items)
        self.crossing = nn.Linear(states * items, states * items) if gate == "crossed" else None
        for layer in (self.of_state, self.of_item, self.gate_of_state, self.gate_of_item, self.crossing):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    @property
    def width(self) -> int:
        """Of a state or an item as they are laid out to be scored."""
        return _laid_out(*self.sizes, self.gate)

    def states(self, states_Td: Tensor) -> Tensor:
        """Components, divided by the temperature, and gates of states, laid out, shape (T, e)."""
        states, items, numbers = self.sizes
        found = F.normalize(self.of_state(states_Td).unflatten(1, (states, numbers)), dim=2) / self.temperature
        return self._laid(found, found.repeat_interleave(items, 1), self.gate_of_state(states_Td))

    def items(self, vectors_Nd: Tensor) -> Tensor:
        """Components and gates of items, laid out, shape (N, e)."""
        states, items, numbers = self.sizes
        found = F.normalize(self.of_item(vectors_Nd).unflatten(1, (items, numbers)), dim=2)
        return self._laid(found, found.repeat(1, states, 1), self.gate_of_item(vectors_Nd))

    def _laid(self, found: Tensor, paired_TPc: Tensor, gates_TP: Tensor) -> Tensor:
        """What of a side its scores take: gates last; before them each pair's component, weighed, or all components."""
        if self.gate == "apart":
            shares_TP = (_GATE * torch.tanh(gates_TP / _GATE)).softmax(1)
            return torch.cat([(paired_TPc * shares_TP[:, :, None]).flatten(1), shares_TP], 1)
        spare = self.width - found[0].numel() - gates_TP.shape[1]
        return torch.cat([F.pad(found.flatten(1), (0, spare)), gates_TP], 1)

    def forward(self, states_Te: Tensor, rows: Tensor) -> Tensor:
        """Scores of each state and all items whose `rows` are (K, e), or its own where they are (T, K, e): (T, K)."""
        pairs = self.sizes[0] * self.sizes[1]
        components_T, gates_TP = states_Te.split([self.width - pairs, pairs], 1)
        components, gates = rows.split([self.width - pairs, pairs], -1)
        if self.crossing is None:
            return _products(components_T, components) / _products(gates_TP, gates)
        states, items, numbers = self.sizes
        f_Tsc = components_T[:, : states * numbers].unflatten(1, (states, numbers))
        g_ic = components[..., : items * numbers].unflatten(-1, (items, numbers))
        which = "tsc,kic->tksi" if rows.ndim == 2 else "tsc,tkic->tksi"
        logits_TKP = torch.einsum(which, f_Tsc, g_ic).flatten(2)
        mixed_TKP = F.silu(gates_TP[:, None] * gates + self.crossing(logits_TKP)).softmax(2)
        return (mixed_TKP * logits_TKP).sum(2)


def _products(states_Te: Tensor, rows: Tensor) -> Tensor:
    return states_Te @ rows.T if rows.ndim == 2 else torch.bmm(rows, states_Te[:, :, None])[:, :, 0]


class MixtureItems(nn.Module):
    """An item table whose scores are mixtures of cosines of projections of states and vectors."""

    def __init__(self, table: TiedItems, components: Components, pair_bytes: int) -> None:
        super().__init__()
        self.table, self.components, self.pair_bytes = table, components, pair_bytes
        self.number_of_items = table.number_of_items
        self._kept = Kept[Tensor]()

    @property
    def weight_Nd(self) -> nn.Parameter:
        """The vectors of the items, shape (N, d)."""
        return self.table.weight_Nd

    @property
    def state_width(self) -> int:
        """Of components and gates, laid out."""
        return self.components.width

    def made(self) -> "MixtureItems":
        """The table itself."""
        return self

    def embed(self, ids: Tensor) -> Tensor:
        """Vectors of `ids` as (…, d); zero for PAD."""
        return self.table.embed(ids)

    def to_score(self, states_Td: Tensor) -> Tensor:
        """Components and gates of states, shape (T, e)."""
        return self.components.states(states_Td)

    def scored_rows(self) -> Tensor:
        """Components and gates of all items, shape (N, e)."""
        return self.components.items(self.weight_Nd)

    def pair_scores(self, states_Te: Tensor, rows_Ie: Tensor) -> Tensor:
        """Scores of all these states and items, shape (T, I)."""
        scores: Tensor = self.components(states_Te, rows_Ie)
        return scores

    def scores(self, states_Be: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (B, stop − start), a chunk of items at a time."""
        if torch.compiler.is_exporting():  # how many states there will be is not known
            return self.pair_scores(states_Be, self._rows_Ne()[start:stop])
        chunks = self._rows_Ne()[start:stop].split(max(1, _BLOCK_BYTES // (max(1, len(states_Be)) * self.pair_bytes)))
        return torch.cat([self.pair_scores(states_Be, rows_Ie) for rows_Ie in chunks], 1)

    def candidate_scores(self, states_Te: Tensor, ids: Tensor, sharing: Sharing, rows_T: Tensor) -> Tensor:
        """Scores of candidates, shape (T, K); `sharing` says whether ids are (T, K), (B, K) or (K,)."""
        rows_Ne = self._rows_Ne()
        if sharing == "position":
            scores: Tensor = self.components(states_Te, F.embedding(ids, rows_Ne))
            return scores
        if sharing == "batch":
            return self._in_blocks(states_Te, F.embedding(ids, rows_Ne))
        counts = torch.bincount(rows_T, minlength=len(ids)).tolist()
        parts = [
            self._in_blocks(own_ne, F.embedding(ids_K, rows_Ne))
            for own_ne, ids_K in zip(states_Te.split(counts), ids, strict=True)
        ]
        return torch.cat(parts)

    def _in_blocks(self, states_Te: Tensor, rows_Ke: Tensor) -> Tensor:
        """Scores by blocks of states; what a block makes of its pairs is made again for its gradient, not kept."""
        blocks = states_Te.split(max(1, _BLOCK_BYTES // (max(1, len(rows_Ke)) * self.pair_bytes)))
        return torch.cat(
            [
                checkpoint(self.pair_scores, block, rows_Ke, use_reentrant=False, preserve_rng_state=False)
                for block in blocks
            ]
        )

    def item_vectors(self) -> Tensor:
        """All components of each item side by side, without gates, shape (N, X · c): a cosine is the mean of theirs."""
        numbers = self.components.sizes[1:]
        found = self.components.of_item(self.weight_Nd).unflatten(1, numbers)
        return F.normalize(found, dim=2).flatten(1)

    def twins(self) -> Twins:
        """Items of equal vectors."""
        return self.table.twins()

    def output_table(self) -> Tensor:
        """There is none. Raises ConfigurationError."""
        raise ConfigurationError(
            "items mixture score by several components and a gate, and have no table to multiply with; where a "
            "loss asks for no pairs, use loss=binary_cross_entropy with negatives.sharing=position"
        )

    def count(self, counts_N: Tensor) -> None:
        """Nothing here is counted."""

    def narrowed(self, ids: Tensor) -> "tuple[MixtureItems, Tensor, Tensor]":
        """(that of the R distinct rows among `ids`, their ids ascending, each id's row); projections are shared."""
        table, ids_R, rows = self.table.narrowed(ids)
        return MixtureItems(table, self.components, self.pair_bytes), ids_R, rows

    def rows(self) -> dict[str, Tensor]:
        """The vectors."""
        return {f"table.{name}": rows for name, rows in self.table.rows().items()}

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> None:
        """None: nothing is learnt of features."""
        return

    def grown(self, more: Mapping[str, Tensor]) -> "MixtureItems":
        """The table with M more items, whose `rows` these are; projections are shared with this one."""
        table = self.table.grown({"weight_Nd": more["table.weight_Nd"]})
        return MixtureItems(table, self.components, self.pair_bytes)

    def _rows_Ne(self) -> Tensor:
        return self._kept.of(self, self.scored_rows)
