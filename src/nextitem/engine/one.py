"""One training of many, in the process that makes it."""

from functools import partial
from pathlib import Path

import torch

from nextitem.compute.processes import Alone
from nextitem.compute.streams import say, stderr
from nextitem.engine.entries import Place
from nextitem.errors import NextitemError, StorageError, TrainingError
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import Extras, train
from nextitem.storage import when_free
from nextitem.training.session import Session
from nextitem.training.watchers.progress import watcher


def trained(recipe: Recipe, seed: int, place: Place, patience: float = 0.0) -> Path | NextitemError:
    """The folder of the finished run, or what ended the training: StorageError, or TrainingError in words for a row.

    It goes on where one was interrupted, and shows itself on stderr. `patience` is for how many seconds it waits where
    another process trains the same, as one may that is about to die.
    """
    split = recipe.split.describe().lower()
    title = f"{recipe.name} on {recipe.data}, {split} split, seed {seed}"
    told = {f"note: {note}" for note in place.told}
    display = watcher(stderr, recipe.learner.training, title)

    def anew(text: str) -> None:
        if text not in told:
            say(text)

    session = Session(seed, Alone(torch.device(place.device)), display)
    # What only counts is a row of the table, where it is asked for, and need not be measured beside each seed.
    extras = Extras(report=place.report, baselines=False)
    try:
        training = partial(train, recipe, session, place.out, fresh=place.fresh, say=anew, extras=extras)
        return when_free(training, patience).folder
    except StorageError as error:
        return error
    except NextitemError as error:
        return TrainingError(str(error))
    except Exception as error:
        return TrainingError(f"internal error: {type(error).__name__}: {error}")
    finally:
        display.close()
