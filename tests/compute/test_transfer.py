"""A training step as it runs on a GPU: nothing waits for it, and it is the step that the CPU takes. K negatives."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, tensor

from nextitem.compute import transfer
from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.experiment.recipe import Recipe
from nextitem.model.assemble import assemble
from nextitem.model.batches import Drawn
from nextitem.model.encoders import GRU4Rec
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses.sampled_cross_entropy import SampledCrossEntropyLoss
from nextitem.model.negatives.exclusion import TrainedItems
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.fit import fit_model
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import sequence
from worlds.shelves import ENCODERS, each, items_of, timed
from worlds.steps import ITEMS, NEXT, RECIPES, TRAIN, undropped
from worlds.waits import Waits, pretend_gpu


def remote(waits: Waits) -> Sequences:
    """The training events as they are on a GPU."""
    parts = {name: waits.remote(getattr(TRAIN, name).clone()) for name in ("starts_U", "stops_U", "users_U")}
    events = Events(waits.remote(TRAIN.events.items.clone()), ITEMS)
    return replace(TRAIN, events=events, **parts, host_lengths_U=TRAIN.lengths_U.clone())


class Between:
    """Forgets what waited before the first step and after the last one."""

    def __init__(self, waits: Waits) -> None:
        self.waits, self.found = waits, list[str]()

    def step(self, epoch: int, step: int, steps: int) -> None:
        if step == 1:
            self.waits.found.clear()
        self.found = list(self.waits.found)

    def epoch(self, *_: object) -> None:
        assert len(self.waits.storages) > 50  # it has followed something


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_no_step_waits_for_a_gpu(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits()
    model = recipe.sequence.build(ITEMS, 0, len(TRAIN))
    for weight in model.parameters():
        waits.remote(weight.data)
    train = remote(waits)
    monkeypatch.setattr(Sequences, "to", lambda self, _: self)
    sampler = None if recipe.sequence.negatives is None else recipe.sequence.negatives.build(train)
    if sampler is not None:
        parts = [vars(items) for items in vars(sampler).values() if isinstance(items, TrainedItems)]
        for one in (one for part in parts for one in part.values()):
            if isinstance(one, Tensor):
                waits.remote(one)
    pretend_gpu(monkeypatch, waits)
    between = Between(waits)
    with waits:
        fit_model(
            model,
            train,
            recipe.sequence.loss.build(),
            recipe.sequence.training,
            Session(0, watcher=between),
            None,
            negatives=sampler,
        )
    assert between.found == []


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.nonzero(),
        lambda x: x[x > 1],
        lambda x: x.unique(),
        lambda x: x.repeat_interleave(x),
        lambda x: int(x.max()),
        lambda x: x.tolist() and [float(one) for one in x],
        lambda x: bool((x + 1 == 2).any()),
        lambda x: x.bincount(),
        lambda x: x.masked_select(x > 1),
    ],
)
def test_what_waits_is_found(work: Any) -> None:
    waits = Waits()
    near, far = tensor([1, 2, 3]), waits.remote(tensor([1, 2, 3]))
    with waits:
        work(near)
        assert not waits.found
        work(far)
    assert waits.found


@pytest.mark.parametrize(
    "name",
    [
        "next item, full softmax",
        "masked item, full softmax",
        "masked last item",
        "masked item of 2019",
        "next item beside cloze",
    ],
)
def test_the_step_of_a_gpu_is_that_of_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = undropped(RECIPES[name])

    def trained() -> tuple[float, Tensor]:
        model = recipe.sequence.build(ITEMS, 0, len(TRAIN)).double()
        history = fit_model(model, TRAIN, recipe.sequence.loss.build(), recipe.sequence.training, Session(0), None)
        return history.epochs[0].train_loss, model.items.weight_Nd.detach()

    loss, weights = trained()
    pretend_gpu(monkeypatch)
    loss_there, weights_there = trained()
    assert loss_there == pytest.approx(loss, rel=1e-9)
    torch.testing.assert_close(weights_there, weights, rtol=0, atol=1e-9)


@pytest.mark.parametrize("wants_gradients", [True, False])
@pytest.mark.parametrize("is_excluded", [True, False])
def test_rows_multiplied_at_once_lose_what_they_lose_one_by_one(
    is_excluded: bool, wants_gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = torch.Generator().manual_seed(0)
    rows_T = tensor([0, 0, 0, 2, 3, 3])  # the second row has no position
    states_Te = torch.randn(6, 4, generator=draws, dtype=torch.float64)
    targets_T, ids_BK = torch.randint(9, (6,), generator=draws), torch.randint(9, (4, 5), generator=draws)
    excluded_BK = torch.rand(4, 5, generator=draws) < 0.3 if is_excluded else None
    weights_T = torch.rand(6, generator=draws, dtype=torch.float64)
    torch.manual_seed(0)
    items = TiedItems(9, 4).double()

    def outcome() -> Iterator[Tensor]:
        items.zero_grad()
        states = states_Te.clone().requires_grad_()
        with torch.set_grad_enabled(wants_gradients):
            drawn = Drawn(ids_BK, "sequence", rows_T, excluded_BK)
            value = SampledCrossEntropyLoss()(states, targets_T, items, drawn, weights_T)
        yield value.detach()
        if wants_gradients:
            value.backward()
            assert states.grad is not None
            assert items.weight_Nd.grad is not None
            yield from (states.grad, items.weight_Nd.grad.clone())

    one_by_one = list(outcome())
    pretend_gpu(monkeypatch)
    for elements in (1 << 28, 20, 1):  # all rows, one or two, one
        monkeypatch.setattr("nextitem.model.losses.sampled_cross_entropy._BLOCK_ELEMENTS", elements)
        torch.testing.assert_close(list(outcome()), one_by_one, rtol=1e-12, atol=1e-12)


def test_views_elsewhere_keep_their_lengths_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits()
    train = remote(waits)
    pretend_gpu(monkeypatch, waits)
    with waits:
        parts = [train.last(3), train.without_last(6), train.select(slice(3, 9)), train.last(4).select(tensor([5, 2]))]
        sizes = [part.sizes_U for part in parts]
        assert not waits.found
    for part, sizes_U in zip(parts, sizes, strict=True):
        assert sizes_U.tolist() == part.lengths_U.tolist()


def test_places_of_ragged_rows() -> None:
    rows, columns = transfer.places(tensor([0, 2, 0, 3]), 5)
    assert rows.tolist() == [1, 1, 3, 3, 3]
    assert columns.tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    ("precision", "fact"), [("tf32", "is for GPUs, and the model is on the"), ("auto", "is settled by the plan")]
)
def test_a_precision_that_the_cpu_has_not_or_that_is_open_is_refused(precision: Any, fact: str) -> None:
    recipe = sequence(**NEXT, training=Training(precision=precision, patience=None))
    with pytest.raises(ConfigurationError, match=rf"training\.precision={precision} {fact}"):
        fit_model(
            recipe.sequence.build(ITEMS, 0, len(TRAIN)),
            TRAIN,
            recipe.sequence.loss.build(),
            recipe.sequence.training,
            Session(0),
            None,
        )


def test_in_bfloat16_the_encoder_alone_is_rounded_and_in_training_only() -> None:
    exact, rounded = (
        sequence(**NEXT, training=Training(precision=precision)).sequence.build(ITEMS, 0)
        for precision in ("float32", "bfloat16")
    )
    batch = exact.batch(exact.windows(TRAIN), torch.Generator())
    states = {}
    for name, model in (("exact", exact), ("rounded", rounded)):
        for module in model.encoder.modules():
            if hasattr(module, "probability"):
                module.probability = 0.0
        states[name] = [model.train(mode).states(batch).detach() for mode in (True, False)]
    assert all(one.dtype == torch.float32 for pair in states.values() for one in pair)
    assert torch.equal(states["exact"][1], states["rounded"][1])
    assert not torch.equal(states["exact"][0], states["rounded"][0])
    torch.testing.assert_close(states["exact"][0], states["rounded"][0], rtol=0, atol=0.05)


@each("encoder", {name: encoder for name, encoder in ENCODERS.items() if not isinstance(encoder, GRU4Rec)})
def test_whatever_an_encoder_ends_in_its_states_are_as_exact_as_the_table_that_scores_them(encoder: Any) -> None:
    """One that ends in a product, and in no norm, ends in bfloat16; the recurrence leaves it on a GPU only."""
    objective = NextItem(maximum_length=8) if encoder.is_causal else MaskedItem(maximum_length=8, mask_probability=1.0)
    model = assemble(items_of(encoder), encoder, objective, ITEMS, len(TRAIN), in_bfloat16=True).train()
    batch = model.batch(model.windows(timed(TRAIN)), torch.Generator())
    assert model.states(batch).dtype == torch.float32


def test_products_are_as_before_after_training() -> None:
    before = torch.get_float32_matmul_precision()
    recipe = RECIPES["next item, full softmax"]
    fit_model(
        recipe.sequence.build(ITEMS, 0, len(TRAIN)),
        TRAIN,
        recipe.sequence.loss.build(),
        recipe.sequence.training,
        Session(0),
        None,
    )
    assert torch.get_float32_matmul_precision() == before
