"""What a plan does not build as it is: counted without being drawn, and measured at a width that takes no time."""

import time
from typing import Any

import pytest
import torch

from nextitem.data.prepare import Prepared
from nextitem.experiment.plan import memory, plan
from nextitem.experiment.plan.memory import Work
from nextitem.experiment.plan.widths import MOST_WIDTH, growth, narrower, two_widths, weights_of
from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.encoders import BERT4Rec, GRU4Rec, SASRec
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.session import Session
from worlds.parts import sequence
from worlds.plans import CPU
from worlds.shelves import with_settings
from worlds.small_runs import chains, log_of, prepared_from

RECIPES = [resolve_recipe(load_preset(name)).value for name in preset_names()]
NEURAL = [recipe for recipe in RECIPES if recipe.learner.unplanned is None]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepared_from(log_of(chains()))


def wide(dim: int, **settings: Any) -> SequenceRecipe:
    encoder = SASRec(dim=dim, positions=8, **settings)
    return sequence(encoder=encoder, objective=NextItem(maximum_length=8)).sequence


@pytest.mark.parametrize("recipe", NEURAL, ids=lambda recipe: recipe.name)
def test_weights_are_counted_without_being_drawn(recipe: Any) -> None:
    parts = recipe.sequence
    before = torch.random.get_rng_state()
    assert weights_of(parts, 7, 3) == sum(weight.numel() for weight in parts.build(7, 0, 3).parameters())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("dim", "settings", "width"),
    [(64, {}, 64), (512, {}, 512), (513, {"heads": 1}, 512), (4096, {}, 512), (900, {"heads": 3}, 510)],
)
def test_vectors_are_narrowed_to_what_goes_with_the_other_settings(
    dim: int, settings: dict[str, int], width: int
) -> None:
    recipe = wide(dim, **settings)
    found = narrower(recipe)
    assert found.encoder.dim == width
    assert with_settings(found.encoder, dim=dim) == recipe.encoder
    assert (found is recipe) == (dim <= MOST_WIDTH)


def test_items_of_one_width_are_measured_as_they_are() -> None:
    ncf = resolve_recipe(load_preset("ncf"), ["items.layers=[1400,16,8]", "encoder.dim=708"]).value.sequence
    assert narrower(ncf) is ncf


@pytest.mark.parametrize(
    "encoder",
    [
        SASRec(dim=640, positions=8),
        BERT4Rec(dim=640, positions=8, heads=5),
        GRU4Rec(dim=640),
        GRU4Rec(dim=640, hidden=8),
    ],
    ids=["sasrec", "bert4rec", "gru4rec", "hidden"],
)
def test_what_a_wide_encoder_keeps_is_on_the_line_of_two_narrow_ones(encoder: Any) -> None:
    narrow = two_widths(encoder)
    assert narrow is not None
    assert narrow[0].dim < narrow[1].dim < encoder.dim
    found = memory._saved_at(encoder, 8, 1.0)
    assert found == pytest.approx(memory._saved(encoder.build(1), encoder, 8, 1.0), rel=0.02)


def test_each_part_grows_with_its_operations() -> None:
    less, more = wide(256), wide(512)
    found = growth(more, less, number_of_items=10**6, users=0)
    assert found["loss"] == 2.0
    assert found["negatives"] == 1.0
    assert 3.8 < found["encoder"] < 4.0  # nearly all of it are products of d by d
    assert found["optimiser"] == pytest.approx(2.0, rel=0.01)  # nearly all weights are the items'
    assert found["validation"] == pytest.approx(2.0, rel=0.03)  # and nearly all of an evaluation are their scores
    assert set(growth(less, less, 10, 0).values()) == {1.0}


def test_a_wide_model_is_planned_in_seconds_and_says_how(prepared: Prepared) -> None:
    started = time.perf_counter()
    recipe = sequence(encoder=SASRec(dim=4096, positions=8), objective=NextItem(maximum_length=8))
    found = plan.plan(recipe, prepared, Session(0))
    assert time.perf_counter() - started < 60  # as it is it took minutes
    assert (found.timed_width, found.as_dict()["timed_width"]) == (512, 512)
    assert str(found).endswith("from steps with encoder.dim=512")
    assert found.memory["weights"] == 4 * weights_of(recipe.sequence, 12, 30)


def test_masked_steps_of_a_wide_model_are_planned_too(prepared: Prepared) -> None:
    encoder = BERT4Rec(dim=1024, positions=8, blocks=1)
    recipe = sequence(encoder=encoder, objective=MaskedItem(maximum_length=8)).sequence
    work = Work.of(recipe, prepared, CPU, 0)
    narrow = recipe.model_copy(update={"encoder": with_settings(encoder, dim=512)})
    wide_, less = (memory.needed(parts, work, 12, CPU)["activations"] for parts in (recipe, narrow))
    assert 1.5 < wide_ / less < 2.5
