"""The face of both kinds of models, by which everybody who has a recipe asks."""

import pytest
import torch

from nextitem.errors import ConfigurationError
from nextitem.experiment.recipe import Recipe
from nextitem.model.baselines import BPRMF, AnyBaseline, Popularity
from nextitem.model.losses import SampledCrossEntropy
from nextitem.model.negatives import InBatch
from nextitem.settings.keys import settings_of
from nextitem.training.session import Session
from worlds.parts import sequence
from worlds.small_runs import ITEMS, RECIPES, chains, log_of, prepared_from


def test_an_encoder_is_named_with_what_trains_it() -> None:
    plain = Recipe()
    assert plain.learner.described(1234, 5) == (
        "Encoder sasrec, objective next item, loss cross entropy; 1,234 weights, 5 epochs."
    )
    assert plain.learner.described(1234, 1).endswith(" 1 epoch.")
    sampled = sequence(loss=SampledCrossEntropy(), negatives=InBatch())
    assert ", loss sampled cross entropy, all targets of the step as negatives; " in sampled.learner.described(1234, 5)


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        (Popularity(), "Baseline popularity, which only counts."),
        (BPRMF(), "Baseline bpr mf, trained by a library; 1,234 weights."),
    ],
)
def test_a_baseline_is_named_with_how_it_is_made(baseline: AnyBaseline, said: str) -> None:
    assert Recipe(model=baseline).learner.described(1234, 5) == said


KINDS = {**RECIPES, "bpr-mf": Recipe(model=BPRMF(factors=4, iterations=5))}
each_kind = pytest.mark.parametrize("name", KINDS)


@each_kind
def test_what_was_learnt_is_restored_from_its_tensors(name: str) -> None:
    learner, prepared = KINDS[name].learner, prepared_from(log_of(chains()))
    found = learner.learn(prepared, Session(seed=0))
    again = learner.restore(found.scorer.tensors(), ITEMS)
    histories = prepared.split.test.histories
    assert torch.equal(again.query(histories).scores(0, ITEMS), found.scorer.query(histories).scores(0, ITEMS))


@each_kind
def test_numbers_are_told_of_what_was_learnt_and_not_of_counts_and_seconds_of_both(name: str) -> None:
    learner = KINDS[name].learner
    found = learner.learn(prepared_from(log_of(chains())), Session(seed=0))
    is_counted = "counts" in learner.described(found.parameters, len(found.history.epochs))
    assert (found.parameters == 0) == is_counted
    assert found.seconds > 0.0
    is_trained = learner.unplanned is None or name == "blend"  # which has the epochs of its model
    assert bool(found.history.epochs) == is_trained


@each_kind
def test_its_parts_are_those_that_the_recipe_names(name: str) -> None:
    recipe = KINDS[name]
    named = {value for key, value in settings_of(recipe).items() if key.endswith(".name")}
    assert recipe.learner.parts
    assert set(recipe.learner.parts) <= named


def test_a_baseline_has_no_parts_to_be_looked_at() -> None:
    with pytest.raises(ConfigurationError, match="counts is the baseline popularity, which has no encoder and no loss"):
        Recipe(name="counts", model=Popularity()).sequence  # noqa: B018


def test_validation_events_are_learnt_by_who_asks_for_them_alone() -> None:
    assert Recipe(model=BPRMF(events="train_and_validation")).learner.learns_validation
    assert not any(recipe.learner.learns_validation for recipe in KINDS.values())
