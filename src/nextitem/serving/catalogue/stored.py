"""Changes of a catalogue as a run keeps them, in files that runs without any do not have."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor

from nextitem.data.features.table import ItemFeatures, read_features
from nextitem.data.reading.tables import sized
from nextitem.experiment.folder.reading import RUN, Run
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.ids import RawId
from nextitem.settings.configuration import Configuration
from nextitem.storage import MANIFEST, content_of, parsed, write_tensors, write_text
from nextitem.storage.places import what_is_at

CHANGES, ADDED, ROWS = "catalogue.json", "added.parquet", "added.safetensors"
FILES = (CHANGES, ADDED, ROWS)


class Renamed(Configuration):
    """An item with another title than in items.parquet."""

    item: RawId
    title: str


class StoredChanges(Configuration):
    """catalogue.json: which items of a run are retired, and which are called otherwise."""

    retired: tuple[RawId, ...] = Field(())
    """Items that are never recommended."""
    renamed: tuple[Renamed, ...] = Field(())
    """Items that are called otherwise."""


def write_changes(draft: Path, changes: CatalogueChanges) -> None:
    """Put the changes into a copy of a run's folder, in place of earlier ones, and seal it anew. Raises OSError."""
    there = [name for name in FILES if what_is_at(draft / name) is not None]
    if changes.is_empty and not there:
        return
    for name in (*there, MANIFEST):
        (draft / name).unlink(missing_ok=True)
    retired = sorted(changes.retired, key=lambda raw: (str(type(raw)), raw))
    renamed = tuple(Renamed(item=item, title=title) for item, title in changes.titles.items())
    if retired or renamed:
        stored = StoredChanges(retired=tuple(retired), renamed=renamed)
        write_text(draft / CHANGES, stored.model_dump_json(indent=2) + "\n")
    if changes.added is not None and changes.rows is not None:
        changes.added.write(draft / ADDED)
        write_tensors(draft / ROWS, changes.rows)
    RUN.seal(draft)


def read_changes(run: Run) -> CatalogueChanges:
    """What changed of the items of a run; nothing, where it has no such file. Raises ArtefactError."""
    said = run.optional(CHANGES, lambda file: parsed(StoredChanges, content_of(file))) or StoredChanges()
    added = run.optional(ADDED, _added)
    titles: Mapping[RawId, str] = {one.item: one.title for one in said.renamed}
    changes = CatalogueChanges(frozenset(said.retired), titles, added)
    if added is None:
        return changes
    return CatalogueChanges(changes.retired, titles, added, run.optional(ROWS, lambda file: _rows(file, len(added))))


def _added(file: Path) -> ItemFeatures:
    items = sized(file).select("item").collect()["item"]
    if items.dtype not in (pl.Int64, pl.String) or items.null_count() or items.is_duplicated().any():
        raise ValueError("column item should hold ids, each once")
    return read_features(file, items)


def _rows(file: Path, items: int) -> dict[str, Tensor]:
    rows = load_file(file)
    for name, tensor in rows.items():
        if not tensor.ndim or len(tensor) != items or not bool(tensor.isfinite().all()):
            raise ValueError(f"{name} should hold finite numbers of {items:,} items")
    return rows
