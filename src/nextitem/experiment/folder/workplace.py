"""Where a run is made and where it will be."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from nextitem.experiment.recipe import Recipe
from nextitem.settings.given import expanded
from nextitem.storage import alone_in, clear
from nextitem.words import shortened


@dataclass(frozen=True)
class Workplace:
    """Where a run is made and where it will be: `<root>/.partial/<name>-seed<n>-<key>` and `<root>/<time>-<name>`.

    The name is that of the recipe and the data, such as `sasrec-ce-ml-1m`; the key stands for all settings, so that
    trainings of different settings never share a folder.
    """

    root: Path
    name: str
    seed: int
    key: str = ""

    @classmethod
    def of(cls, root: Path, recipe: Recipe, seed: int) -> "Workplace":
        """The workplace of a recipe; of a data file the name counts, without folder and endings."""
        stem = Path(recipe.data).name.strip(".").partition(".")[0]
        name = shortened(re.sub(r"[^\w.-]+", "-", f"{recipe.name}-{stem}"), 100)
        return cls(expanded(root), name, seed, hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:8])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from training the same here meanwhile.

        Raises ConfigurationError where one does, StorageError where nothing can be written.
        """
        with alone_in(self.partial, "trains the same"):
            yield

    @property
    def partial(self) -> Path:
        """The folder of the training in progress."""
        return self.root / ".partial" / "-".join(filter(None, (self.name, f"seed{self.seed}", self.key)))

    @property
    def checkpoint(self) -> Path:
        """The file with its latest epoch."""
        return self.partial / "checkpoint.safetensors"

    def beside(self, name: str) -> Path:
        """A folder for whatever else is kept of the training in progress, in which nobody is alone."""
        return self.partial.with_name(f"{self.partial.name}.{name}")

    def names(self, started: datetime) -> Iterator[Path]:
        """The folders that a finished run may have, in the order in which they are tried: `-2`, `-3`, … at the end."""
        folder = self.root / f"{started:%Y%m%d-%H%M%S}-{self.name}"
        yield folder
        for number in count(2):
            yield folder.with_name(f"{folder.name}-{number}")

    def clear(self) -> None:
        """Forget a training in progress; the folder itself stays for whoever is `alone` in it."""
        clear(self.partial)  # what resists stays: a finished run is worth more than a tidy place
