"""What a training will take is known before it starts, and one that cannot fit is refused with what would."""

import json
import re
from typing import Any

import pytest
import torch

from nextitem.compute.randomness import Purpose, generator
from nextitem.data.prepare import Prepared
from nextitem.experiment.plan import memory, plan
from nextitem.experiment.plan.memory import Work, needed
from nextitem.experiment.plan.timing import PARTS
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.encoders import BERT4Rec, SASRec
from nextitem.model.items import Tied
from nextitem.model.losses import BPR, GBCE, BinaryCrossEntropy, BPRMax, SampledCrossEntropy
from nextitem.model.model import SequenceModel
from nextitem.model.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import sequence, with_parts
from worlds.plans import CPU, total
from worlds.small_runs import NEURAL, RECIPES, chains, log_of, prepared_from

SAMPLED_LOSSES = [BPR(), BPRMax(), GBCE(), BinaryCrossEntropy()]
SAMPLED = sequence(loss=SampledCrossEntropy(), negatives=Uniform(count=100, sharing="batch"))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepared_from(log_of(chains()))


def test_the_work_of_an_epoch_is_that_of_its_steps(prepared: Prepared) -> None:
    recipe = RECIPES["sasrec-ce"]
    windows = recipe.sequence.objective.windows(prepared.split.train)
    work = Work.of(recipe.sequence, prepared, CPU, 0)
    assert work.steps == 4  # 30 windows by 8
    assert work.positions == int(windows.lengths_U.sum()) - 30
    order = torch.randperm(30, generator=generator(0, Purpose.ORDER, 1)).split(8)
    assert work.most_positions == max(int(windows.lengths_U[rows].sum()) - len(rows) for rows in order)


def test_a_masked_step_is_read_at_few_places(prepared: Prepared) -> None:
    assert 0.2 < Work.of(RECIPES["bert4rec"].sequence, prepared, CPU, 0).read_share < 0.5  # two in five are hidden
    assert Work.of(RECIPES["sasrec-ce"].sequence, prepared, CPU, 0).read_share == 1.0


@pytest.mark.parametrize("name", NEURAL)
def test_weights_are_counted_as_the_model_has_them(name: str, prepared: Prepared) -> None:
    recipe = RECIPES[name]
    numbers = sum(weight.numel() for weight in recipe.sequence.build(12, 0, 30).parameters())
    parts = needed(recipe.sequence, Work.of(recipe.sequence, prepared, CPU, 0), 12, CPU, number_of_users=30)
    assert (parts["weights"], parts["moments"], parts["best weights"]) == (4 * numbers, 8 * numbers, 4 * numbers)


BIASED = sequence(
    encoder=BERT4Rec(dim=8, heads=2, inner=16, positions=8, output_layer=True),
    items=Tied(bias=True),
    objective=MaskedItem(maximum_length=8, copies=2, last_copies=1),
    training=Training(batch_size=8, patience=None, steps=7),
)
CLOZE = sequence(
    encoder=SASRec(dim=8, positions=8), objective=NextItem(maximum_length=8, cloze_weight=0.5),
    loss=SampledCrossEntropy(), negatives=Uniform(count=50, sharing="sequence", replacement=False),
    training=Training(batch_size=8),
)  # fmt: skip


def test_biases_are_counted_for_every_item(prepared: Prepared) -> None:
    numbers = sum(weight.numel() for weight in BIASED.sequence.build(500, seed=0).parameters())
    parts = needed(BIASED.sequence, Work.of(BIASED.sequence, prepared, CPU, 0), 500, CPU)
    assert (parts["weights"], parts["moments"], parts["best weights"]) == (4 * numbers, 8 * numbers, 0)
    table = 4 * 500 * (8 + 1)
    assert parts["gradients"] == parts["weights"] + 3 * table


def test_copies_and_the_last_step_are_part_of_the_work(prepared: Prepared) -> None:
    whole = with_parts(BIASED, training=Training(batch_size=8, patience=None))
    assert Work.of(whole.sequence, prepared, CPU, 0).steps == 12  # three times 30 windows by 8
    cut = Work.of(BIASED.sequence, prepared, CPU, 0)
    assert cut.steps == 7
    assert 0.4 < cut.positions / Work.of(whole.sequence, prepared, CPU, 0).positions < 0.8  # 56 of 90 windows


