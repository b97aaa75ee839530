"""What encoders read items from and losses score states against. d width, N items, K candidates."""

from typing import Protocol

from torch import Tensor, nn

from nextitem.model.batches import Sharing


class ItemTable(Protocol):
    """What encoders read items from and losses score states against."""

    number_of_items: int

    @property
    def weight_Nd(self) -> nn.Parameter:
        """The vectors of the items."""

    @property
    def state_width(self) -> int:
        """How wide a state is as the scores take it."""

    def embed(self, ids: Tensor) -> Tensor:
        """Vectors of `ids` (any shape) as (..., d); zero for PAD."""

    def to_score(self, states_Td: Tensor) -> Tensor:
        """An encoder's states as the scores take them, shape (T, e)."""

    def scores(self, states_Be: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (B, stop − start)."""

    def candidate_scores(self, states_Te: Tensor, ids: Tensor, sharing: Sharing, rows_T: Tensor) -> Tensor:
        """Scores of candidates, shape (T, K); `sharing` says whether ids are (T, K), (B, K) or (K,)."""

    def output_table(self) -> Tensor:
        """The matrix (N, e) whose product with a state is the score. Raises ConfigurationError where there is none."""

    def narrowed(self, ids: Tensor) -> "tuple[ItemTable, Tensor, Tensor]":
        """(a table of the R distinct rows among `ids`, their ids ascending, each id's row)."""
