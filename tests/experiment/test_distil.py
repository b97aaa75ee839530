"""Runs distilled into one model: a run of its own, which says who taught it and answers without them."""

import shutil
from pathlib import Path

import pytest
import torch

from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.combined import Blend
from nextitem.experiment.distil import student
from nextitem.experiment.folder.reading import PAGE, Run, read_run
from nextitem.experiment.of_runs import Place, blend, ensemble
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.relearnt import relearn
from nextitem.experiment.repetition import repeating_overrides
from nextitem.experiment.run import run
from nextitem.experiment.train import Extras, train
from nextitem.model.baselines import Popularity
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.refit import refit
from nextitem.training.history import Epoch, History
from nextitem.training.lessons import Heard
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains, log_of, write_csv

BARE = Extras(baselines=False)
HEARD = Heard(weight=0.7, temperature=2.0, top=5)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("members")
    data = str(write_csv(log_of(chains()), folder / "events.csv"))
    asked = (("sasrec-ce", 0), ("gru4rec", 1))
    return [
        train(RECIPES[name].model_copy(update={"data": data, "name": name}), Session(seed), folder, extras=BARE)
        for name, seed in asked
    ]


@pytest.fixture(scope="module")
def together(members: list[Run]) -> Run:
    return ensemble(members, place=Place(extras=BARE))


@pytest.fixture(scope="module")
def distilled(together: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(student([together], HEARD), Session(5), tmp_path_factory.mktemp("distilled"), extras=BARE)


def test_it_is_a_run_of_the_first_members_model_that_names_its_teacher(together: Run, distilled: Run) -> None:
    found, first = read_run(distilled.folder).proven(*PAGE), together.recipe.learner
    assert found.recipe.name == "ensemble-distilled"
    assert found.recipe.sequence.untaught() == first.members[0].model  # type: ignore[attr-defined]
    assert found.certificate == together.certificate
    assert [(one.run, one.test) for one in found.metrics.taught_by or ()] == [
        (together.folder.name, together.metrics.test.means)
    ]
    assert any(f"taught by {together.folder.name}" in note for note in found.metrics.notes)
    assert "taught by 1 run;" in found.recipe.learner.described(7, 2)


def test_several_runs_teach_as_their_ensemble_does(members: list[Run], distilled: Run, tmp_path: Path) -> None:
    found = train(student(members, HEARD), Session(5), tmp_path, extras=BARE)
    for name, tensor in found.weights.items():
        assert torch.equal(tensor, distilled.weights[name]), name


def test_it_learns_something_else_than_without_and_answers_alone(
    members: list[Run], together: Run, tmp_path: Path
) -> None:
    shutil.copytree(together.folder, tmp_path / "teacher")
    recipe = student([read_run(tmp_path / "teacher")], HEARD, overrides=["training.epochs=1"])
    found = train(recipe, Session(0), tmp_path, extras=BARE)
    alone = train(recipe.model_copy(update={"model": recipe.sequence.untaught()}), Session(0), tmp_path, extras=BARE)
    assert not torch.equal(found.weights["items.weight_Nd"], alone.weights["items.weight_Nd"])
    shutil.rmtree(tmp_path / "teacher")
    assert Recommender.load(found.folder).recommend([["i01", "i02"]], k=3)[0]
    with pytest.raises(ArtefactError, match="teacher"):
        refit(found, Session(0), tmp_path)


class Interrupts:
    """Ends a training after its first epoch."""

    def step(self, epoch: int, step: int, steps: int) -> None: ...

    def epoch(self, epoch: Epoch, history: History) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_one_goes_on_to_the_same_bits(together: Run, distilled: Run, tmp_path: Path) -> None:
    recipe = student([together], HEARD)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, Session(5, watcher=Interrupts()), tmp_path, extras=BARE)
    found = train(recipe, Session(5), tmp_path, extras=BARE)
    for name, tensor in found.weights.items():
        assert torch.equal(tensor, distilled.weights[name]), name


def test_it_learns_all_events_again_from_the_same_teacher(distilled: Run, tmp_path: Path) -> None:
    assert refit(distilled, Session(5), tmp_path).recipe.sequence.teacher == distilled.recipe.sequence.teacher


def test_its_command_repeats_its_recipe(distilled: Run) -> None:
    preset, overrides = repeating_overrides(distilled.recipe)
    assert resolve_recipe(load_preset(preset), overrides).value == distilled.recipe


def test_who_cannot_teach_is_refused(members: list[Run], together: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nobody teaches"):
        student([])
    blended = blend(members[0], Blend(co_occurrence=(1.0,), decay=(0.0,)), Place(tmp_path, extras=BARE))
    with pytest.raises(ConfigurationError, match=r"is of blend, .* distil the run that it was made of, and blend the"):
        student([blended])
    data = members[0].recipe.data
    counted = train(Recipe(data=data, model=Popularity()), Session(0), tmp_path, extras=BARE)
    with pytest.raises(ConfigurationError, match="is of popularity, and a teacher is a sequence model"):
        train(student([members[0], counted]), Session(0), tmp_path)
    other = str(write_csv(log_of(chains(seed=1)), tmp_path / "events.csv"))
    with pytest.raises(ConfigurationError, match="learnt other events, or was tested on other cases"):
        train(student([together], overrides=[f"data={other}"]), Session(0), tmp_path)
    knowing = relearn(members[0], Session(0), Place(tmp_path, extras=BARE))
    with pytest.raises(ConfigurationError, match="learnt validation events, which are to choose the student's epoch"):
        train(student([knowing], model=members[0].recipe.sequence), Session(0), tmp_path)
    recipe = student([together])
    teacher = recipe.sequence.teacher
    assert teacher is not None
    unlike = recipe.sequence.model_copy(update={"teacher": teacher.model_copy(update={"manifests": ("0" * 64,)})})
    with pytest.raises(ArtefactError, match="is not the run that the recipe names: its manifest has sha256"):
        train(recipe.model_copy(update={"model": unlike}), Session(0), tmp_path)
    with pytest.raises(ConfigurationError, match="this session has no such teacher"):
        run(recipe, Session(0))


@pytest.mark.parametrize(
    ("override", "fact"),
    [
        ("loss.label_smoothing=0.1", "spreads a share of each target"),
        ("items=mixture", "score by no product"),
        ("objective.cloze_weight=1", "draws anew in every epoch"),
        ("teacher.weight=2", "teacher.weight"),
    ],
)
def test_what_cannot_be_taught_is_refused(together: Run, override: str, fact: str) -> None:
    with pytest.raises(ConfigurationError, match=fact):
        student([together], overrides=[override])


def test_a_sampled_loss_is_refused_with_the_loss_to_take(members: list[Run]) -> None:
    with pytest.raises(ConfigurationError, match=r"compares with drawn items, .* loss=cross_entropy negatives=none"):
        student(members, model=RECIPES["sasrec-bce"].sequence)
