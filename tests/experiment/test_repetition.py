"""The command on a report gives the recipe of the run."""

import shlex

import pytest

from nextitem.experiment.combined import Blend, Ensemble, Member
from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.repetition import repeating_command, repeating_overrides, unchanged_preset
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.teacher import Teacher
from nextitem.model.baselines import CoOccurrence
from nextitem.model.encoders import FPMC, BERT4Rec, Caser, SASRec
from nextitem.model.items import Separate, Tied
from nextitem.model.losses import BinaryCrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import MaskedItem, NextFew, NextItem
from nextitem.training.training import Training
from worlds.parts import sequence

OWN = {
    "another encoder": sequence(encoder=BERT4Rec(dim=32), objective=MaskedItem(mask_probability=0.5)),
    "items of its own": sequence(encoder=FPMC(user_vectors=False), items=Tied(bias=True)),
    "a bias": Recipe(name="sasrec-ce", model=SequenceRecipe(items=Tied(bias=True))),
    "no bias": Recipe(name="caser", model=SequenceRecipe(encoder=Caser(), items=Separate())),
    "items of another encoder": Recipe(name="caser", model=SequenceRecipe(encoder=FPMC(dim=8))),
    "negatives": Recipe(name="mine", model=SequenceRecipe(loss=BinaryCrossEntropy(), negatives=Uniform(count=7))),
    "no patience": Recipe(
        name="sasrec-bce", model=SequenceRecipe(training=Training(patience=None, learning_rate=3e-4))
    ),
    "an ensemble": Recipe(
        name="both",
        model=Ensemble(
            members=(
                Member(seed=1, model=SequenceRecipe(encoder=SASRec(dim=32), training=Training(patience=None))),
                Member(
                    seed=2,
                    model=SequenceRecipe(encoder=FPMC(dim=8), objective=NextFew()),
                ),
            )
        ),
    ),
    "a blend": Recipe(name="counted", model=Blend(co_occurrence=(0.5,), model=SequenceRecipe(encoder=SASRec(dim=32)))),
    "a student": Recipe(name="taught", model=SequenceRecipe(teacher=Teacher(runs=("runs/my run",), weight=0.9))),
    "a baseline": Recipe(name="counts", model=CoOccurrence(window=3)),
    "a file": Recipe(
        data="my events/2026 [1].csv",
        model=SequenceRecipe(encoder=SASRec(heads=2), objective=NextItem(maximum_length=7)),
    ),
}


def repeated(recipe: Recipe) -> Recipe:
    """What a shell and `nextitem train` make of the command."""
    words = shlex.split(repeating_command(recipe, seed=3))
    assert words[:2] == ["nextitem", "train"]
    assert words[-2:] == ["--seed", "3"]
    return resolve_recipe(load_preset(words[2]), words[3:-2]).value


@pytest.mark.parametrize("dataset", ["synthetic", "ml-1m", "beauty"])
@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_is_repeated_by_its_name(preset: str, dataset: str) -> None:
    recipe = resolve_recipe(load_preset(preset), [f"data={dataset}"]).value
    assert repeated(recipe) == recipe
    assert repeating_overrides(recipe) == (preset, [f"data={dataset}"])
    assert unchanged_preset(recipe) == preset


@pytest.mark.parametrize("name", OWN)
def test_any_recipe_is_repeated_with_all_its_settings(name: str) -> None:
    assert repeated(OWN[name]) == OWN[name]
    assert unchanged_preset(OWN[name]) is None


def test_a_change_is_one_word() -> None:
    recipe = resolve_recipe(load_preset("sasrec-ce"), ["data=ml-1m", "encoder.dim=128"]).value
    assert repeating_command(recipe, seed=0) == "nextitem train sasrec-ce data=ml-1m encoder.dim=128"
    assert unchanged_preset(recipe) is None


def test_what_only_rounds_otherwise_leaves_a_preset_unchanged() -> None:
    recipe = resolve_recipe(load_preset("sasrec-ce"), ["loss.block_rows=64", "loss.tile_items=512"]).value
    assert repeated(recipe) == recipe
    assert unchanged_preset(recipe) == "sasrec-ce"
