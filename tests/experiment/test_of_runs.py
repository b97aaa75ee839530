"""Finished runs made one: a run like any other, or a refusal that says what differs."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from nextitem.data.interactions import Interactions
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.again import evaluate_again, restore_own
from nextitem.experiment.combined import Blend
from nextitem.experiment.folder.reading import PAGE, Run, read_run
from nextitem.experiment.of_runs import Place, blend, ensemble
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.repetition import remaking_command
from nextitem.experiment.train import Extras, train
from nextitem.model.baselines import Popularity
from nextitem.report.run.evidence import Evidence
from nextitem.report.run.page import report_page
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.forget import forget
from nextitem.serving.renewal.refit import refit
from nextitem.serving.renewal.update import update
from nextitem.training.session import Session
from worlds.small_runs import ITEMS, RECIPES, chains, log_of, write_csv

BARE = Extras(baselines=False)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two seeds of a model and another model, trained on one file."""
    folder = tmp_path_factory.mktemp("members")
    data = str(write_csv(log_of(chains()), folder / "events.csv"))
    asked = (("sasrec-ce", 0), ("sasrec-ce", 1), ("gru4rec", 0))
    return [
        train(RECIPES[name].model_copy(update={"data": data, "name": name}), Session(seed), folder, extras=BARE)
        for name, seed in asked
    ]


