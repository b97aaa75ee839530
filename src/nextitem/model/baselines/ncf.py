"""Neural collaborative filtering: a network judges pairs of a user and an item (NeuMF). It reads no history.

B rows, T targets, K candidates, N items, U users, I items of a chunk, e = f + h: f factors and half h of the network's
input. A user's vector is the state that a loss sees, and the network stands where others have a product: in the item
table.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import embedding, linear

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.model.batches import PAD, Batch, Sharing
from nextitem.model.items.tied import TiedItems
from nextitem.settings.configuration import Configuration

_PAIRS = 1 << 16  # of users and items that the network judges at a time over the catalogue


class Ncf(Configuration):
    """NeuMF of He et al. (2017), trained from scratch by `fit`; it knows trained users alone."""

    name: Literal["ncf"] = "ncf"
    made_by: ClassVar[Literal["counts", "library", "fit"]] = "fit"
    """Where its numbers come from."""
    factors: int = Field(8, ge=1)
    """Factors f of the generalised matrix factorisation."""
    layers: tuple[int, ...] = Field((64, 32, 16, 8), min_length=2)
    """Widths of the network: its input, half from the user and half from the item, and each hidden layer."""

    @field_validator("layers")
    @classmethod
    def _input_has_two_halves(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if min(layers) < 1 or layers[0] % 2:
            raise ValueError(f"widths are at least 1, and the first is even: it is shared by user and item; {layers}")
        return layers

    def parts(self, number_of_users: int, number_of_items: int) -> "tuple[NeuralItems, UserVectors, UserItem]":
        """Item table, encoder and objective of an untrained model, drawn from the global generator."""
        width = self.factors + self.layers[0] // 2
        table = TiedItems(number_of_items, width)
        with torch.no_grad():
            table.weight_Nd.mul_(0.5)  # He et al. start at N(0, 0.01²), a table at twice that
        return (
            NeuralItems(table, PairNetwork(self.factors, self.layers)),
            UserVectors(number_of_users, width),
            UserItem(),
        )


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
        """That of the users' vectors."""
        return self.weight_Nd.shape[1]

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

    def output_table(self) -> Tensor:
        """There is none. Raises ConfigurationError."""
        raise ConfigurationError(
            "ncf scores by a network, so a loss over the whole catalogue has no table to multiply with; use "
            "loss=binary_cross_entropy with negatives.sharing=position"
        )

    def narrowed(self, ids: Tensor) -> "tuple[NeuralItems, Tensor, Tensor]":
        """(the table of the R distinct rows among `ids`, their ids ascending, each id's row); the network is shared."""
        table, ids_R, rows = self.table.narrowed(ids)
        return NeuralItems(table, self.network), ids_R, rows


class UserVectors(nn.Module):
    """An encoder that looks at nobody's history: the state of a user is a vector of its own."""

    def __init__(self, number_of_users: int, width: int) -> None:
        super().__init__()
        self.weight_Ue = nn.Parameter(torch.empty(number_of_users, width).normal_(0.0, 0.01))

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, e), or (T, e) at the flat places `read_T`. Raises DataError for a user without a vector."""
        if not self.training:  # in training there are no others, and a GPU would have to be waited for
            is_new_B = (users_B < 0) | (users_B >= len(self.weight_Ue))
            if bool(is_new_B.any()):
                raise DataError(
                    f"{int(is_new_B.sum()):,} of {len(users_B):,} histories are not of a user that ncf was trained "
                    f"on, and it knows no others; ask for users of the run, or train a model that reads histories"
                )
        length = embeddings_BLd.shape[1]
        if read_T is None:
            return embedding(users_B, self.weight_Ue)[:, None].expand(-1, length, -1)
        return embedding(users_B[read_T // length], self.weight_Ue)


@dataclass(frozen=True)
class UserItem:
    """What is asked: does this user have this item? Every training event is a window and its item the target."""

    needs_mask: ClassVar[bool] = False
    maximum_length: ClassVar[int] = 1

    def windows(self, train: Sequences) -> Sequences:
        """One view for every event."""
        rows, offsets = transfer.places(train.lengths_U, int(train.sizes_U.sum()))
        starts = train.starts_U[rows] + offsets
        is_on_host = train.host_lengths_U is None
        return replace(
            train, starts_U=starts, stops_U=starts + 1, users_U=train.users_U[rows], known_counts_N=None,
            host_lengths_U=None if is_on_host else torch.ones(len(starts), dtype=torch.int64),
        )  # fmt: skip

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Events as targets, with nothing to read before them; nothing is random here."""
        return self.query(windows, windows.at(windows.starts_U))

    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """One position for each user."""
        rows_T = torch.arange(len(histories), device=histories.users_U.device)
        return Batch(
            torch.full((len(histories), 1), PAD, device=rows_T.device),
            torch.zeros_like(rows_T),
            rows_T,
            torch.full_like(rows_T, -1) if targets_C is None else targets_C,
            rows_T,
            histories.users_U,
            host_lengths_B=torch.zeros(len(histories), dtype=torch.int64),
            host_counts_B=torch.ones(len(histories), dtype=torch.int64),
        )
