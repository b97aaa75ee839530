"""On a GPU: the numbers of the CPU, up to rounding, and no step that waits. Run with -m gpu where there is one."""

import math
from typing import Any

import pytest
import torch

from nextitem.data.sequences import Sequences
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranks import top_k
from nextitem.experiment.recipe import Recipe
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses import CrossEntropy
from nextitem.model.losses.cross_entropy import CrossEntropyLoss
from nextitem.training.fit import fit_model
from nextitem.training.history import Epoch, History, Silent
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import sequence
from worlds.small_runs import chains
from worlds.steps import ITEMS, NEXT, RECIPES, TRAIN, undropped

pytestmark = pytest.mark.gpu
SPLIT = LeaveOneOut().split(Sequences.of(chains(80, ITEMS), ITEMS))


@pytest.fixture(autouse=True)
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("this torch sees no CUDA device")
    return torch.device("cuda")


class Watched:
    """Lets no step but the first wait: it allocates and compiles."""

    def step(self, epoch: int, step: int, steps: int) -> None:
        torch.cuda.set_sync_debug_mode("default" if step == steps else "error")

    def epoch(self, epoch: Epoch, history: History) -> None: ...


def trained(recipe: Recipe, device: str, watcher: Watched | None = None) -> tuple[Any, float]:
    model = recipe.sequence.build(ITEMS, 0, len(TRAIN)).to(device)
    negatives = None if recipe.sequence.negatives is None else recipe.sequence.negatives.build(TRAIN.to(device))
    try:
        history = fit_model(
            model,
            TRAIN,
            recipe.sequence.loss.build(),
            recipe.sequence.training,
            Session(0, watcher=watcher or Silent()),
            None,
            negatives=negatives,
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return model, history.epochs[-1].train_loss


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_no_step_waits(recipe: Recipe) -> None:
    _, loss = trained(recipe, "cuda", Watched())  # CUDA raises where a step waits
    assert math.isfinite(loss)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_an_epoch_is_that_of_the_cpu(recipe: Recipe) -> None:
    (near, near_loss), (far, far_loss) = (trained(undropped(recipe), device) for device in ("cpu", "cuda"))
    if recipe.sequence.negatives is not None:  # other draws of the same distribution
        assert far_loss == pytest.approx(near_loss, rel=0.05)
        return
    tolerance = 1e-2 if recipe.sequence.loss.model_dump().get("precision") == "bfloat16" else 1e-4
    assert far_loss == pytest.approx(near_loss, rel=tolerance)
    far_Nd, near_Nd = far.items.weight_Nd.detach().cpu(), near.items.weight_Nd.detach()
    # Adam turns the rounding of a gradient near zero into a whole step; so the mean, not the largest.
    assert float((far_Nd - near_Nd).abs().mean()) < 1e-3 * tolerance / 1e-4


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_a_lower_precision_trains_alike(precision: Any) -> None:
    training = Training(epochs=3, batch_size=16, patience=None)
    exact, rounded = (
        trained(undropped(sequence(**NEXT, training=training.model_copy(update={"precision": one}))), "cuda")
        for one in ("float32", precision)
    )
    assert rounded[1] == pytest.approx(exact[1], rel=0.01)
    assert all(weight.dtype == torch.float32 for weight in rounded[0].parameters())


def test_evaluation_is_that_of_the_cpu() -> None:
    model, _ = trained(RECIPES["next item, full softmax"], "cpu")
    near = evaluate(model, SPLIT.test)
    far = evaluate(model.to("cuda"), SPLIT.test)
    assert near.certificate == far.certificate
    assert far.means == pytest.approx(near.means, abs=0.01)
    assert float((far.above_C != near.above_C).double().mean()) < 0.05


def test_lists_are_those_of_the_cpu() -> None:
    model, _ = trained(RECIPES["next item, full softmax"], "cpu")
    near = top_k(model.query(SPLIT.test.histories), 10, SPLIT.test.histories)
    far = top_k(model.to("cuda").query(SPLIT.test.histories), 10, SPLIT.test.histories)
    torch.testing.assert_close(far[1], near[1], rtol=1e-4, atol=1e-5)
    assert float((far[0] != near[0]).double().mean()) < 0.05


def test_the_events_of_a_training_lie_on_the_device() -> None:
    model = RECIPES["next item, full softmax"].sequence.build(ITEMS, 0).to("cuda")
    windows = model.windows(TRAIN.to("cuda"))
    batch = model.batch(windows.select(torch.tensor([3, 1])), torch.Generator())
    there = (
        windows.events.items,
        windows.starts_U,
        batch.inputs_BL,
        batch.lengths_B,
        batch.positions_T,
        batch.targets_T,
    )
    assert {tensor.device.type for tensor in there} == {"cuda"}
    assert {tensor.device.type for tensor in (windows.sizes_U, batch.sizes_B, batch.counts_B)} == {"cpu"}


def test_the_softmax_over_a_million_items_stays_in_its_scratch() -> None:
    items = TiedItems(1_000_000, 64).to("cuda")
    states_Te = torch.randn(2048, 64, device="cuda", requires_grad=True)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    CrossEntropyLoss()(states_Te, torch.randint(1_000_000, (2048,), device="cuda"), items).backward()
    assert torch.cuda.max_memory_allocated() - before < 4 << 30  # all scores at once would be 8 GB


@pytest.mark.parametrize("tile_items", [None, 100])
def test_the_full_softmax_is_torchs(tile_items: int | None) -> None:
    items = TiedItems(1000, 16).to("cuda").double()
    states_Te = torch.randn(300, 16, device="cuda", dtype=torch.float64, requires_grad=True)
    targets_T = torch.randint(1000, (300,), device="cuda")
    ours = CrossEntropy(tile_items=tile_items).build()(states_Te, targets_T, items)
    theirs = torch.nn.functional.cross_entropy(states_Te @ items.weight_Nd.T, targets_T, reduction="sum")
    gradients = [torch.autograd.grad(value, (states_Te, items.weight_Nd)) for value in (ours, theirs)]
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradients[0], gradients[1])
