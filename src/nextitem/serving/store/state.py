"""All that a service needs to begin again, in one file: runs, events and what changed in the catalogue."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.serving.store import database
from nextitem.serving.store.archive import EVENTS, RUNS, Contents, not_restored, unpack, write_archive
from nextitem.storage import MANIFEST, FileFacts, refusals, sha256, whole_file, whole_folder
from nextitem.storage.drafts import draft_of
from nextitem.storage.places import what_is_at

_FOR_EYES = ("README.md", "report.html")


@dataclass(frozen=True)
class State:
    """What was dumped or restored."""

    runs: tuple[str, ...]
    """Names of the folders."""
    events: int | None
    """How many are in the database; None where there is none."""
    bytes: int
    """Of all files together."""
    notes: tuple[str, ...] = ()
    """What was left out."""


def dump(runs: Sequence[Path], events: Path | None, out: Path) -> State:
    """Write runs and the database of a service into one file, every part of it proven; a service may go on meanwhile.

    What the database holds is its state at one moment. README.md and report.html that were edited are left out, and a
    note says so. Raises ArtefactError for what is damaged, ConfigurationError where two runs have one name, and
    StorageError.
    """
    sources, facts, notes = dict[str, Path](), dict[str, FileFacts](), list[str]()
    names = [run.resolve().name for run in runs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigurationError(f"two runs are called {twice[0]}; rename the folder of one of them")
    for name, folder in zip(names, runs, strict=True):
        notes += _take_run(name, read_run(folder), sources, facts)
    with ExitStack() as drafts, refusals(out, "free space or choose another --out"):
        count = None
        if events is not None:
            copy = drafts.enter_context(draft_of(out.with_name(f"{out.name}-{EVENTS}"), is_folder=False))
            database.copy(events, copy)
            count = database.count(copy)
            sources[EVENTS], facts[EVENTS] = copy, _facts(copy)
        made = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        contents = Contents(made=made, nextitem=version("nextitem"), files=dict(sorted(facts.items())))
        with whole_file(out) as draft:
            write_archive(draft, contents, sources)
    return State(tuple(names), count, sum(one.bytes for one in facts.values()), tuple(notes))


def restore(file: Path, out: Path) -> State:
    """Put what was dumped into a new folder, whole or not at all: `runs/NAME` and `events.db`.

    Raises ArtefactError for a file that is no dump, was altered or holds anything else, ConfigurationError where the
    folder is there, and StorageError.
    """
    with whole_folder(out) as draft:
        contents = unpack(file, draft)
        names = sorted({name.split("/")[1] for name in contents.files if name != EVENTS})
        for name in names:
            _prove_run(file, draft / RUNS / name)
        count = None
        if EVENTS in contents.files:
            count = database.count(draft / EVENTS)
    return State(tuple(names), count, sum(facts.bytes for facts in contents.files.values()))


def _take_run(name: str, run: Run, sources: dict[str, Path], facts: dict[str, FileFacts]) -> list[str]:
    """Add the files of a run, each proven by its manifest; notes on those that are left out."""
    if run.sealed is None:
        raise ArtefactError(f"{run.folder} has no {MANIFEST}; give a folder that `nextitem train` printed")
    notes = []
    for file, known in run.sealed.manifest.files.items():
        if file in _FOR_EYES and (fault := run.sealed.fault(file)) is not None:
            notes.append(f"{run.folder / file} {fault}; it is left out")
            continue
        sources[f"{RUNS}/{name}/{file}"], facts[f"{RUNS}/{name}/{file}"] = run.sealed.file(file), known
    sources[f"{RUNS}/{name}/{MANIFEST}"] = run.folder / MANIFEST
    facts[f"{RUNS}/{name}/{MANIFEST}"] = _facts(run.folder / MANIFEST)
    return notes


def _prove_run(file: Path, folder: Path) -> None:
    """Raise ArtefactError unless a folder is a whole run and nothing else."""
    try:
        run = read_run(folder)
        known = set() if run.sealed is None else {*run.sealed.manifest.files}
        there = {one.name for one in folder.iterdir()} - {MANIFEST}
        if strange := sorted(there - known):
            raise ArtefactError(f"{folder.name}/{strange[0]} is no file of that run")
        run.proven(*sorted(known - {*_FOR_EYES}))
    except ArtefactError as error:
        raise not_restored(file, error) from error


def _facts(file: Path) -> FileFacts:
    if what_is_at(file) is None:
        raise ArtefactError(f"there is no {file}")
    return FileFacts(bytes=file.stat().st_size, sha256=sha256(file))
