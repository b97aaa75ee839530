"""Trainings one after another, each in a process of its own: its peak of memory is its own, and so is its end.

What is finished is found on disk and not trained again; what was interrupted goes on from its last full epoch.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch
from rich.console import Console

from nextitem.compute.processes import Alone
from nextitem.data.prepare import prepare
from nextitem.data.source import Source
from nextitem.engine.entries import Contestant, Entry, Place
from nextitem.errors import ConfigurationError, NextitemError
from nextitem.experiment.folder.reading import FinishedRun, deciding, find_runs, read_finished
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import Extras, settle_earlier, train_into
from nextitem.training.session import Session
from nextitem.training.watchers.progress import watcher


def train_each(
    entries: Sequence[Entry],
    seeds: Iterable[int],
    place: Place,
    say: Callable[[str], None],
    *,
    beside: Sequence[FinishedRun] = (),
) -> list[Contestant]:
    """Every entry with a finished run per seed, from disk or trained now; a training that fails is told of in its row.

    A run is used again when settings, events and seed are those of the entry. Seeds are the outer loop, so that what
    is there after an interruption is comparable. Raises what preparing the data raises, and ConfigurationError, before
    anything is trained, where entries and the runs `beside` which they will stand are not measured on the same cases.
    """
    finished = _Finished(entries, place, say)
    finished.check_cases(beside)
    runs: dict[str, list[FinishedRun]] = {entry.label: [] for entry in entries}
    failures: dict[str, list[str]] = {entry.label: [] for entry in entries}
    for seed in seeds:
        for entry in entries:
            found = finished.run(entry, seed)
            where = "training" if found is None else f"finished in {found.folder}"
            say(f"{entry.label}, seed {seed}: {where}")
            run = found or _trained(entry.recipe, seed, place)
            if isinstance(run, FinishedRun):
                runs[entry.label].append(run)
                finished.known.append(run)  # another entry may be the same under another name
            else:
                say(f"{entry.label}, seed {seed} failed: {run}")
                failures[entry.label].append(f"seed {seed} failed: {run}")
    return [Contestant(entry.label, tuple(runs[entry.label]), tuple(failures[entry.label])) for entry in entries]


def find_each(
    entries: Sequence[Entry], seeds: Iterable[int], place: Place, say: Callable[[str], None]
) -> list[Contestant]:
    """As `train_each`, but what is not on disk is left out."""
    finished, wanted = _Finished(entries, place, say), list(seeds)
    found = [[finished.run(entry, seed) for seed in wanted] for entry in entries]
    return [
        Contestant(entry.label, tuple(run for run in runs if run is not None))
        for entry, runs in zip(entries, found, strict=True)
    ]


class _Finished:
    """The finished runs on disk, and which of them an entry's are."""

    def __init__(self, entries: Sequence[Entry], place: Place, say: Callable[[str], None]) -> None:
        self.known = find_runs(dict.fromkeys((place.out, *place.others)), say)
        sources = {Source.of(entry.recipe): entry.recipe for entry in entries}
        self.events = {source: _fingerprint(recipe) for source, recipe in sources.items()}

    def check_cases(self, beside: Sequence[FinishedRun]) -> None:
        """Raise ConfigurationError where the entries' test cases are not each other's, or not those of `beside`."""
        splits = {split: f"data={source.name}" for source, (_, split) in self.events.items()}
        splits |= {str(run.certificate["split"]): str(run.folder) for run in beside}
        if len(splits) > 1:
            raise ConfigurationError(
                f"{' and '.join(splits.values())} have different test cases, so what is measured on them cannot be "
                f"compared; compare on the same data, split and filters"
            )

    def run(self, entry: Entry, seed: int) -> FinishedRun | None:
        """The latest run of these settings, events and seed."""
        wanted, events = deciding(entry.recipe), self.events[Source.of(entry.recipe)]
        for run in reversed(self.known):
            whole = run.metrics["provenance"].get("events_sha256", events[0])  # not told by the first runs there were
            same_events = (whole, run.certificate["split"]) == events
            if run.seed == seed and same_events and deciding(run.recipe) == wanted:
                return run
        return None


def _fingerprint(recipe: Recipe) -> tuple[str, str]:
    """Of all events, and of the test histories and targets."""
    prepared = prepare(recipe)
    return prepared.log.sha256(), prepared.split.test.sha256


def _trained(recipe: Recipe, seed: int, place: Place) -> FinishedRun | str:
    """The run of a training made in another process, or why there is none."""
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(theirs, recipe.model_dump_json(), seed, place), daemon=True)
    _start_uninterrupted(process)
    theirs.close()
    try:
        try:
            # Polars has the system restart a read that Ctrl-C interrupts, so that one would wait for the answer.
            while not ours.poll(1.0):
                pass
            folder, problem = ours.recv()
        except EOFError:  # it ended without a word
            folder, problem = None, None
        process.join()
    except BaseException:
        process.terminate()  # its last full epoch is on disk
        process.join()
        raise
    if folder is not None:
        return read_finished(Path(folder))
    return problem or f"its process ended with {_ending(process.exitcode)}"


def _start_uninterrupted(process: SpawnProcess) -> None:
    """Start it with Ctrl-C blocked, so that one while it still imports ends it by our word and without a traceback."""
    resource_tracker.ensure_running()  # which would lift the block if it started the tracker only then
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, as happens when memory runs out" if name == "SIGKILL" else name


def _train(answer: Connection, recipe_json: str, seed: int, place: Place) -> None:
    """In the other process: train, and answer (folder, None) or (None, the problem)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the process that waits, which ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if place.threads is not None:
        torch.set_num_threads(place.threads)
    recipe, device = Recipe.model_validate_json(recipe_json), torch.device(place.device)
    workplace = Workplace.of(place.out, recipe, seed)
    stderr = Console(stderr=True)
    display = watcher(stderr, recipe.training, f"{recipe.name} on {recipe.data}, seed {seed}")

    def say(text: str) -> None:
        stderr.print(text, markup=False, highlight=False, soft_wrap=True)

    try:
        can_go_on = device.type == "cpu" and not place.fresh
        settle_earlier(workplace, device, resume=can_go_on, fresh=not can_go_on)
        folder, _ = train_into(
            workplace, recipe, Session(seed, Alone(device), display), say, Extras(report=place.report)
        )
    except NextitemError as error:
        answer.send((None, str(error)))
    except Exception as error:
        answer.send((None, f"internal error: {type(error).__name__}: {error}"))
    else:
        answer.send((str(folder), None))
    finally:
        display.close()


def _end_with_parent() -> None:
    """A training that nobody waits for any more would hold its folder's lock."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
