"""Finished runs in folders, and what decides whether one is the run that is wanted."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nextitem.errors import NextitemError, StorageError
from nextitem.experiment.folder.reading import COMPARED, Run, read_run
from nextitem.experiment.recipe import Recipe
from nextitem.settings.given import expanded
from nextitem.settings.keys import settings_of
from nextitem.storage import MANIFEST
from nextitem.storage.places import is_folder, what_is_at

# Where data lie and what they are called decides nothing once their fingerprints are equal, nor does what only rounds.
# No model reads features yet: one that does has to be told apart by what they hold.
_ABOUT_THE_DATA = ("name", "data", "columns", "features", "filters")
_CHUNKS = ("loss.block_rows", "loss.tile_items")


def deciding(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide a result on given events: equal ones with equal seeds make one run."""
    decided = {key: value for key, value in settings_of(recipe).items() if key not in _CHUNKS}
    return {key: value for key, value in decided.items() if key.partition(".")[0] not in _ABOUT_THE_DATA}


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a finished run, damaged or not. Raises StorageError where one may not look."""
    return all(what_is_at(folder / name) is not None for name in (MANIFEST, "metrics.json"))


def find_runs(roots: Iterable[Path], say: Callable[[str], None]) -> list[Run]:
    """The finished runs in `roots` (folders of runs, or runs themselves); `say` is told of runs that cannot be read.

    Raises StorageError for a root that cannot be.
    """
    found = []
    for root in map(expanded, roots):
        try:
            folders = [root] if is_run(root) else sorted(root.iterdir()) if is_folder(root) else []
        except OSError as error:
            raise StorageError(f"cannot read {root}: {error}; correct its permissions") from error
        for folder in folders:
            try:
                if is_run(folder):
                    found.append(read_run(folder).proven(*COMPARED))
            except NextitemError as error:
                say(f"not reused: {error}")
    return found