def test_masked_copies_are_rows_with_negatives_of_their_own(prepared: Prepared) -> None:
    plain = with_parts(CLOZE, objective=NextItem(maximum_length=8))
    with_copies, without = (Work.of(recipe.sequence, prepared, CPU, 0) for recipe in (CLOZE, plain))
    assert (with_copies.rows, without.rows) == (16, 8)
    assert needed(CLOZE.sequence, with_copies, 12, CPU)["loss"] > 1.5 * needed(plain.sequence, without, 12, CPU)["loss"]


@pytest.mark.parametrize("recipe", [BIASED, CLOZE], ids=["biased", "cloze"])
def test_every_kind_of_step_is_planned(recipe: Recipe, prepared: Prepared) -> None:
    found = plan.plan(recipe, prepared, Session(0))
    assert found.seconds["loss"] > 0
    assert found.seconds["encoder"] > 0


def test_what_is_kept_for_the_backward_pass_is_found_by_encoding() -> None:
    """A layer that squares its input keeps it: d values of 4 bytes a place, and no weights."""

    class Squares(torch.nn.Module):
        def forward(self, x: torch.Tensor, *_: object) -> torch.Tensor:
            return x.pow(2)

    # The input and the states.
    assert memory._saved(Squares(), SASRec(dim=8), 10, 1.0) == 2 * 10 * 8 * 4


def test_the_full_softmax_grows_with_the_catalogue_and_touched_rows_hardly(prepared: Prepared) -> None:
    small, large = 100_000, 200_000
    table = 4 * 64 * (large - small)
    full = total(Recipe(), prepared, large) - total(Recipe(), prepared, small)
    assert full >= 6 * table  # weights, two moments, the best weights, two gradients
    touched = with_parts(SAMPLED, training=Training(item_rows="touched"))
    rows = total(touched, prepared, large) - total(touched, prepared, small)
    assert rows == 4 * table + 12 * (large - small)  # no gradient of the table; when rows were touched, and numbers
    work = Work.of(touched.sequence, prepared, CPU, 0)
    assert (
        needed(touched.sequence, work, large, CPU)["gradients"]
        == needed(touched.sequence, work, small, CPU)["gradients"]
    )


@pytest.mark.parametrize("negatives", [InBatch(), InBatch(count=3), Mixed(count=5), ByPopularity(count=3)])
def test_negatives_of_every_kind_are_planned(negatives: Any, prepared: Prepared) -> None:
    recipe = sequence(loss=BPR(), negatives=negatives)
    work = Work.of(recipe.sequence, prepared, CPU, 0)
    taken = {
        loss.name: needed(with_parts(recipe, loss=loss).sequence, work, 12, CPU)["loss"] for loss in SAMPLED_LOSSES
    }
    scores = 4 * work.most_positions * negatives.set_size(work.most_positions)
    assert all(size >= scores for size in taken.values())
    small = with_parts(recipe, training=Training(epochs=1, batch_size=8))
    assert plan.plan(small, prepared, Session(0)).seconds["loss"] > 0


def test_a_set_of_all_targets_can_be_lowered() -> None:
    assert [["negatives.count=4"]][0] in [
        step for way in plan._ladders(SequenceRecipe(loss=BPR(), negatives=InBatch())) for step in way
    ]


def test_a_plan_goes_by_the_largest_batch(prepared: Prepared) -> None:
    small = sequence(training=Training(epochs=9, batch_size=2, batch_growth=4)).sequence
    large = sequence(training=Training(epochs=9, batch_size=8)).sequence
    assert Work.of(small, prepared, CPU, 0) == Work.of(large, prepared, CPU, 0)


def test_a_batch_that_grows_may_be_let_grow_less() -> None:
    training = Training(batch_size=100, batch_growth=4, most_batch_size=500)
    ways = plan._ladders(SequenceRecipe(training=training))
    assert ways[0] == [["training.most_batch_size=250"], ["training.most_batch_size=125"]]


def test_averages_take_as_much_as_the_weights(prepared: Prepared) -> None:
    recipe = sequence(training=Training(ema=0.9))
    parts = needed(recipe.sequence, Work.of(recipe.sequence, prepared, CPU, 0), 100, CPU)
    assert parts["averages"] == parts["weights"]


def test_a_single_epoch_keeps_no_weights_beside_the_best(prepared: Prepared) -> None:
    recipe = sequence(training=Training(epochs=1))
    assert needed(recipe.sequence, Work.of(recipe.sequence, prepared, CPU, 0), 100, CPU)["best weights"] == 0


