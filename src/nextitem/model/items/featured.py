"""An item table whose rows are made of ids and of what is known of the items. d width, N items, M new ones.

V categories, K of them at most of an item, F numbers.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, NoReturn

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ConfigurationError
from nextitem.model.batches import Sharing
from nextitem.model.items.content import NAMES, Content
from nextitem.model.items.table import Items
from nextitem.model.items.tied import TiedItems
from nextitem.model.layers.kept import Kept
from nextitem.model.layers.twins import Twins


class Featured(Items):
    """Rows are made of ids, categories, numbers and given vectors; so an item without events has one by its features.

    The content of item i is c_i = Σ_f mean over its categories of column f of their vectors + W x_i, where x_i are its
    standardised numbers and its given vectors. With `combination` sum its row is id_i + c_i, as in LightFM (Kula,
    CBRecSys 2015, whose categories are summed), with gate c_i + g_i ⊙ (id_i − c_i), where g_i = σ(U [id_i; c_i] + b)
    (the gated unit of Arevalo et al., ICLR 2017 workshop, without its tanh). An item without training events has no id:
    its row is c_i. Titles and texts are not read.
    """

    name: Literal["featured"] = "featured"
    can_narrow: ClassVar[bool] = False
    reads_features: ClassVar[bool] = True
    combination: Literal["sum", "gate"] = "sum"
    """How an id and the content come together: added, or weighed against each other, number by number."""
    id_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability with which an item is its content alone for a step of training, so that this content means something
    by itself (DropoutNet: Volkovs et al., NeurIPS 2017)."""

    @property
    def step_copies(self) -> int:
        """The gradient of the look-up, the rows, and the gradient of these; with a gate also what it weighs by."""
        return 3 if self.combination == "sum" else 9

    def reason_against(self, dim: int, width: int) -> str | None:
        """Why states and vectors of two widths cannot go with it."""
        if dim == width:
            return None
        return (
            f"items featured score by the rows that are read, of width {dim}, and the encoder's states have {width}; "
            f"use items=separate, which reads no features"
        )

    def content_in(self, weights: Mapping[str, Tensor]) -> Content:
        """The content among the weights of such a table. Raises ValueError where there is none."""
        for name in ("ids.weight_Nd", "categories_Vd"):
            if name not in weights or weights[name].ndim != 2:
                raise ValueError(f"{name} is no matrix of a table of items")
        return Content.among(weights, len(weights["ids.weight_Nd"]), len(weights["categories_Vd"]))

    def build(
        self,
        number_of_items: int,
        dim: int,
        width: int,
        *,
        has_mask: bool = False,
        content: Content | None = None,
    ) -> "FeaturedItems":
        """The table with fresh weights from torch's global generator; `width` is `dim`. Without content: of ids."""
        known = Content.nothing(number_of_items) if content is None else content
        ids = TiedItems(number_of_items, dim, has_mask=has_mask)
        return FeaturedItems(ids, known, is_gated=self.combination == "gate", id_dropout=self.id_dropout)


