"""Trainings one after another on this machine, each in a process of its own, which is started by hand.

`concurrent.futures.ProcessPoolExecutor` would be shorter, but tells no exit code of a process that died, takes nothing
more after one did, and on Ctrl-C waits until the training is over (docs/log.md has the measurements).
"""

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from nextitem.compute.streams import quieten_libraries, taking_everything
from nextitem.engine.entries import Place
from nextitem.engine.one import trained
from nextitem.errors import NextitemError, TrainingError
from nextitem.experiment.recipe import Recipe


@dataclass(frozen=True)
class _Asked:
    """A training that begins when its folder is asked for."""

    recipe: Recipe
    seed: int
    place: Place

    def folder(self) -> Path:
        """The folder of the run that another process makes now."""
        context = multiprocessing.get_context("spawn")  # a forked torch may hang
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_train, args=(theirs, self.recipe.model_dump_json(), self.seed, self.place), daemon=True
        )
        _start_uninterrupted(process)
        theirs.close()
        try:
            try:
                # Polars has the system restart a read that Ctrl-C interrupts, so that one would wait for the answer.
                while not ours.poll(1.0):
                    pass
                answered: Path | NextitemError | None = ours.recv()
            except EOFError:
                answered = None
            process.join()
        except BaseException:
            process.terminate()  # its last full epoch is on disk
            process.join()
            raise
        if answered is None:  # it ended without a word
            raise TrainingError(f"its process ended with {_ending(process.exitcode)}")
        if isinstance(answered, NextitemError):
            raise answered
        return answered


class LocalEngine:
    """Trainings on this machine, one at a time, in the order in which they are waited for."""

    def submit(self, recipe: Recipe, seed: int, place: Place) -> _Asked:
        """A training that begins when it is waited for; asked again after it failed, it is tried again."""
        return _Asked(recipe, seed, place)


LOCAL = LocalEngine()


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
    """In the other process: train, and answer the folder or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the process that waits, which ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if place.threads is not None:
        torch.set_num_threads(place.threads)
    quieten_libraries()
    with taking_everything():
        answer.send(trained(Recipe.model_validate_json(recipe_json), seed, place))


def _end_with_parent() -> None:
    """A training that nobody waits for any more would hold its folder's lock."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
