"""What encoders read items from and losses score states against, and what its configuration says of it.

d width, e width of states as they are scored, N items, K candidates.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from nextitem.data.features.table import ItemFeatures
from nextitem.model.batches import FLOAT_BYTES, Sharing
from nextitem.model.items.candidates import is_all_sooner_had
from nextitem.model.items.content import Content
from nextitem.model.layers.twins import Twins
from nextitem.settings.configuration import Configuration


class ItemTable(Protocol):
    """What encoders read items from and losses score states against."""

    number_of_items: int

    @property
    def weight_Nd(self) -> nn.Parameter:
        """A row for each item: its vector, or what of it is learnt of this item alone."""

    @property
    def state_width(self) -> int:
        """How wide a state is as the scores take it."""

    def made(self) -> "ItemTable":
        """What a step reads: a table whose rows are made of parts, made once; any other as it is."""

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

    def item_vectors(self) -> Tensor:
        """What scores each item, shape (N, e), without biases: items of like vectors follow on like histories."""

    def twins(self) -> Twins:
        """Items that score alike after any state, since what scores them is equal."""

    def count(self, counts_N: Tensor) -> None:
        """Take the training counts of the items (N,), which `Items.reads_counts` asks for; others do nothing."""

    def narrowed(self, ids: Tensor) -> "tuple[ItemTable, Tensor, Tensor]":
        """(a table of the R distinct rows among `ids`, their ids ascending, each id's row)."""

    def rows(self) -> dict[str, Tensor]:
        """What is learnt of each item alone, by its name among the weights: a row, or a number, of each item."""

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> dict[str, Tensor] | None:
        """The `rows` of items that were `added` to those that it was learnt with, by what is known of them.

        `features` are those of the latter, and `counts_N` how often each occurs in training. None where the table has
        learnt nothing of features.
        """

    def grown(self, more: Mapping[str, Tensor]) -> "ItemTable":
        """The table with M more items, whose `rows` these are; what is learnt of all items is shared with this one."""


@runtime_checkable
class PairTable(ItemTable, Protocol):
    """A table whose scores are no products, but are had of all pairs of some states and some items."""

    pair_bytes: int
    """What a pair takes until its gradient is known."""

    def scored_rows(self) -> Tensor:
        """What scores each item, shape (N, f), made once for as many pairs as are asked for."""

    def pair_scores(self, states_Te: Tensor, rows_If: Tensor) -> Tensor:
        """Scores of all these states and items, shape (T, I)."""


class Items(Configuration):
    """Settings of an item table; an entry of the shelf is one of these, and states what is not so."""

    name: str
    """By which the table is chosen."""
    is_product: ClassVar[bool] = True
    """Whether scores are products of states and `output_table`; losses ask others for pairs (`PairTable`)."""
    needs_own_negatives: ClassVar[bool] = False
    """Whether losses compare a position with negatives of its own alone, and not with shared ones or all items."""
    reads_features: ClassVar[bool] = False
    """Whether rows are made of what is known of the items beside their ids."""
    can_narrow: ClassVar[bool] = True
    """Whether a step can do with the rows that it touches (`training.item_rows=touched`)."""

    @property
    def can_shard(self) -> bool:
        """Whether several processes can have some rows each (`training.item_rows=sharded`)."""
        return False

    @property
    def reads_counts(self) -> bool:
        """Whether scores depend on how often items occur in training (`ItemTable.count`)."""
        return False

    def scored_width(self, width: int) -> int:
        """How wide an encoder's states of this width are as the scores take them."""
        return width

    @property
    def step_copies(self) -> int:
        """Tables that a step holds beside the weights and one gradient of all of them: that of the look-up is one."""
        return 1

    def lookup_bytes(self, columns: int, number_of_items: int, dim: int, width: int) -> int:
        """What a position takes to score so many candidates of its own: their vectors, and the gradients of these.

        Of products all scores of a position are had at once where they are smaller (`is_all_sooner_had`).
        """
        if self.is_product and is_all_sooner_had(number_of_items, columns, dim):
            return 2 * number_of_items * FLOAT_BYTES
        return 3 * columns * width * FLOAT_BYTES

    def pair_bytes(self) -> int:
        """What a pair of a state and an item takes until its gradient is known, where scores are no products."""
        return 0

    def flops(self, dim: int) -> int:
        """Floating-point operations of a score, forward and backward: three products of `dim` numbers."""
        return 6 * dim

    def reason_against(self, dim: int, width: int) -> str | None:
        """Why an encoder that reads vectors of `dim` and has states of `width` cannot go with it, and the remedy.

        None where it can.
        """
        return None

    def content_in(self, weights: Mapping[str, Tensor]) -> Content | None:
        """What is known of the items among the weights of such a table; None where it reads nothing of that.

        Raises ValueError where it should be there and is not.
        """
        return None

    @abstractmethod
    def build(
        self,
        number_of_items: int,
        dim: int,
        width: int,
        *,
        has_mask: bool = False,
        content: Content | None = None,
    ) -> ItemTable:
        """The table with fresh weights from torch's global generator.

        Vectors that an encoder reads are of width `dim`, its states of `width`; an objective that hides items needs a
        MASK, `has_mask`. `content` is what is known of the items, for a table that reads it.
        """
