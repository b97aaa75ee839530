"""All events of a run learnt before it is served."""

import hashlib
from pathlib import Path

import pytest
import torch

from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.folder.logs import stored_log
from nextitem.experiment.folder.reading import PAGE, read_run
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.forget import forget
from nextitem.serving.renewal.refit import refit
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, outcome
from worlds.stored_runs import written


def test_the_stored_log_is_the_one_that_was_learnt_from(tmp_path: Path) -> None:
    run = read_run(written(tmp_path))
    assert stored_log(run).sha256() == run.metrics.provenance.events_sha256


@pytest.mark.parametrize("name", ["sasrec-ce", "sasrec-sampled", "fpmc", "popularity"])
def test_a_refit_learns_every_event_and_says_that_nothing_was_measured(tmp_path: Path, name: str) -> None:
    run = read_run(written(tmp_path, name))
    found = refit(run, Session(0)).proven()
    events = int(outcome(name).prepared.log.sequences.lengths_U.sum())
    assert found.folder.name.endswith("-refit")
    assert found.metrics.refit is not None
    assert found.metrics.refit.of == run.folder.name
    manifest = (run.folder / "manifest.json").read_bytes()
    assert found.metrics.refit.manifest_sha256 == hashlib.sha256(manifest).hexdigest()
    assert found.metrics.refit.events == events == int(found.items["count"].sum())
    assert found.metrics.epochs == len(found.history) == run.metrics.best_epoch
    assert (found.metrics.test.means, found.metrics.certificate.metrics) == ({}, ())
    assert "**Not evaluated.**" in (found.folder / "README.md").read_text()
    assert "was not evaluated" in found.metrics.notes[0]
    recommender = Recommender.load(found.folder)
    assert len(recommender.recommend(users=recommender.known_users()[:3], k=2)) == 3


def test_the_same_refit_has_the_same_bits(tmp_path: Path) -> None:
    run = read_run(written(tmp_path))
    first, second = (refit(run, Session(0)).weights for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_was_not_evaluated_is_neither_compared_nor_shown_nor_evaluated_nor_refit(tmp_path: Path) -> None:
    found = refit(read_run(written(tmp_path)), Session(0))
    for asked in (
        lambda: found.proven(*PAGE),
        lambda: evaluate_again(found, "test", ["ndcg@10"]),
        lambda: refit(found, Session(0)),
    ):
        with pytest.raises(ConfigurationError, match=r"learnt all events of .*, those of its test too"):
            asked()


def test_a_forgotten_user_is_not_learnt_again(tmp_path: Path) -> None:
    folder = written(tmp_path)
    user = Recommender.load(folder).known_users()[0]
    forget(read_run(folder), user)
    found = refit(read_run(folder), Session(0))
    assert user not in Recommender.load(found.folder).known_users()
    assert forget(found, Recommender.load(found.folder).known_users()[0]).events


def test_a_run_without_users_has_nothing_to_be_learnt_again(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stored without its users"):
        refit(read_run(written(tmp_path, with_users=False)), Session(0))


def test_the_best_number_of_epochs_is_taken_whatever_ended_the_training() -> None:
    training = RECIPES["sasrec-ce"].sequence.training
    assert training.patience is not None
    exact = RECIPES["sasrec-ce"].sequence.as_chosen(7, {}).training
    assert (exact.epochs, exact.patience, exact.steps) == (7, None, None)
