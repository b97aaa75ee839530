"""The seam between what is to be trained and what trains it."""

from pathlib import Path
from typing import Protocol

from nextitem.engine.entries import Place
from nextitem.experiment.recipe import Recipe


class Pending(Protocol):
    """A training that an engine was asked for."""

    def folder(self) -> Path:
        """The folder of the finished run, as soon as there is one.

        Raises TrainingError in words for a row of a table, whatever ended the training: an error, a crash, a signal;
        but StorageError where it could not be stored, which those to come could not be either.
        What interrupts the waiting, Ctrl-C for one, ends this training and all others that were asked for; the last
        full epoch of each stays on disk.
        """


class Engine(Protocol):
    """Something that makes trainings, each in a process of its own.

    So its peak of memory is its own, and its end ends nothing else. A training ends when the process that asked for it
    does: one that nobody waits for would hold its folder.
    """

    def submit(self, recipe: Recipe, seed: int, place: Place) -> Pending:
        """Ask for a training: it goes on where one was interrupted, and may begin at once or when it is waited for."""
