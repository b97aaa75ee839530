"""A recipe trained into a folder by a program: stored, gone on with, or begun anew."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.compute.processes import Alone
from nextitem.data.interactions import Interactions
from nextitem.data.prepare import prepare
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import Extras, file_checkpoint, train
from nextitem.model.baselines import VSKNN, RecentPopularity
from nextitem.model.encoders import SASRec
from nextitem.model.losses import BinaryCrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import NextItem
from nextitem.training.history import Epoch, History, Silent
from nextitem.training.session import Session
from worlds.killed import KilledError, Killer
from worlds.small_runs import RECIPES, chains, log_of, sha256, write_csv


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    events = write_csv(log_of(chains()), tmp_path / "events.csv")
    return RECIPES["sasrec-ce"].model_copy(update={"name": "small", "data": str(events)})


class Counting(Silent):
    """Which epochs were trained."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def epoch(self, epoch: Epoch, history: History) -> None:
        self.epochs.append(epoch.epoch)


def test_a_run_is_stored_and_read(recipe: Recipe, tmp_path: Path) -> None:
    said: list[str] = []
    run = train(recipe, Session(3), tmp_path / "runs", say=said.append, extras=Extras(users=False))
    assert run.folder.parent == tmp_path / "runs"
    assert (run.recipe, run.seed, run.metrics.epochs, run.users) == (recipe, 3, 2, None)
    assert any(text.startswith("plan: ") for text in said)


@pytest.mark.parametrize(("fresh", "epochs"), [(False, [2]), (True, [1, 2])])
def test_what_was_interrupted_goes_on_unless_it_is_to_be_fresh(
    recipe: Recipe, tmp_path: Path, fresh: bool, epochs: list[int]
) -> None:
    whole = train(recipe, Session(0), tmp_path / "whole")
    with pytest.raises(KilledError):
        train(recipe, Session(0, watcher=Killer(1)), str(tmp_path / "runs"))
    run = train(recipe, Session(0, watcher=(counting := Counting())), tmp_path / "runs", fresh=fresh)
    assert counting.epochs == epochs
    assert sha256(run.weights) == sha256(whole.weights)


@pytest.mark.parametrize(
    ("baseline", "remedy"),
    [(VSKNN(), r"set model\.sampled=none"), (RecentPopularity(), "take the baseline popularity")],
)
def test_who_goes_by_times_says_what_to_do_without_them(
    baseline: VSKNN | RecentPopularity, remedy: str, recipe: Recipe, tmp_path: Path
) -> None:
    events = write_csv(Interactions(log_of(chains()).events.drop("time")), tmp_path / "untimed.csv")
    asked = recipe.model_copy(update={"data": str(events), "model": baseline})
    with pytest.raises(DataError, match=rf"the log has no times, so nobody knows which .*; .*{remedy}"):
        train(asked, Session(0), tmp_path / "runs")


def test_a_training_that_taught_nothing_leaves_no_run_and_no_checkpoint(recipe: Recipe, tmp_path: Path) -> None:
    parts = recipe.sequence.model_copy(update={"objective": NextItem(maximum_length=8, label_masking=1 - 1e-9)})
    said: list[str] = []
    with pytest.raises(DataError, match="no position of epoch 1 had a target"):
        train(recipe.model_copy(update={"model": parts}), Session(0), tmp_path / "runs", say=said.append)
    assert not [file for file in (tmp_path / "runs").rglob("*") if file.is_file() and "lock" not in file.name]


def test_what_an_epoch_could_not_teach_is_said_and_stored(recipe: Recipe, tmp_path: Path) -> None:
    """Half of the users have seen all items."""
    histories = [[0, 1, 2, 3, 0, 1], [2, 3, 2, 3, 1, 3]] * 4
    events = write_csv(log_of(histories), tmp_path / "seen.csv")
    update = {"loss": BinaryCrossEntropy(), "negatives": Uniform(count=1, exclude="history")}
    changed = {"data": str(events), "model": recipe.sequence.model_copy(update=update)}
    said: list[str] = []
    run = train(recipe.model_copy(update=changed), Session(0), tmp_path / "runs", say=said.append)
    note = "12 of 24 targets of epoch 1 taught nothing: no negative was left for them, or they weigh 0"
    assert f"note: {note}" in said
    assert note in run.metrics.notes


def test_several_processes_are_told_how_they_train_together(recipe: Recipe, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Two(Alone):
        size: int = 2

    with pytest.raises(ConfigurationError, match="2 processes train together by `torchrun -m nextitem train`"):
        train(recipe, Session(0, Two(torch.device("cpu"))), tmp_path / "runs")


@pytest.mark.parametrize("reads_times", [True, False])
def test_other_times_are_other_events_only_to_a_model_that_reads_them(
    reads_times: bool, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SASRec, "reads_times", reads_times)
    later = log_of(chains()).events.with_columns(time=pl.col("time") + 1)
    logs = {"before": log_of(chains()), "later": Interactions(later)}
    files = [write_csv(log, tmp_path / f"{name}.csv") for name, log in logs.items()]
    alike = [prepare(recipe.model_copy(update={"data": str(file)})) for file in files]
    identities = [file_checkpoint(tmp_path / "x", recipe, one, Session(0)).identity for one in alike]
    different = {key for key, value in identities[0].items() if value != identities[1][key]}
    assert different == ({"data"} if reads_times else set())
