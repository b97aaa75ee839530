"""A run learnt again with its validation events: settings that were chosen, the same test, and a label."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nextitem.data.prepare import prepare
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.again import evaluate_again, restore_own
from nextitem.experiment.combined import Blend
from nextitem.experiment.folder.reading import PAGE, Run, read_run
from nextitem.experiment.of_runs import Place, blend, ensemble
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.relearnt import relearn
from nextitem.experiment.train import Extras, train
from nextitem.model.baselines import Popularity
from nextitem.report.run.evidence import Evidence
from nextitem.report.run.page import report_page
from nextitem.serving.renewal.refit import refit
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains, log_of, write_csv

BARE = Extras(baselines=False)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("members")
    data = str(write_csv(log_of(chains()), folder / "events.csv"))
    recipe = RECIPES["sasrec-ce"].model_copy(update={"data": data, "name": "sasrec-ce"})
    return [train(recipe, Session(seed), folder, extras=BARE) for seed in (0, 1)]


@pytest.fixture(scope="module")
def again(members: list[Run]) -> Run:
    return relearn(members[0], Session(0), Place(extras=BARE))


def test_it_is_the_training_of_so_many_epochs_of_both_parts(members: list[Run], again: Run) -> None:
    recipe = members[0].recipe
    exact = recipe.sequence.as_chosen(members[0].metrics.best_epoch, {})
    prepared = prepare(recipe)
    by_hand = exact.learn(replace(prepared, split=prepared.split.with_validation()), Session(0))
    for name, tensor in by_hand.scorer.tensors().items():
        assert torch.equal(again.weights[name], tensor), name
    assert again.metrics.epochs == again.metrics.best_epoch == members[0].metrics.best_epoch
    assert int(again.items["count"].sum()) == int(members[0].items["count"].sum()) + len(prepared.split.validation)


def test_it_is_measured_on_the_same_test_and_labelled(members: list[Run], again: Run) -> None:
    found, before = read_run(again.folder).proven(*PAGE), members[0]
    assert found.recipe.name == "sasrec-ce-refit"
    assert found.certificate == before.certificate
    assert evaluate_again(found, "test", ["ndcg@10"]).means["ndcg@10"] == found.metrics.test.means["ndcg@10"]
    assert any("validation events were learnt too" in note for note in found.metrics.notes)
    assert found.metrics.notes[-1] == (
        f"settings and number of epochs are those that validation chose in {before.folder.name}"
    )
    assert found.metrics.chosen_by is not None
    assert found.metrics.chosen_by.run == before.folder.name
    assert not any(epoch.validation for epoch in found.history)
    assert found.seconds_to(0.95) is None


def test_its_page_and_its_last_refit_are_made_as_those_of_any_run(again: Run, tmp_path: Path) -> None:
    assert "validation events were learnt too" in report_page([Evidence.of(again)], [restore_own(again)])
    served = refit(again, Session(0), tmp_path)
    assert served.metrics.epochs == again.metrics.epochs
    assert not served.recipe.learner.learns_validation


def test_a_blend_of_an_ensemble_keeps_what_was_chosen_and_counts_more(members: list[Run], tmp_path: Path) -> None:
    both = ensemble(members, place=Place(tmp_path, extras=BARE))
    blended = blend(both, Blend(co_occurrence=(0.0, 0.5), decay=(0.0,)), Place(extras=BARE))
    found = relearn(blended, Session(0), Place(extras=BARE))
    assert found.weights["chosen"].tolist() == blended.weights["chosen"].tolist()
    assert found.weights["model.epochs"].tolist() == both.weights["epochs"].tolist()
    assert int(found.weights["pairs.counts"].sum()) == int(blended.weights["pairs.counts"].sum()) + 30  # each user's
    assert not len(found.weights["tried"])
    knowing = relearn(both, Session(0), Place(extras=BARE))
    with pytest.raises(ConfigurationError, match=r"learns validation events .*could not choose the weights"):
        blend(knowing)
    settled = blend(knowing, Blend(co_occurrence=(0.5,), decay=(0.0,)), Place(extras=BARE))
    assert torch.equal(settled.weights["pairs.counts"], found.weights["pairs.counts"])


def test_what_cannot_learn_more_is_refused(members: list[Run], again: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has learnt its validation events already"):
        relearn(again, Session(0))
    counted = train(Recipe(data=members[0].recipe.data, model=Popularity()), Session(0), tmp_path, extras=BARE)
    with pytest.raises(ConfigurationError, match="popularity has no epochs that validation chose"):
        relearn(counted, Session(0))
    other = str(write_csv(log_of(chains(seed=1)), tmp_path / "events.csv"))
    with pytest.raises(DataError, match="is not the data that"):
        relearn(members[0], Session(0), Place(data=other))
    with pytest.raises(ConfigurationError, match=r"member 1 learns validation events .* others do not"):
        ensemble([members[1], again])
