"""An index of the items of a run: what was measured of it, and its cells, which are read when it is asked."""

import threading
from typing import Final

from pydantic import Field

from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.folder.reading import Run
from nextitem.serving.indexed.cells import Cells, even
from nextitem.serving.indexed.coded import Coded
from nextitem.settings.configuration import Configuration
from nextitem.storage import SHA256, Manifest, Sealed, content_of, parsed
from nextitem.storage.places import what_is_at

FACTS, CODED = "index.json", "index.safetensors"
"""Files of a run that not every one has."""
EARLIER: Final = "index.usearch"
"""What was there before, a graph: it is no longer read."""
WEIGHTS: Final = "model.safetensors"
_LOOKED_AT = 50  # where one in so many items is looked at, in all cells, an exact list takes twice as long
_LEAST = 8  # times the breadth that was measured may be looked at, however small the catalogue is


class IndexFacts(Configuration):
    """index.json: what an index is of, and how much of exact lists it finds."""

    weights: str = Field(pattern=SHA256)
    """The fingerprint of the model.safetensors whose items it has."""
    items: int = Field(ge=1)
    """Items in it, those that the model was trained on."""
    width: int = Field(ge=1)
    """Numbers of an item's vector, its bias among them."""
    cells: int = Field(ge=1)
    """Cells that they are in."""
    k: int = Field(ge=1)
    """Length of the lists by which it was measured."""
    asked: float = Field(gt=0, le=1)
    """The share of their items that it was to find at least."""
    recall: float = Field(ge=0, le=1)
    """The share that it found, in lists by which its breadth was not chosen."""
    breadth: int = Field(ge=1)
    """Items that it looks at for a list of k."""
    entered: int = Field(ge=1)
    """Cells that it enters for it."""
    queries: int = Field(ge=1)
    """Histories of the run's users by which it was measured."""
    build_seconds: float = Field(ge=0)
    exact_ms: float = Field(ge=0)
    """What one list took without it, in milliseconds: a median, one thread."""
    index_ms: float = Field(ge=0)
    """What one list took by it."""


class ItemIndex:
    """The cells of a run's items with what is known of them. It does not change; several threads may ask at once."""

    def __init__(self, facts: IndexFacts, sealed: Sealed[Manifest] | None = None, cells: Cells | None = None) -> None:
        """That of a run's folder, which is read when it is asked for, or one that was just made."""
        self.facts, self._sealed, self._cells = facts, sealed, cells
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["ItemIndex"], tuple[IndexFacts, Sealed[Manifest] | None]]:
        """Another process reads the cells itself."""
        return ItemIndex, (self.facts, self._sealed)

    @classmethod
    def of(cls, run: Run) -> "ItemIndex | None":
        """That of a run; None where it has none, or one of other weights (`is_stale`). Raises ArtefactError."""
        facts = _facts(run)
        return None if facts is None or _is_of_others(facts, run) else cls(facts, run.sealed)

    def open(self) -> None:
        """Read the cells before it is asked; raises as `cells`."""
        len(self.cells)

    @property
    def cells(self) -> Cells:
        """The cells. Raises ArtefactError where they are not as they were written, ConfigurationError without faiss."""
        with self._lock:
            if self._cells is None and self._sealed is not None:
                self._cells = self._opened(self._sealed)
            if self._cells is None:
                raise ValueError("an index is of a folder or has cells")
            return self._cells

    def _opened(self, sealed: Sealed[Manifest]) -> Cells:
        fault = sealed.fault(CODED)
        if fault is None:
            try:
                cells = Cells(Coded.read(sealed.folder / CODED))
                found = (len(cells), cells.width, cells.cells)
                said = (self.facts.items, even(self.facts.width), self.facts.cells)
                if found == said:
                    return cells
                fault = f"has (vectors, numbers, cells) {found}, and {FACTS} says {said}"
            except ConfigurationError:  # of a machine without faiss
                raise
            except (OSError, ValueError) as error:
                fault = str(error)
        anew = f"make it anew by `nextitem index {sealed.folder}`, or take it out by --remove"
        raise ArtefactError(f"{sealed.folder / CODED} {fault}; {anew}")

    @property
    def most(self) -> int:
        """How many items are looked at at the most; more take longer than scores of all."""
        return min(self.facts.items, max(_LEAST * self.facts.breadth, self.facts.items // _LOOKED_AT))

    def count(self, depth: int) -> int:
        """How many items are to be looked at so that about the share `recall` of the best `depth` is found."""
        return max(self.facts.breadth, -(-self.facts.breadth * depth // self.facts.k))

    def fits(self, depth: int) -> bool:
        """Whether it may look at as many items as that takes."""
        return self.count(depth) <= self.most

    def depth(self, count: int) -> int:
        """Of how many of the best items about the share `recall` is found where so many are looked at."""
        return count * self.facts.k // self.facts.breadth

    def entered(self, depth: int) -> int:
        """How many cells are to be entered for that, all of them at the most."""
        return min(self.facts.cells, -(-self.facts.entered * depth // self.facts.k))


def is_stale(run: Run) -> bool:
    """Whether a run has an index of other weights than its own, so that lists are exact. Raises ArtefactError."""
    facts = _facts(run)
    return facts is not None and _is_of_others(facts, run)


def _facts(run: Run) -> IndexFacts | None:
    if what_is_at(run.folder / EARLIER) is not None:
        raise ArtefactError(
            f"{run.folder / EARLIER} is an index of an earlier version, which is no longer read; take it out by "
            f"`nextitem index {run.folder} --remove`, and make one by `nextitem index {run.folder}`"
        )
    return run.optional(FACTS, lambda file: parsed(IndexFacts, content_of(file)))


def _is_of_others(facts: IndexFacts, run: Run) -> bool:
    return run.sealed is None or run.sealed.manifest.files[WEIGHTS].sha256 != facts.weights
