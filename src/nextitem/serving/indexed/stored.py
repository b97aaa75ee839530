"""An index put into the folder of a run, and taken out of it."""

from pathlib import Path

from nextitem.experiment.folder.changing import changed_run
from nextitem.experiment.folder.reading import Run
from nextitem.serving.indexed.coded import Coded
from nextitem.serving.indexed.index import CODED, EARLIER, FACTS, IndexFacts
from nextitem.storage import write_text
from nextitem.storage.places import what_is_at

NAMES = (FACTS, CODED, EARLIER)
"""The files of an index, of whatever version."""


def store(run: Run, facts: IndexFacts, coded: Coded) -> None:
    """Put the index into the run, in place of an earlier one; the folder is replaced as a whole.

    Raises ArtefactError, ConfigurationError and StorageError as `changed_run`.
    """
    with changed_run(run, without=NAMES) as draft:
        write_text(draft / FACTS, facts.model_dump_json(indent=2) + "\n")
        coded.write(draft / CODED)


def remove(run: Run) -> bool:
    """Whether the run had an index, which it has no longer. Raises as `store`."""
    if not any(what_is_at(run.folder / name) is not None for name in NAMES):
        return False
    with changed_run(run, without=NAMES):
        return True


def take_out(draft: Path) -> bool:
    """Whether a run that is being written has an index, which it has no longer. Raises OSError."""
    names = [draft / name for name in NAMES if what_is_at(draft / name) is not None]
    for file in names:
        file.unlink()
    return bool(names)