@pytest.mark.parametrize("loss", [SampledCrossEntropy(), BinaryCrossEntropy()])
@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_a_sampled_loss_grows_with_its_negatives(loss: object, sharing: str, prepared: Prepared) -> None:
    few, many = (
        total(sequence(loss=loss, negatives=Uniform(count=count, sharing=sharing)), prepared, 100_000)
        for count in (10, 1000)
    )
    assert many > few


@pytest.mark.parametrize(("sharing", "bytes_of_an_event"), [("position", 24), ("sequence", 24), ("batch", 0)])
def test_histories_that_are_kept_in_order_are_planned(sharing: Any, bytes_of_an_event: int, prepared: Prepared) -> None:
    recipe = sequence(loss=BPR(), negatives=Uniform(sharing=sharing))
    planned = needed(recipe.sequence, Work.of(recipe.sequence, prepared, CPU, 0), 12, CPU)["negatives"]
    assert planned == bytes_of_an_event * len(prepared.split.train.flatten()[0])


def test_a_plan_has_every_part_and_says_the_largest(prepared: Prepared) -> None:
    found = plan.plan(RECIPES["sasrec-sampled"], prepared, Session(0))
    assert set(found.seconds) == {*PARTS, "validation"}
    assert all(seconds > 0 for seconds in found.seconds.values())
    assert found.peak == sum(found.memory.values()) > found.memory["process"] > 0
    assert found.block_rows is None
    assert re.fullmatch(r"about [\d.]+ [GM]B and [\d.e-]+ s an epoch \(\w+ \d+ %\)", str(found))
    assert json.loads(json.dumps(found.as_dict()))["steps_per_epoch"] == 4


@pytest.mark.parametrize("name", NEURAL)
def test_planning_changes_no_bit_of_the_training(name: str, prepared: Prepared) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    plan.plan(RECIPES[name], prepared, Session(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_touched_rows_are_planned(prepared: Prepared) -> None:
    recipe = with_parts(SAMPLED, training=Training(item_rows="touched", batch_size=8))
    assert plan.plan(recipe, prepared, Session(0)).seconds["optimiser"] > 0


def test_batches_without_a_target_are_planned(prepared: Prepared) -> None:
    recipe = with_parts(RECIPES["bert4rec"], objective=MaskedItem(maximum_length=8, mask_probability=1e-9))
    found = plan.plan(recipe, prepared, Session(0))
    assert (found.work.positions, found.seconds["loss"]) == (0, 0.0)


def test_seconds_are_counted_by_the_positions(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    """A clock that the loss moves on by a second for each position, and nothing else does."""
    now, loss_of_states = [0.0], SequenceModel.loss_of_states

    def slow(model: SequenceModel, states_TD: torch.Tensor, *rest: Any) -> torch.Tensor:
        now[0] += len(states_TD)
        return loss_of_states(model, states_TD, *rest)

    monkeypatch.setattr(SequenceModel, "loss_of_states", slow)
    recipe = with_parts(RECIPES["sasrec-ce"], training=Training(batch_size=30, epochs=2))
    found = plan.plan(recipe, prepared, Session(0), clock=lambda: now[0])
    assert found.seconds["loss"] == pytest.approx(found.work.positions)
    assert found.seconds["encoder"] == found.seconds["optimiser"] == 0.0


@pytest.mark.parametrize("stall", [2.0, 1000.0])
def test_a_first_step_that_stalls_is_not_multiplied(stall: float, prepared: Prepared) -> None:
    """A clock of a machine that is busy at the beginning, and works without a delay from then on."""
    looks = iter(range(10**9))
    recipe = with_parts(RECIPES["sasrec-ce"], training=Training(batch_size=30, epochs=2))
    found = plan.plan(recipe, prepared, Session(0), clock=lambda: 0.0 if next(looks) < 2 else stall)
    assert found.seconds_per_epoch == 0.0


def test_what_other_plans_held_does_not_count(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    monkeypatch.setattr(plan, "held", lambda: (10**9, 10**12))
    recipe = RECIPES["sasrec-ce"]
    assert plan.plan(recipe, prepared, Session(0)).memory["process"] > 10**11
    assert plan.plan(recipe, prepared, Session(0), most_held=10**9).memory["process"] == 10**9
