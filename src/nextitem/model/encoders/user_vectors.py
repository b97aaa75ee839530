"""A vector for each user, whatever the history: the encoder of NCF and of plain matrix factorisation.

B rows, L length, T positions that are read, U users, d width.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import embedding

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import AnyItems, Neural


class UserVectors(Encoder):
    """The state of a user is a vector of its own, so users of the training log alone are known.

    With `items=neural` it is the NeuMF of He et al. (2017), whose width is the default; with `items=tied` it is matrix
    factorisation.
    """

    name: Literal["user_vectors"] = "user_vectors"
    is_causal: ClassVar[bool] = True
    reads_items: ClassVar[bool] = False
    default_items: ClassVar[AnyItems] = Neural()
    dim: int = Field(40, ge=1)
    """Width d of user and item vectors; with `items=neural` what its network takes and the factors beside: 32 + 8."""

    @property
    def has_users(self) -> bool:
        """There is nothing else."""
        return True

    def build(self, number_of_users: int = 0) -> "UserVectorsEncoder":
        """The encoder with fresh weights from torch's global generator."""
        return UserVectorsEncoder(number_of_users, self.dim)


class UserVectorsEncoder(nn.Module):
    """One vector a user, which starts at N(0, 0.01²) as in the code of He et al."""

    def __init__(self, number_of_users: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.users_Ud = nn.Parameter(torch.empty(number_of_users, dim).normal_(0.0, 0.01))

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, d), or (T, d) at the flat positions `read_T` of B·L. Without `users_B` they are zero."""
        rows, length, _ = embeddings_BLd.shape
        if users_B is None:
            states_Td = self.users_Ud.new_zeros(rows * length if read_T is None else len(read_T), self.dim)
            return states_Td.view(rows, length, -1) if read_T is None else states_Td
        if read_T is None:
            return embedding(users_B, self.users_Ud)[:, None].expand(-1, length, -1)
        return embedding(users_B[read_T // length], self.users_Ud)
