"""Adam on the rows that a step touches. N items, R touched rows, d width."""

import pytest
import torch
from torch import Tensor, nn

from nextitem.compute.processes import ALONE
from nextitem.data.sequences import Sequences
from nextitem.model.losses import BinaryCrossEntropy
from nextitem.model.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.training.fit import fit_model
from nextitem.training.optimisation import Descent, RowAdam, Touched
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import sequence
from worlds.resolving import refused
from worlds.shelves import ENCODERS, LOSSES, OBJECTIVES, build_model, each_pair_of, timed

ITEMS, WIDTH, STEPS = 6, 3, 8
BETA2 = 0.98
NEGATIVES = {
    "position": Uniform(count=3),
    "sequence": ByPopularity(count=3, sharing="sequence"),
    "batch": Uniform(count=3, sharing="batch"),
    "in batch": InBatch(),
    "mixed": Mixed(count=3),
}


def go_down(descent: Descent, mean: Tensor, factor: float, touched: Touched | None = None) -> None:
    """As a training goes down the gradient of a mean."""
    descent.clear()
    mean.backward()
    descent.move(factor, ALONE, touched)


def gradients(steps: int = STEPS) -> Tensor:
    """(steps, N, d)"""
    return torch.randn(steps, ITEMS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def descend(steps: list[list[int]], rate: float = 0.1) -> tuple[Tensor, RowAdam]:
    """The table after a step for each list of touched rows, and what moved it."""
    table = nn.Parameter(torch.zeros(ITEMS, WIDTH, dtype=torch.float64))
    adam = RowAdam(table, BETA2)
    for ids, gradient_Nd in zip(steps, gradients(len(steps)), strict=True):
        ids_R = torch.tensor(ids)
        touched = adam.touch(ids_R, nn.Parameter(torch.empty(len(ids_R), WIDTH, dtype=torch.float64)))
        touched.rows_Rd.grad = gradient_Nd[ids_R]
        adam.step(touched, rate)
    return table.detach(), adam


def torch_adam(masks: list[list[int]], rate: float = 0.1) -> tuple[Tensor, dict[str, Tensor]]:
    """Torch's Adam over the whole table; rows that are not touched have gradient 0."""
    table = nn.Parameter(torch.zeros(ITEMS, WIDTH, dtype=torch.float64))
    adam = torch.optim.Adam([table], rate, (0.9, BETA2))
    for ids, gradient_Nd in zip(masks, gradients(len(masks)), strict=True):
        table.grad = torch.zeros_like(table)
        table.grad[ids] = gradient_Nd[ids]
        adam.step()
    return table.detach(), adam.state[table]


def test_it_is_adam_where_every_row_is_touched() -> None:
    everything = [list(range(ITEMS))] * STEPS
    torch.testing.assert_close(descend(everything)[0], torch_adam(everything)[0], rtol=1e-10, atol=1e-12)


def test_moments_of_a_row_that_comes_back_are_those_of_adam() -> None:
    touched = [[0, 1], [1], [2, 1], [1, 4], [5, 1], [0, 1]]  # row 0 is idle for four steps
    state, adam = torch_adam(touched)[1], descend(touched)[1]
    torch.testing.assert_close(adam.first_Nd[:2], state["exp_avg"][:2], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(adam.second_Nd[:2], state["exp_avg_sq"][:2], rtol=1e-10, atol=1e-12)


def test_a_first_touch_moves_a_row_as_adam_does() -> None:
    touched = [[0], [0, 1], [0, 1, 2]]
    torch.testing.assert_close(descend(touched)[0][2], torch_adam(touched)[0][2], rtol=1e-10, atol=1e-12)


def sparse_steps(steps: int) -> list[list[int]]:
    """Rows of steps: the first in every fourth, the others in ever fewer, row 5 in the first step only."""
    every = [4, 7, 31, 60, 150, 10_000]
    return [[row for row, period in enumerate(every) if step % period == 0] or [0] for step in range(steps)]


def test_rows_that_are_settled_are_where_adam_would_have_them() -> None:
    steps = sparse_steps(400)  # some rows are idle for longer than momentum is followed
    state, adam = torch_adam(steps)[1], descend(steps)[1]
    adam.settle()
    assert adam.latest_N.tolist() == [400] * ITEMS
    expected = torch_adam(steps)[0]
    torch.testing.assert_close(adam.table_Nd.detach(), expected, rtol=2e-6, atol=1e-9)
    torch.testing.assert_close(adam.first_Nd, state["exp_avg"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(adam.second_Nd, state["exp_avg_sq"], rtol=1e-9, atol=1e-12)
    assert float((expected[5] - descend(steps[:1])[0][5]).abs().max()) > 0.5


def test_a_step_finds_a_row_where_adam_would_have_it() -> None:
    steps = sparse_steps(200)
    adam = descend(steps)[1]
    found = adam.touch(torch.tensor([4, 2]), nn.Parameter(torch.empty(2, WIDTH, dtype=torch.float64)))
    torch.testing.assert_close(found.rows_Rd.detach(), torch_adam(steps)[0][[4, 2]], rtol=2e-6, atol=1e-9)


def test_settling_now_and_then_changes_nothing() -> None:
    def moved(*, often: bool) -> Tensor:
        table = nn.Parameter(torch.zeros(ITEMS, WIDTH, dtype=torch.float64))
        descent = Descent([table, nn.Parameter(torch.zeros(1))], learning_rate=0.1, beta2=BETA2, table_Nd=table)
        for number, ids in enumerate(sparse_steps(60)):
            touched = descent.touch(torch.tensor(ids), nn.Parameter(torch.empty(len(ids), WIDTH, dtype=torch.float64)))
            factor = 1 - number / 60  # a step size that falls
            go_down(descent, (touched.rows_Rd * gradients(60)[number, ids]).sum(), factor, touched)
            if often:
                descent.settle()
        descent.settle()
        return table.detach()

    torch.testing.assert_close(moved(often=True), moved(often=False), rtol=2e-6, atol=1e-9)


def test_what_is_not_touched_does_not_move() -> None:
    table, adam = descend([[0, 1], [1, 2], [0]])
    assert bool((table[3:] == 0).all())
    assert adam.latest_N.tolist() == [3, 2, 2, 0, 0, 0]
    assert bool((table[:3] != 0).all())


NARROWED = {
    name: encoder
    for name, encoder in ENCODERS.items()
    if encoder.default_items.can_narrow and encoder.default_items.is_product  # which every kind of negatives goes with
}


@each_pair_of(NARROWED)
@pytest.mark.parametrize("sharing", NEGATIVES)
def test_a_narrowed_step_has_the_losses_and_gradients_of_the_whole_one(
    encoder: object, objective: object, sharing: str
) -> None:
    items = 40
    train = timed(Sequences.of([[1, 2, 3, 4, 30], [5, 6], [7, 8, 9, 1, 2, 3, 20]], items))
    model, draws = build_model(encoder, objective, items), torch.Generator().manual_seed(0)
    model.eval()
    batch = model.batch(model.windows(train), draws)
    drawn = NEGATIVES[sharing].build(train).sample(batch, draws)
    narrow, narrow_batch, narrow_drawn, ids_R = model.narrowed(batch, drawn)
    assert len(ids_R) < 14  # the trained items and no other
    assert narrow.items.number_of_items == items
    for loss in (kind.build() for kind in LOSSES.values() if kind.needs_negatives):
        whole, part = model.loss(batch, loss, drawn), narrow.loss(narrow_batch, loss, narrow_drawn)
        torch.testing.assert_close(part, whole, rtol=1e-13, atol=0)
        if len(batch.targets_T):
            (whole_Nd,) = torch.autograd.grad(whole, [model.items.weight_Nd])
            (part_Rd,) = torch.autograd.grad(part, [narrow.items.weight_Nd])
            torch.testing.assert_close(torch.zeros_like(whole_Nd).index_copy(0, ids_R, part_Rd), whole_Nd)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_training_on_touched_rows_is_training_on_all_where_all_are_touched(clip: float | None) -> None:
    train = Sequences.of([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]] * 2, 6)
    weights = []
    for item_rows in ("all", "touched"):
        model = build_model(ENCODERS["sasrec"], OBJECTIVES["next_item"], 6)
        training = Training(epochs=3, batch_size=2, patience=None, item_rows=item_rows, gradient_clip=clip)
        fit_model(
            model,
            train,
            BinaryCrossEntropy().build(),
            training,
            Session(0),
            None,
            negatives=Uniform(exclude="target").build(train),
        )
        weights.append(model.state_dict())
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-6, atol=1e-9)


def test_items_outside_the_steps_keep_their_first_weights() -> None:
    train = Sequences.of([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]], 9)
    model = build_model(ENCODERS["sasrec"], OBJECTIVES["next_item"], 9)
    before = model.items.weight_Nd.detach().clone()
    training = Training(epochs=2, patience=None, item_rows="touched")
    negatives = Uniform(exclude="target").build(train)
    fit_model(model, train, BinaryCrossEntropy().build(), training, Session(0), None, negatives=negatives)
    assert torch.equal(model.items.weight_Nd[6:], before[6:])
    assert bool((model.items.weight_Nd[:6] != before[:6]).any())


def test_everything_a_step_depends_on_is_kept() -> None:
    def moved(steps: int, resumed_at: int | None) -> Tensor:
        table, other = nn.Parameter(torch.zeros(ITEMS, WIDTH)), nn.Parameter(torch.ones(2))
        descent = Descent([table, other], learning_rate=0.1, beta2=BETA2, table_Nd=table)
        for step, gradient_Nd in enumerate(gradients()[:steps].float()):
            if step == resumed_at:
                kept = {name: tensor.clone() for name, tensor in descent.tensors().items()}
                descent = Descent([table, other], learning_rate=0.1, beta2=BETA2, table_Nd=table)
                descent.restore(kept)
            ids_R = torch.tensor([step % 3, 3 + step % 2])
            touched = descent.touch(ids_R, nn.Parameter(torch.empty(2, WIDTH)))
            mean = (touched.rows_Rd * gradient_Nd[ids_R]).sum() + (other**2).sum()
            go_down(descent, mean, 1.0, touched)
        return torch.cat([table.detach().flatten(), other.detach()])

    assert torch.equal(moved(7, resumed_at=4), moved(7, resumed_at=None))


def test_a_full_softmax_has_no_rows_to_leave_out() -> None:
    with pytest.raises(ValueError, match=r"cross_entropy moves every row .*choose a loss with negatives"):
        sequence(training=Training(item_rows="touched"))


def test_rows_that_would_not_come_to_rest_are_refused() -> None:
    with pytest.raises(ValueError, match=r"beta2 of at least 0.9, got 0.5: .* set item_rows=all or a larger beta2"):
        Training(item_rows="touched", beta2=0.5)


def test_decay_moves_every_row_too() -> None:
    with pytest.raises(ValueError, match=r"weight_decay=0.01 would have to shrink; set item_rows=all"):
        Training(item_rows="touched", weight_decay=0.01)


def test_the_objective_s_mask_is_trained_besides_the_rows() -> None:
    train = Sequences.of([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]], 6)
    model = build_model(ENCODERS["bert4rec"], OBJECTIVES["masked_item"], 6)
    before = model.items.mask_d.detach().clone()
    training = Training(epochs=2, patience=None, item_rows="touched")
    fit_model(
        model,
        train,
        BinaryCrossEntropy().build(),
        training,
        Session(0),
        None,
        negatives=Uniform(exclude="target").build(train),
    )
    assert not torch.equal(model.items.mask_d, before)


