"""A run that is changed: a copy of its folder, which takes its place as a whole."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from nextitem.experiment.folder.reading import RUN, Run
from nextitem.storage import MANIFEST, alone_in, whole_folder


@contextmanager
def changed_run(run: Run, without: Collection[str] = ()) -> Iterator[Path]:
    """A copy of a run to change, which is the run when the block ends; where it fails nothing has changed.

    Files that it is to be `without` are left out, whatever has become of them.

    Whoever is killed meanwhile leaves the earlier run or the new one. Raises ArtefactError for a run whose files are
    not those of its manifest, ConfigurationError where another process changes it, and StorageError.
    """
    place = run.folder.absolute()
    alone = alone_in(place.parent / ".partial" / place.name, "changes the run of that name")
    with alone, whole_folder(place, replace=True) as draft:
        run.write(draft, without)
        yield draft
        (draft / MANIFEST).unlink(missing_ok=True)
        RUN.seal(draft)
