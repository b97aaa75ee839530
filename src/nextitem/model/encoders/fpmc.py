"""FPMC: what the user likes and what follows the last item, as one product (Rendle et al., WWW 2010).

B rows, L length, T positions that are read, U users, d width, e width of states.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import AnyItems, Separate


class FPMC(Encoder):
    """Factorised personalised Markov chains; the score is ⟨user, item⟩ + ⟨last item, item⟩, each of d factors.

    The state is [user; last item], and an item's row of the output table is [factors for users; for last items]. A
    basket of the paper is a single item here. Its third product, ⟨user, last item⟩, ranks nothing and is left out
    there as well.
    """

    name: Literal["fpmc"] = "fpmc"
    is_causal: ClassVar[bool] = True
    default_items: ClassVar[AnyItems] = Separate()
    sees_one_item: ClassVar[bool] = True
    dim: int = Field(64, ge=1)
    """Factors d of each of the two products."""
    user_vectors: bool = True
    """Whether each user has a vector: then nobody else can be recommended to. Without, it is the paper's FMC."""

    @property
    def output_width(self) -> int:
        """Factors of the user and of the last item, side by side."""
        return 2 * self.dim if self.user_vectors else self.dim

    @property
    def has_users(self) -> bool:
        """Whether each user has a vector."""
        return self.user_vectors

    def build(self, number_of_users: int = 0) -> "FPMCEncoder":
        """The encoder with fresh weights from torch's global generator; `number_of_users` if they have vectors."""
        return FPMCEncoder(self.dim, number_of_users if self.user_vectors else None)


class FPMCEncoder(nn.Module):
    """The user's vector beside that of the item at the position itself."""

    def __init__(self, dim: int, number_of_users: int | None) -> None:
        super().__init__()
        users = None if number_of_users is None else torch.empty(number_of_users, dim).normal_(0.0, 0.02)
        self.users_Ud = None if users is None else nn.Parameter(users)

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, e), or (T, e) at the flat positions `read_T` of B·L. Without `users_B` that part is zero."""
        rows, length, _ = embeddings_BLd.shape
        places_T = torch.arange(rows * length, device=embeddings_BLd.device) if read_T is None else read_T
        states_Te = embeddings_BLd.flatten(0, 1).index_select(0, places_T)
        if self.users_Ud is not None:
            users_Td = torch.zeros_like(states_Te)
            if users_B is not None:
                users_Td = F.embedding(users_B[places_T // length], self.users_Ud)
            states_Te = torch.cat([users_Td, states_Te], 1)
        return states_Te.view(rows, length, -1) if read_T is None else states_Te
