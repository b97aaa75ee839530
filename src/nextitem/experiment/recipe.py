"""A recipe: everything that decides a result except the seed. TOML in, JSON out, `key=value` overrides on top."""

from typing import Any, Self

from pydantic import Field, model_validator

from nextitem.data.filters import Preparation
from nextitem.data.reading.files import Columns
from nextitem.data.splits import AnySplit, LeaveOneOut
from nextitem.evaluation.metrics import DEFAULT_METRICS
from nextitem.model.baselines import AnyBaseline
from nextitem.model.encoders import AnyEncoder, SASRec
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import AnyItems, Tied
from nextitem.model.losses import AnyLoss, CrossEntropy
from nextitem.model.negatives import AnyNegatives
from nextitem.model.objectives import AnyObjective, NextItem
from nextitem.settings.configuration import Configuration
from nextitem.settings.suggestion import suggest
from nextitem.training.fit import Training


def items_of(encoder: Encoder | None) -> AnyItems:
    """The items that go with an encoder; None where the encoder itself was refused."""
    return Tied() if encoder is None else encoder.default_items


class Recipe(Configuration):
    """One choice from each shelf, with the data and the training that go with it."""

    name: str = Field("unnamed", pattern=r"^[^/\\\x00-\x1f]{1,100}$")
    """What the run is called; part of its folder's name, so without slashes."""
    data: str = "synthetic"
    """A dataset's name (`synthetic`, `ml-1m`, `beauty`, `ml-20m`, `steam`, `yelp`), the path of a file of events, or a
    prepared folder."""
    columns: Columns = Columns()
    """Names of the columns of a file with a header."""
    preparation: Preparation = Preparation()
    """Filters applied before the split."""
    split: AnySplit = LeaveOneOut()
    """Which events are held out, and which may be learnt from."""
    baseline: AnyBaseline | None = None
    """A model that counts, or that a library trains; then nothing that follows is used."""
    encoder: AnyEncoder = SASRec()
    """What turns a history into states."""
    items: AnyItems = Field(default_factory=lambda others: items_of(others.get("encoder")))
    """What items are read from and scored by; where nothing is said, what goes with the encoder."""
    objective: AnyObjective = NextItem()
    """What is asked in training."""
    loss: AnyLoss = CrossEntropy()
    """How the answers are judged."""
    negatives: AnyNegatives | None = None
    """Where a sampled loss gets its negatives; none for a loss over the whole catalogue."""
    training: Training = Training()
    """How the weights are found."""

    def in_use(self) -> dict[str, Any]:
        """The settings that matter, as JSON: of a baseline those of its own and of the data."""
        unused = set() if self.is_fitted else {"encoder", "items", "objective", "loss", "negatives", "training"}
        return self.model_dump(mode="json", exclude=unused)

    @property
    def is_fitted(self) -> bool:
        """Whether the model is trained by `fit`, with loss, negatives and training of the recipe."""
        return self.baseline is None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        monitor = self.training.monitor
        if monitor not in DEFAULT_METRICS:
            raise ValueError(
                f"training.monitor='{monitor}' is no validation metric; {suggest(monitor, DEFAULT_METRICS)}"
            )
        if self.baseline is not None:
            return self
        self._is_shown_what_it_reads()
        if self.objective.needs_causal and not self.encoder.is_causal:
            raise ValueError(
                f"objective {self.objective.name} needs an encoder that does not look ahead, and {self.encoder.name} "
                f"sees the whole window: the answer would be in the input; use objective=masked_item or encoder=sasrec"
            )
        if self.objective.needs_mask and self.encoder.sees_one_item:
            raise ValueError(
                f"objective {self.objective.name} hides items, and {self.encoder.name} sees no item but the one at "
                f"the position itself; use objective=next_few, or another encoder"
            )
        least, most = self.encoder.least_length, self.encoder.most_length
        if most is not None and self.objective.maximum_length > most:
            raise ValueError(
                f"objective.maximum_length={self.objective.maximum_length} exceeds the {most} rows "
                f"of the position table; raise encoder.positions or shorten the windows"
            )
        if least > self.objective.maximum_length:
            raise ValueError(
                f"encoder.window={least} reads more places than objective.maximum_length="
                f"{self.objective.maximum_length} fills; raise objective.maximum_length or lower encoder.window"
            )
        if self.loss.needs_negatives and self.negatives is None:
            raise ValueError(f"loss {self.loss.name} needs negatives; add negatives=uniform (and negatives.count=…)")
        if not self.loss.needs_negatives and self.negatives is not None:
            raise ValueError(f"loss {self.loss.name} uses the whole catalogue and no negatives; add negatives=none")
        self._items_fit()
        self._have_something_to_compare()
        if self.training.item_rows == "touched" and not self.items.can_narrow:
            raise ValueError(
                f"items {self.items.name} are scored by a table of their own, which training.item_rows=touched cannot "
                f"narrow; set training.item_rows=all"
            )
        if self.training.item_rows == "touched" and not self.loss.needs_negatives:
            raise ValueError(
                f"loss {self.loss.name} moves every row of the item table, so training.item_rows=touched has nothing "
                f"to leave out; set training.item_rows=all, or choose a loss with negatives"
            )
        return self

    def _have_something_to_compare(self) -> None:
        """Raises ValueError where the loss could not learn from the negatives."""
        if self.negatives is None:
            return
        reason = self.loss.reason_against(self.negatives.set_size(2)) or self.negatives.reason_against(
            self.training.batch_size
        )
        if reason is not None:
            raise ValueError(reason)

    def _is_shown_what_it_reads(self) -> None:
        """Raises ValueError where the objective shows items to an encoder that reads none, or none to another."""
        if self.encoder.reads_items and not self.objective.shows_items:
            raise ValueError(
                f"objective {self.objective.name} shows no item of a history, and encoder {self.encoder.name} reads "
                f"nothing else; use objective=next_item, or encoder=user_vectors"
            )
        if self.objective.shows_items and not self.encoder.reads_items:
            raise ValueError(
                f"encoder {self.encoder.name} knows users and reads no history, which objective {self.objective.name} "
                f"shows it in vain; use objective=user_item"
            )

    def _items_fit(self) -> None:
        """Raises ValueError where the items do not go with the encoder's states or with the loss."""
        if reason := self.items.reason_against(self.encoder.dim, self.encoder.output_width):
            raise ValueError(reason)
        if self.items.is_product:
            return
        if not self.loss.needs_negatives:
            raise ValueError(
                f"loss {self.loss.name} multiplies with the whole item table, and items {self.items.name} score by a "
                f"network; use loss=binary_cross_entropy negatives=uniform"
            )
        if self.negatives is not None and self.negatives.sharing != "position":
            raise ValueError(
                f"items {self.items.name} score pair by pair, so each position needs negatives of its own; "
                f"set negatives.sharing=position, or negatives=uniform"
            )
