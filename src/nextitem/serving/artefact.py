"""What a recommender can be stored as."""

from pathlib import Path
from typing import Protocol

from nextitem.experiment.folder.metrics import Metrics
from nextitem.experiment.recipe import Recipe


class Artefact(Protocol):
    """What a recommender was made of, as far as it can be stored: a run, or a training that just ended."""

    @property
    def recipe(self) -> Recipe:
        """What was learnt by."""

    @property
    def metrics(self) -> Metrics:
        """What was measured, on what, and how it was made."""

    def write(self, draft: Path) -> None:
        """Put all files of a run into an empty folder. Raises StorageError."""