@pytest.fixture(scope="module")
def made(members: Sequence[Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return ensemble(members, place=Place(tmp_path_factory.mktemp("made"), extras=Extras()))


def test_an_ensemble_of_runs_is_a_run_with_metrics_of_its_own(members: Sequence[Run], made: Run) -> None:
    found = read_run(made.folder).proven(*PAGE)
    assert found.certificate == members[0].certificate
    assert found.metrics.train_seconds == pytest.approx(sum(run.metrics.train_seconds for run in members), abs=0.01)
    assert found.metrics.parameters == sum(run.metrics.parameters for run in members)
    assert found.metrics.epochs == 0
    assert [(one.run, one.recipe, one.seed) for one in found.metrics.made_of or ()] == [
        (run.folder.name, run.recipe.name, run.seed) for run in members
    ]
    for part in ("validation", "test"):
        again = evaluate_again(found, part, ["ndcg@10"]).means["ndcg@10"]
        assert again == pytest.approx(getattr(found.metrics, part).means["ndcg@10"], abs=1e-12)
    assert found.metrics.baselines


def test_its_scores_are_the_mean_of_those_of_its_members(members: Sequence[Run], made: Run) -> None:
    known = Recommender.from_run(made).known
    assert known.histories is not None
    mean = sum(restore_own(run).query(known.histories).scores(0, ITEMS) for run in members) / 3
    torch.testing.assert_close(known.scorer.query(known.histories).scores(0, ITEMS), mean)


def test_its_card_names_the_members(members: Sequence[Run], made: Run) -> None:
    card = (made.folder / "README.md").read_text()
    assert "Ensemble of 3 models, mean of log-probabilities" in card
    for run in members:
        test = run.metrics.test.means["ndcg@10"]
        assert f"| {run.folder.name} | {run.recipe.name} | {run.seed} |" in card
        assert f"| {test:.4f} |" in card


def test_all_its_members_learn_all_events_again(made: Run, tmp_path: Path) -> None:
    found = refit(made, Session(0), tmp_path)
    assert found.weights["epochs"].tolist() == made.weights["epochs"].tolist()
    assert not torch.equal(found.weights["0.items.weight_Nd"], made.weights["0.items.weight_Nd"])
    assert found.metrics.made_of is None


def test_runs_that_were_asked_something_else_are_refused(members: Sequence[Run], tmp_path: Path) -> None:
    other = train(members[0].recipe.model_copy(update={"hide": "nothing"}), Session(3), tmp_path, extras=BARE)
    with pytest.raises(ConfigurationError, match=r"not measured on the same .hidden history and nothing."):
        ensemble([members[0], other])
    data = str(write_csv(log_of(chains(seed=1)), tmp_path / "events.csv"))
    elsewhere = train(members[0].recipe.model_copy(update={"data": data}), Session(3), tmp_path, extras=BARE)
    with pytest.raises(ConfigurationError, match=r"not measured on the same .*split"):
        ensemble([members[0], elsewhere])


def test_what_is_no_ensemble_is_refused(members: Sequence[Run], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="two runs or more, and got 1"):
        ensemble(members[:1])
    with pytest.raises(ConfigurationError, match="the same model with the same seed, 0"):
        ensemble([members[0], members[0]])
    counted = train(Recipe(data=members[0].recipe.data, model=Popularity()), Session(0), tmp_path, extras=BARE)
    with pytest.raises(ConfigurationError, match="is the baseline popularity"):
        ensemble([members[0], counted])
    forgetful = train(members[0].recipe, Session(9), tmp_path, extras=BARE)
    forget(forgetful, "u00")
    with pytest.raises(ConfigurationError, match="forgot 1 user, whom the log that it learnt from has still"):
        ensemble([members[0], read_run(forgetful.folder)])


def test_a_damaged_member_is_refused(members: Sequence[Run], tmp_path: Path) -> None:
    damaged = train(members[0].recipe, Session(8), tmp_path, extras=BARE)
    file = damaged.folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(ArtefactError, match=r"model\.safetensors"):
        ensemble([members[0], read_run(damaged.folder)])


def test_a_blend_of_a_run_is_a_run_whose_weights_validation_chose(made: Run, members: Sequence[Run]) -> None:
    found = blend(members[0], Blend(co_occurrence=(0.0, 1.0), decay=(0.0,)), Place(made.folder.parent, extras=BARE))
    assert found.recipe.name == "sasrec-ce-blend"
    assert found.seed == members[0].seed
    assert found.metrics.best_epoch == members[0].metrics.best_epoch
    assert found.weights["tried"].shape == (2, 5)
    assert found.metrics.validation.means["ndcg@10"] >= members[0].metrics.validation.means["ndcg@10"]
    (said,) = (note for note in found.metrics.notes if "blends validation chose" in note)
    assert ("no larger weight of co-occurrence was tried" in said) == (found.weights["chosen"][0] == 1.0)
    assert found.metrics.made_of is not None
    again = evaluate_again(found, "test", ["ndcg@10"]).means["ndcg@10"]
    assert again == pytest.approx(found.metrics.test.means["ndcg@10"], abs=1e-12)
    with pytest.raises(ConfigurationError, match="is of blend, and counts are added to a sequence"):
        blend(found)


def test_recent_popularity_that_is_not_chosen_asks_for_no_times(made: Run) -> None:
    asked = Blend(co_occurrence=(1.0,), decay=(0.0,), recent=(0.0, 1e9), days=(1e-9,))
    found = blend(made, asked, Place(extras=BARE))
    assert found.weights["chosen"].tolist()[2] == 0.0
    assert not found.recipe.learner.reads_times
    assert len(found.weights["tried"]) == 2


def test_its_page_says_how_it_is_made_again(made: Run, members: Sequence[Run]) -> None:
    page = report_page([Evidence.of(made)], [restore_own(made)])
    assert f"nextitem ensemble {' '.join(run.folder.name for run in members)}" in page


def test_its_command_has_what_was_not_the_default(made: Run, members: Sequence[Run], tmp_path: Path) -> None:
    named = Place(tmp_path, "both", extras=BARE)
    by_probability = ensemble(members[:2], "probability", named)
    runs = " ".join(run.folder.name for run in members[:2])
    assert remaking_command(by_probability) == f"nextitem ensemble {runs} --average probability --name both"
    blended = blend(made, Blend(co_occurrence=(0.0, 0.5), decay=(0.0,), last=2), Place(tmp_path, extras=BARE))
    options = "--co-occurrence 0,0.5 --decay 0 --last 2"
    assert remaking_command(blended) == f"nextitem blend {made.folder.name} {options}"


@pytest.mark.parametrize("is_blend", [False, True])
def test_new_events_are_learnt_anew_by_all_of_it(made: Run, members: Sequence[Run], is_blend: bool) -> None:
    asked = Blend(co_occurrence=(0.0, 0.5), decay=(0.0,))
    run = blend(members[0], asked, Place(made.folder.parent, extras=BARE)) if is_blend else made
    users = run.users
    assert users is not None
    rows = [(user, f"i{(n + step) % 12:02}", 1e6 + 10 * n + step) for n, user in enumerate(users["user"])
            for step in (0, 1)]  # fmt: skip
    found = update(run, Interactions.from_columns(*zip(*rows, strict=True)), Session(0))
    assert any(note.startswith("all of it is trained anew") for note in found.trained.metrics.notes)
    assert found.beside.evaluation.certificate.cases == len(found.trained.outcome.test.above_C)
    assert found.store(made.folder.parent / "updated").recipe.model.name == run.recipe.model.name
