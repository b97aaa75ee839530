"""What the settings of every encoder have, and the facts that a recipe, a model and a plan ask of them.

B rows, L length, T positions that are read, d width, e width of states.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field
from torch import Tensor, nn

from nextitem.compute.randomness import Purpose, seeded_globally
from nextitem.model.items import AnyItems, Tied
from nextitem.model.weights import shapes_alone
from nextitem.settings.configuration import Configuration


class Encoder(Configuration):
    """Settings of what turns a history of item vectors into states; an entry of the shelf states what is not so.

    `build` gives a module whose `forward(embeddings_BLd, lengths_B, users_B=None, read_T=None)` returns states
    (B, L, e), or (T, e) at the flat positions `read_T` of B·L. Rows are right-padded; padding changes no state.
    One that reads times takes `times_BL=` too: unix seconds, to be subtracted before they are rounded; and one that
    reads those of targets `asked_BL=`, those of the next event, and after the newest of what is asked for.
    """

    also_called: ClassVar[Mapping[str, str]] = {"layers": "blocks"}

    name: str
    """By which the encoder is chosen."""
    dim: int = Field(64, ge=1)
    """Width d of item vectors and states."""

    is_causal: ClassVar[bool]
    """Whether a state depends on its own past only, as next-item training needs; has no default, so each says it."""
    sees_one_item: ClassVar[bool] = False
    """Whether a state knows the item at its own position only, so that none may be hidden there."""
    reads_items: ClassVar[bool] = True
    """Whether states depend on the items of a history, and not on the user alone."""
    reads_times: ClassVar[bool] = False
    """Whether states depend on when the events were."""
    takes_prefix: ClassVar[bool] = False
    """Whether it reads a vector before the oldest item as one more place, so that users' features can stand there."""
    default_items: ClassVar[AnyItems] = Tied()
    """What items are read from and scored by where a recipe does not say: the papers' choice."""

    @property
    def reads_target_times(self) -> bool:
        """Whether states depend on when what is asked for happened, which nobody knows who recommends."""
        return False

    @property
    def counts_from_newest(self) -> bool:
        """Whether places are counted back from the newest item, so that each later item moves all states before it."""
        return False

    @property
    def output_width(self) -> int:
        """Width e of the states."""
        return self.dim

    @property
    def least_length(self) -> int:
        """Places that are always read (a setting `window`); the objective's maximum length must be no less."""
        return 1

    @property
    def most_length(self) -> int | None:
        """Rows of the position table (a setting `positions`), which no window may exceed; None: any length."""
        return None

    def with_room(self) -> Self:
        """The encoder with one more row in its position table, where it has one: that of a prefix."""
        return self if self.most_length is None else self.model_copy(update={"positions": self.most_length + 1})

    @property
    def has_users(self) -> bool:
        """Whether each user of the training log has a vector, so that nobody else can be recommended to."""
        return False

    def users_in(self, weights: Mapping[str, Tensor]) -> int:
        """How many users have a vector among the weights of such an encoder, which call them `users_Ud`; else 0.

        Raises KeyError where they should be there and are not.
        """
        return len(weights["users_Ud"]) if self.has_users else 0

    def flops(self, length: int) -> int:
        """Floating-point operations of a position in windows of this length, forward and backward: 6 of each weight."""
        with seeded_globally(0, Purpose.WEIGHTS), shapes_alone():  # counted, and never allocated
            return 6 * sum(weight.numel() for weight in self.build().parameters())

    def remedies(self) -> list[list[dict[str, object]]]:
        """Ways to need less memory, each from the smallest change of settings to the largest: narrower vectors."""
        return [[{"dim": self.dim >> halvings} for halvings in range(1, 20) if self.dim >> halvings]]

    @abstractmethod
    def build(self, number_of_users: int = 0) -> nn.Module:
        """The encoder with fresh weights from torch's global generator; `number_of_users` if they have vectors."""