class FeaturedItems(nn.Module):
    """A table whose rows are made of ids and content; whoever reads several of them reads a table `made` once.

    Vectors of ids, categories and numbers start at N(0, 0.02²), a gate at one half everywhere.
    """

    has_id_N: Tensor
    categories_NK: Tensor
    shares_NK: Tensor
    numbers_NF: Tensor

    def __init__(self, ids: TiedItems, content: Content, *, is_gated: bool = False, id_dropout: float = 0.0) -> None:
        super().__init__()
        self.ids, self.number_of_items, self.id_dropout = ids, ids.number_of_items, id_dropout
        dim = ids.weight_Nd.shape[1]
        for name, tensor in content.tensors.items():
            self.register_buffer(name, tensor)
        self.categories_Vd = nn.Parameter(torch.empty(content.categories, dim).normal_(0.0, 0.02))
        self.numbers_Fd = nn.Parameter(torch.empty(len(content.centres_F), dim).normal_(0.0, 0.02))
        self.gate = nn.Linear(2 * dim, dim) if is_gated else None
        if self.gate is not None:
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)
        self._kept = Kept[TiedItems]()

    @property
    def weight_Nd(self) -> nn.Parameter:
        """The vectors of ids, shape (N, d)."""
        return self.ids.weight_Nd

    @property
    def state_width(self) -> int:
        """That of the rows."""
        return self.weight_Nd.shape[1]

    def made(self) -> TiedItems:
        """The rows as one matrix, whose gradients go on to what it is made of; ids are dropped here.

        Without gradients none is dropped, and out of training the matrix is made once for as long as weights stay.
        """
        return self._kept.of(self, lambda: TiedItems.of(self._rows(self._undropped()), self.ids.mask_d))

    def _undropped(self) -> Tensor:
        """1 of the items whose ids are read this time, shape (N,)."""
        if not (self.training and self.id_dropout and torch.is_grad_enabled()):
            return self.has_id_N
        return self.has_id_N * (torch.rand_like(self.has_id_N) >= self.id_dropout)

    def _rows(self, has_id_N: Tensor) -> Tensor:
        return self._combined(self.weight_Nd, self._content_of(self._content()), has_id_N)

    def _content(self) -> Content:
        """The content as it lies on the device."""
        return Content(**{name: getattr(self, name) for name in NAMES}, categories=len(self.categories_Vd))

    def _content_of(self, content: Content) -> Tensor:
        """What the rows are without their ids, shape (N, d)."""
        of_numbers = content.numbers_NF @ self.numbers_Fd
        if not content.categories_NK.numel():
            return of_numbers
        return of_numbers + F.embedding_bag(
            content.categories_NK, self.categories_Vd, mode="sum", per_sample_weights=content.shares_NK
        )

    def _combined(self, ids_Nd: Tensor, content_Nd: Tensor, has_id_N: Tensor) -> Tensor:
        if self.gate is None:
            return has_id_N[:, None] * ids_Nd + content_Nd
        share_Nd: Tensor = self.gate(torch.cat([ids_Nd, content_Nd], 1)).sigmoid()
        return torch.addcmul(content_Nd, has_id_N[:, None] * share_Nd, ids_Nd - content_Nd)

    def embed(self, ids: Tensor) -> Tensor:
        """Rows of `ids` as (..., d): zero for PAD, the mask vector for MASK, which needs `has_mask`."""
        return self.made().embed(ids)

    def to_score(self, states_Td: Tensor) -> Tensor:
        """The states themselves."""
        return states_Td

    def scores(self, states_Bd: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (B, stop − start)."""
        return self.made().scores(states_Bd, start, stop)

    def candidate_scores(self, states_Td: Tensor, ids: Tensor, sharing: Sharing, rows_T: Tensor) -> Tensor:
        """Scores of candidates, shape (T, K), as dot products of states and rows."""
        return self.made().candidate_scores(states_Td, ids, sharing, rows_T)

    def output_table(self) -> Tensor:
        """The rows, shape (N, d)."""
        return self.made().output_table()

    def item_vectors(self) -> Tensor:
        """The rows, shape (N, d)."""
        return self.made().item_vectors()

    def twins(self) -> Twins:
        """Items of equal rows, such as several without an id of which the same is known."""
        return self.made().twins()

    def count(self, counts_N: Tensor) -> None:
        """Nothing here is counted: content knows which items occur in training."""

    def narrowed(self, ids: Tensor) -> NoReturn:
        """Raises ConfigurationError: the vector of a category is in the rows of items that a step does not touch."""
        raise ConfigurationError(
            "items featured share vectors of categories, so a step moves all rows; set training.item_rows=all"
        )

    def rows(self) -> dict[str, Tensor]:
        """The vectors of ids, and what is known of each item."""
        known = {name: getattr(self, name) for name in NAMES if "_N" in name}
        return {"ids.weight_Nd": self.weight_Nd.detach(), **known}

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> dict[str, Tensor]:
        """The `rows` of items that nobody has met yet: their content, and no ids.

        `features` and `counts_N` are those that the table was learnt with. Raises ValueError for others.
        """
        more = self._content().more(features, counts_N, added)
        ids_Md = self.weight_Nd.new_zeros(len(added), self.state_width)
        return {"ids.weight_Nd": ids_Md, **{name: rows for name, rows in more.tensors.items() if "_N" in name}}

    @torch.no_grad()
    def grown(self, more: Mapping[str, Tensor]) -> TiedItems:
        """The rows with those of M more items, whose `rows` these are, as one matrix that learns no further."""
        known = {name: more[name] if "_N" in name else getattr(self, name) for name in NAMES}
        content_Md = self._content_of(Content(**known, categories=len(self.categories_Vd)))
        rows_Md = self._combined(more["ids.weight_Nd"], content_Md, more["has_id_N"])
        grown = TiedItems(0, self.state_width)
        grown.number_of_items, grown.mask_d = self.number_of_items + len(rows_Md), self.ids.mask_d
        grown.weight_Nd = nn.Parameter(torch.cat([self._rows(self.has_id_N), rows_Md]))
        return grown
