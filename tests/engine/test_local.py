"""A training in a process of its own: its run's folder, or words about how it ended."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from nextitem.engine.entries import Place
from nextitem.engine.local import LOCAL
from nextitem.errors import TrainingError
from nextitem.experiment.recipe import Recipe
from nextitem.model.baselines import Popularity
from worlds.small_runs import RECIPES, chains, log_of, write_csv


@pytest.fixture
def events(tmp_path: Path) -> str:
    return str(write_csv(log_of(chains()), tmp_path / "events.csv"))


def asked_of_the_only_child(number: int) -> threading.Thread:
    """A thread that sends a signal to the process of a training as soon as there is one."""

    def send() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        os.kill(children[0].pid or 0, number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_a_training_ends_with_its_folder(events: str, tmp_path: Path) -> None:
    recipe = Recipe(name="popular", data=events, model=Popularity())
    folder = LOCAL.submit(recipe, 3, Place(tmp_path / "runs")).folder()
    assert folder.parent == tmp_path / "runs"
    assert (folder / "metrics.json").is_file()


def test_what_was_said_of_all_is_not_said_of_each(
    events: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(name="popular", data=events, model=Popularity())
    note = "column 'time' orders the events of a user; users are in 'user', items in 'item'"
    heard = []
    for seed, told in enumerate(((), (note,))):
        LOCAL.submit(recipe, seed, Place(tmp_path / "runs", told=told)).folder()
        heard.append(capfd.readouterr().err.count(note))
    assert heard == [1, 0]


def test_nothing_begins_before_it_is_waited_for(events: str, tmp_path: Path) -> None:
    LOCAL.submit(Recipe(data=events, model=Popularity()), 0, Place(tmp_path / "runs"))
    assert multiprocessing.active_children() == []
    assert not (tmp_path / "runs").exists()


def test_an_error_of_a_training_comes_in_its_own_words(tmp_path: Path) -> None:
    recipe = Recipe(data=str(tmp_path / "none.csv"), model=Popularity())
    with pytest.raises(TrainingError, match=r"there is no file .*none\.csv; "):
        LOCAL.submit(recipe, 0, Place(tmp_path / "runs")).folder()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGKILL, "its process ended with SIGKILL, as happens when memory runs out"),
        (signal.SIGTERM, "its process ended with SIGTERM"),
    ],
)
def test_a_training_that_was_killed_says_by_what(events: str, tmp_path: Path, number: int, words: str) -> None:
    recipe = RECIPES["sasrec-ce"].model_copy(update={"data": events})
    killer = asked_of_the_only_child(number)
    with pytest.raises(TrainingError) as caught:
        LOCAL.submit(recipe, 0, Place(tmp_path / "runs")).folder()
    killer.join()
    assert str(caught.value) == words
    assert multiprocessing.active_children() == []


def test_what_interrupts_the_waiting_ends_the_training(
    events: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ImpatientError(Exception):
        pass

    def poll(self: object, seconds: float) -> bool:
        raise ImpatientError

    monkeypatch.setattr("nextitem.engine.local.Connection.poll", poll)
    recipe = RECIPES["sasrec-ce"].model_copy(update={"data": events})
    with pytest.raises(ImpatientError):
        LOCAL.submit(recipe, 0, Place(tmp_path / "runs")).folder()
    assert multiprocessing.active_children() == []