@pytest.mark.parametrize("encoder", ["caser", "fpmc"])
def test_a_separate_output_table_is_refused_where_the_recipe_is_read(encoder: str) -> None:
    assert (
        "items separate are scored by a table of their own, which training.item_rows=touched cannot narrow; "
        "set training.item_rows=all"
    ) in refused(encoder, "training.item_rows=touched", "training.l2=0")


def test_a_penalty_is_added_to_gradients_before_adam_scales_them() -> None:
    ours, theirs = (nn.Parameter(torch.tensor([[1.0, -2.0], [0.5, 0.0]])) for _ in range(2))
    penalised, adam = (
        Descent([ours], learning_rate=0.1, beta2=BETA2, l2=0.3),
        torch.optim.Adam([theirs], 0.1, (0.9, BETA2)),
    )
    for step in range(3):
        go_down(penalised, (ours[0] * step).sum(), 1.0)
        adam.zero_grad()
        ((theirs[0] * step).sum() + 0.3 / 2 * theirs.square().sum()).backward()
        adam.step()
    torch.testing.assert_close(ours.detach(), theirs.detach())
    assert float(ours.detach()[1, 0]) < 0.4  # a row without any other gradient is driven to zero by whole steps


def test_a_penalty_moves_every_row_and_is_not_decay() -> None:
    with pytest.raises(ValueError, match=r"l2=1e-06 would have to shrink; set item_rows=all or l2=0"):
        Training(item_rows="touched", l2=1e-6)
    with pytest.raises(ValueError, match=r"weight_decay=0\.01 and l2=1e-06 are two ways to decay; set one to 0"):
        Training(weight_decay=0.01, l2=1e-6)
