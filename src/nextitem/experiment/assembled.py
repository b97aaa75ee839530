"""What a training of a sequence model begins with; `fit_model` and a plan's stopwatch go on from the same."""

from dataclasses import dataclass

from nextitem.data.splits.split import Cases
from nextitem.model.losses.loss import Loss
from nextitem.model.model import SequenceModel
from nextitem.model.negatives.negatives import Sampler
from nextitem.model.sharded import ShardedModel
from nextitem.training.session import Session
from nextitem.training.validation import validation_loss


@dataclass(frozen=True)
class Assembled:
    """A model that learnt nothing yet, and what it will learn by."""

    model: SequenceModel | ShardedModel
    """Untrained."""
    loss: Loss
    negatives: Sampler | None
    outside: Sampler | None
    """Draws those of the validation loss, which no history holds."""
    cases: Cases
    """The validation cases that are looked at after every epoch."""
    batch_size: int

    def validation_loss(self, cases: Cases, session: Session) -> float:
        """Mean loss over some of them, in evaluation mode."""
        return validation_loss(self.model.whole(), self.loss, self.outside, cases, self.batch_size, session)
