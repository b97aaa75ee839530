"""Caser: convolutions over the latest items, beside a vector of the user (Tang & Wang, WSDM 2018).

B rows, L length, T positions that are read, U users, w items of a window, d width, e width of states, n filters.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import AnyItems, Separate
from nextitem.model.layers.dropout import Dropout


class Caser(Encoder):
    """Settings of Caser; the defaults are those of the authors' code for MovieLens-1M."""

    name: Literal["caser"] = "caser"
    is_causal: ClassVar[bool] = True
    default_items: ClassVar[AnyItems] = Separate(bias=True)
    dim: int = Field(50, ge=1)
    """Width d of item and user vectors."""
    window: int = Field(5, ge=1, le=1024)
    """How many of the latest items a state sees; the objective's maximum length is no less."""
    vertical_filters: int = Field(4, ge=1)
    """Weighted sums of the window's item vectors."""
    horizontal_filters: int = Field(16, ge=1)
    """Filters of each height from 1 item to the whole window."""
    dropout: float = Field(0.5, ge=0.0, lt=1.0)
    """Probability of dropping what a filter found."""
    user_vectors: bool = True
    """Whether each user has a vector: then nobody else can be recommended to; without, anyone can."""

    @property
    def output_width(self) -> int:
        """That of what the filters saw, and as much for the user."""
        return 2 * self.dim if self.user_vectors else self.dim

    @property
    def least_length(self) -> int:
        """The places of the window."""
        return self.window

    @property
    def has_users(self) -> bool:
        """Whether each user has a vector."""
        return self.user_vectors

    def build(self, number_of_users: int = 0) -> "CaserEncoder":
        """The encoder with fresh weights from torch's global generator; `number_of_users` if they have vectors."""
        settings = self.model_dump(exclude={"name", "user_vectors"})
        return CaserEncoder(**settings, number_of_users=number_of_users if self.user_vectors else None)


class CaserEncoder(nn.Module):
    """What both kinds of filters find in the last w items, through one dense layer, then the user's vector.

    A vertical filter is a weighted sum of the w item vectors, a horizontal one of height h gives the largest of its
    answers at the w − h + 1 places; ReLU follows the horizontal filters and the dense layer, as in the authors' code.
    What is missing of a window counts as zero vectors before the oldest item.
    """

    def __init__(
        self,
        dim: int,
        window: int,
        vertical_filters: int,
        horizontal_filters: int,
        dropout: float,
        number_of_users: int | None,
    ) -> None:
        super().__init__()
        self.dim, self.window = dim, window
        users = None if number_of_users is None else torch.empty(number_of_users, dim).normal_(0.0, 0.02)
        self.users_Ud = None if users is None else nn.Parameter(users)
        self.vertical = nn.Linear(window, vertical_filters)
        self.horizontal = nn.ModuleList(nn.Conv1d(dim, horizontal_filters, h + 1) for h in range(window))
        self.dense = nn.Linear(vertical_filters * dim + horizontal_filters * window, dim)
        self.dropout = Dropout(dropout)

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, e), or (T, e) at the flat positions `read_T` of B·L; none depends on what comes after it.

        Without `users_B` the user's part is zero.
        """
        rows, length, _ = embeddings_BLd.shape
        places_T = torch.arange(rows * length, device=embeddings_BLd.device) if read_T is None else read_T
        states_Te = self._seen(embeddings_BLd, places_T)
        if self.users_Ud is not None:
            users_Td = torch.zeros_like(states_Te)
            if users_B is not None:
                users_Td = F.embedding(users_B[places_T // length], self.users_Ud)
            states_Te = torch.cat([states_Te, users_Td], 1)
        return states_Te.view(rows, length, -1) if read_T is None else states_Te

    def _seen(self, embeddings_BLd: Tensor, places_T: Tensor) -> Tensor:
        """What the filters say about the window that ends at each place, shape (T, d)."""
        length, before = embeddings_BLd.shape[1], self.window - 1
        padded_BMd = F.pad(embeddings_BLd, (0, 0, before, 0))
        first_T = places_T + places_T // length * before
        flat = (first_T[:, None] + torch.arange(self.window, device=places_T.device)).flatten()
        windows_Tdw = padded_BMd.flatten(0, 1).index_select(0, flat).view(-1, self.window, self.dim).mT
        found = [self.vertical(windows_Tdw).flatten(1)]
        found += [filters(windows_Tdw).relu().amax(2) for filters in self.horizontal]
        states_Td: Tensor = self.dense(self.dropout(torch.cat(found, 1))).relu()
        return states_Td
