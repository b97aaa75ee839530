"""Whom a sequence model learns from beside its targets: a finished run, or several as one, as settings."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.items.table import Items
from nextitem.model.losses.loss import LossConfiguration
from nextitem.model.objectives.objective import Objective
from nextitem.settings.configuration import Configuration
from nextitem.storage import SHA256
from nextitem.training.lessons import Heard, Lessons
from nextitem.training.session import Session


class Teacher(Configuration):
    """Knowledge distillation; `nextitem distil` sets it. The equation stands in `model/losses/taught.py`.

    The teacher is asked once, before the first epoch, about every target of the training. What it says of the items
    that it scores highest is held in memory: 6 bytes for each of them and each target.
    """

    runs: tuple[str, ...] = Field(min_length=1)
    """Folders of the teacher: runs of sequence models and ensembles, of which the mean is taken."""
    manifests: tuple[Annotated[str, Field(pattern=SHA256)], ...] = ()
    """The sha256 of each one's manifest.json, which proves that it is still the same; empty: set by the training."""
    weight: float = Field(0.5, gt=0.0, le=1.0)
    """λ: by how much the teacher is heard; the targets by 1 − λ."""
    temperature: float = Field(1.0, gt=0.0)
    """τ: scores of both are divided by it before they become probabilities, so that above 1 less likely items count for
    more. Other than 1 it costs a second softmax at every step."""
    top: int = Field(32, ge=1)
    """M: how many items that the teacher scores highest are kept of each target; their probabilities sum to 1."""

    @model_validator(mode="after")
    def _has_one_manifest_each(self) -> Self:
        if self.manifests and len(self.manifests) != len(self.runs):
            raise ValueError(f"manifests are of {len(self.manifests)} runs and runs names {len(self.runs)}")
        return self

    def reason_against(self, loss: LossConfiguration, items: Items, objective: Objective) -> str | None:
        """Why such a model cannot learn from a teacher, with what to do about it; None where it can."""
        if loss.needs_negatives:
            return (
                f"loss {loss.name} compares with drawn items, and a teacher speaks of the whole catalogue; use "
                f"loss=cross_entropy negatives=none"
            )
        if not loss.can_be_taught:
            return (
                f"loss {loss.name} spreads a share of each target over all items, which the teacher does better; set "
                f"loss.label_smoothing=0"
            )
        if not items.is_product:
            return f"items {items.name} score by no product, which a teacher's items are pulled at by; use items=tied"
        if not objective.asks_what_followed:
            return (
                f"objective {objective.name} draws anew in every epoch what it asks, or shows no history, and the "
                f"teacher is asked once; use objective=next_item, without label_masking and cloze_weight"
            )
        return None

    def lessons(self, session: Session, objective: Objective, train: Sequences) -> Lessons:
        """What it foresees at every target of `train`. Raises ConfigurationError where the session does not have it."""
        if self.runs not in session.teachers:
            raise ConfigurationError(
                f"the model is taught by {', '.join(self.runs)}, and this session has no such teacher; train it by "
                f"`nextitem distil` or `train`, which load it"
            )
        heard = Heard(self.weight, self.temperature, self.top)
        windows = objective.windows(train).to(session.device)
        return Lessons.of(session.teachers[self.runs], heard, objective, windows)
