"""The optimisation loop. T target positions.

Most tests train `Slope`, whose gradient never changes: each of Adam's steps then has the size of the learning rate.
"""

import json
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn, tensor

from nextitem.batches import Batch, Drawn
from nextitem.encoders import BERT4Rec, SASRec
from nextitem.errors import ConfigurationError, DataError, TrainingError
from nextitem.losses import CrossEntropy
from nextitem.model import Loss, SequenceModel
from nextitem.objectives import MaskedItem, NextItem
from nextitem.sequences import Sequences
from nextitem.training import Epoch, History, Progress, Training, fit
from shelves import build_model
from small_runs import ITEMS, chains, sha256

LOG = Sequences.of(chains(), ITEMS)
FOUR = Sequences.of([[0, 1], [1, 2], [2, 3], [3, 4]], ITEMS)  # four windows with one target each
LAST = Training(epochs=2, batch_size=2, patience=None)


class Slope(nn.Module):
    """Loses `per_position` + 3·x + 4·y at every target, whatever the batch holds."""

    def __init__(self, per_position: float = 0.0, scale: float = 1.0) -> None:
        super().__init__()
        self.point_2 = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.per_position, self.scale = per_position, scale
        self.batches: list[Batch] = []

    def windows(self, train: Sequences) -> Sequences:
        return NextItem().windows(train)

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        self.batches.append(NextItem().batch(windows, generator))
        return self.batches[-1]

    def loss(self, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        height = self.per_position + self.scale * (self.point_2 * tensor([3.0, 4.0])).sum()
        return height * len(batch.targets_T)


class Scripted:
    """Validation that returns prepared values, and keeps the weights it was asked about."""

    def __init__(self, model: nn.Module, values: list[float], others: list[float] | None = None) -> None:
        self.model, self.values, self.others = model, values, others or values
        self.weights: list[dict[str, Tensor]] = []

    def __call__(self) -> dict[str, float]:
        epoch = len(self.weights)
        self.weights.append({name: weight.clone() for name, weight in self.model.state_dict().items()})
        return {"ndcg@10": self.values[epoch], "mrr@10": self.others[epoch], "validation_loss": 7.0 - epoch}


class Recorder:
    """A watcher, checkpoint and validation that write down what happens, and where the model is at each step."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.events: list[object] = []
        self.places: list[Tensor] = []
        self.optimiser_steps = 0

    def step(self, epoch: int, step: int, steps: int) -> None:
        self.events.append((epoch, step, steps))
        self.places.append(next(iter(self.model.parameters())).detach().clone())

    def epoch(self, epoch: Epoch, history: History) -> None:
        self.events.append(f"told of {epoch.epoch}, best {history.best_epoch}")

    def load(self, progress: Progress) -> None:
        self.events.append("load")

    def save(self, progress: Progress) -> None:
        self.events.append(f"save {len(progress.history.epochs)}")
        states = progress.optimiser.state_dict()["state"].values()
        self.optimiser_steps = max((int(state["step"]) for state in states), default=0)

    def validate(self) -> Mapping[str, float]:
        self.events.append("validate")
        return {"ndcg@10": 0.5}


def sasrec(dropout: float = 0.1) -> SequenceModel:
    return build_model(SASRec(dim=8, positions=8, dropout=dropout), NextItem(maximum_length=8), ITEMS)


def trained(seed: int, training: Training = LAST) -> SequenceModel:
    model = sasrec()
    fit(model, LOG, CrossEntropy().build(), training, seed, None)
    return model


def fit_slope(model: Slope, training: Training, seed: int = 0) -> Recorder:
    recorder = Recorder(model)
    fit(model, FOUR, CrossEntropy().build(), training, seed, None, watcher=recorder, checkpoint=recorder)
    return recorder


def test_training_stops_after_so_many_epochs_without_a_better_value() -> None:
    model = Slope()
    # The best is epoch 2; neither the equal value of epoch 4 nor anything else within three epochs is better.
    validate = Scripted(model, [0.1, 0.3, 0.2, 0.3, 0.25, 0.9])
    history = fit(model, FOUR, CrossEntropy().build(), Training(patience=3), 0, validate)
    assert len(history.epochs) == 2 + 3
    assert history.best_epoch == 2


def test_a_better_value_renews_the_patience() -> None:
    model = Slope()
    validate = Scripted(model, [0.3, 0.2, 0.4, 0.1, 0.5, 0.1, 0.1])
    history = fit(model, FOUR, CrossEntropy().build(), Training(patience=2), 0, validate)
    assert (len(history.epochs), history.best_epoch) == (5 + 2, 5)


def test_the_model_is_left_with_the_weights_of_the_best_epoch() -> None:
    model = sasrec()
    validate = Scripted(model, [0.1, 0.3, 0.2])
    fit(model, LOG, CrossEntropy().build(), Training(epochs=3, batch_size=8), 0, validate)
    first, best, last = (sha256(weights) for weights in validate.weights)
    assert sha256(model.state_dict()) == best
    assert len({first, best, last}) == 3


@pytest.mark.parametrize(("monitor", "best"), [("ndcg@10", 3), ("mrr@10", 1)])
def test_the_monitored_metric_and_no_other_chooses_the_epoch(monitor: str, best: int) -> None:
    model = Slope()
    validate = Scripted(model, [0.1, 0.2, 0.3], others=[0.3, 0.2, 0.1])
    history = fit(model, FOUR, CrossEntropy().build(), Training(epochs=3, monitor=monitor), 0, validate)
    assert history.best_epoch == best
    assert torch.equal(model.point_2.detach(), validate.weights[best - 1]["point_2"])


def test_without_patience_all_epochs_are_trained_and_the_last_is_kept() -> None:
    model = sasrec()
    validate = Scripted(model, [0.9, 0.5, 0.1])
    training = Training(epochs=3, batch_size=8, patience=None, monitor="no such metric")
    history = fit(model, LOG, CrossEntropy().build(), training, 0, validate)
    assert (len(history.epochs), history.best_epoch) == (3, 3)
    assert sha256(model.state_dict()) == sha256(validate.weights[2])


def test_equal_seeds_give_equal_bits_and_other_seeds_other_ones() -> None:
    one, again, other = (sha256(trained(seed).state_dict()) for seed in (1, 1, 2))
    assert one == again
    assert one != other  # the weights started equal: order and dropout differ


def test_training_leaves_the_global_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    trained(seed=1)
    assert torch.equal(torch.rand(1), expected)


def test_every_epoch_takes_each_window_once_in_an_order_of_its_own() -> None:
    model = Slope()
    fit(model, LOG, CrossEntropy().build(), LAST, 0, None)
    users = torch.cat([batch.users_B for batch in model.batches]).tolist()
    first, second = users[: len(LOG)], users[len(LOG) :]
    assert sorted(first) == sorted(second) == list(range(len(LOG)))
    assert first != second
    assert first != sorted(first)


class Draws:
    """A sampler that only writes down the first random number it could have drawn."""

    def __init__(self) -> None:
        self.numbers: list[float] = []

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        self.numbers.append(float(torch.rand((), generator=generator)))
        return Drawn(batch.targets_T[:, None], "position", batch.rows_T)


def test_every_step_draws_negatives_of_its_own_and_the_same_ones_again() -> None:
    one, again, other = Draws(), Draws(), Draws()
    for seed, draws in ((0, one), (0, again), (1, other)):
        fit(Slope(), FOUR, CrossEntropy().build(), LAST, seed, None, negatives=draws)
    assert len(set(one.numbers)) == 2 * 2  # epochs · steps
    assert one.numbers == again.numbers
    assert not set(one.numbers) & set(other.numbers)


@pytest.mark.parametrize(
    ("clip", "gradient"), [(None, [3.0, 4.0]), (10.0, [3.0, 4.0]), (1.0, [3 / 5, 4 / 5]), (0.5, [3 / 10, 4 / 10])]
)
def test_the_whole_gradient_is_scaled_down_to_the_clip(clip: float | None, gradient: list[float]) -> None:
    model = Slope()
    fit_slope(model, Training(epochs=1, patience=None, gradient_clip=clip))
    assert model.point_2.grad is not None
    assert model.point_2.grad.tolist() == pytest.approx(gradient, rel=1e-5)


@pytest.mark.parametrize("targets", [2, 3])
def test_the_gradient_is_that_of_the_mean_over_positions(targets: int) -> None:
    model = Slope()
    windows = Sequences.of([list(range(targets + 1))], ITEMS)
    fit(model, windows, CrossEntropy().build(), Training(epochs=1, patience=None), 0, None)
    assert model.point_2.grad is not None
    assert model.point_2.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("schedule", "warmup", "factors"),
    [
        ("constant", 0, [1, 1, 1, 1]),
        ("constant", 2, [1 / 3, 2 / 3, 1, 1]),
        ("linear", 0, [4 / 4, 3 / 4, 2 / 4, 1 / 4]),
        ("linear", 2, [1 / 3 * 4 / 4, 2 / 3 * 3 / 4, 2 / 4, 1 / 4]),
        ("constant", 7, [1 / 8, 2 / 8, 3 / 8, 4 / 8]),  # training ends before the warm-up does
    ],
)
def test_the_step_size_follows_warm_up_and_schedule(schedule: str, warmup: int, factors: list[float]) -> None:
    training = LAST.model_copy(update={"learning_rate": 0.3, "schedule": schedule, "warmup_steps": warmup})
    places = fit_slope(Slope(), training).places  # after each of 2 epochs · 2 steps
    taken = torch.stack([torch.zeros(2, dtype=torch.float64), *places]).diff(dim=0)
    for step, factor in zip(taken.tolist(), factors, strict=True):
        assert step == pytest.approx([-0.3 * factor, -0.3 * factor], rel=1e-6)


def test_adam_forgets_its_second_moment_by_beta2() -> None:
    """Gradients 3 then 6 (Slope's first coordinate): moments by hand, bias corrected."""
    model = Slope()
    training = Training(epochs=1, batch_size=2, patience=None, learning_rate=1.0, beta2=0.5)

    class Steepening(Recorder):
        def step(self, epoch: int, step: int, steps: int) -> None:
            super().step(epoch, step, steps)
            model.scale = 2.0

    recorder = Steepening(model)
    fit(model, FOUR, CrossEntropy().build(), training, 0, None, watcher=recorder)
    first = (0.9 * 0.1 * 3 + 0.1 * 6) / (1 - 0.9**2)
    second = (0.5 * 0.5 * 3**2 + 0.5 * 6**2) / (1 - 0.5**2)
    assert float(recorder.places[1][0] - recorder.places[0][0]) == pytest.approx(-first / second**0.5)


class Flat(Slope):
    """A loss without any slope: only weight decay moves the weights."""

    def __init__(self) -> None:
        super().__init__(scale=0.0)
        self.matrix_22 = nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
        with torch.no_grad():
            self.point_2.fill_(1.0)

    def loss(self, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        return super().loss(batch, loss, drawn) + 0 * self.matrix_22.sum()


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_weight_decay_shrinks_matrices_and_no_vectors(decay: float) -> None:
    model = Flat()
    fit_slope(model, LAST.model_copy(update={"learning_rate": 0.1, "weight_decay": decay}))
    shrunk = (1 - 0.1 * decay) ** 4  # 2 epochs · 2 steps
    assert model.matrix_22.tolist() == pytest.approx([pytest.approx([shrunk, shrunk])] * 2)
    assert model.point_2.tolist() == [1, 1]


def test_weight_decay_tells_the_matrices_of_a_model_from_its_vectors() -> None:
    model = build_model(BERT4Rec(dim=8, positions=8), MaskedItem(), ITEMS)
    matrices = {name for name, weight in model.named_parameters() if weight.ndim > 1}
    assert "items.weight_Nd" in matrices
    assert not matrices & {"items.mask_d", "encoder.embedding_norm.weight", "encoder.embedding_norm.bias"}


class Counting(SequenceModel):
    """Writes down how many targets each of its batches has."""

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        batch = super().batch(windows, generator)
        self.targets = [*getattr(self, "targets", []), len(batch.targets_T)]
        return batch


def masked(probability: float) -> Counting:
    objective = MaskedItem(maximum_length=8, mask_probability=probability)
    model = build_model(BERT4Rec(dim=8, positions=8), objective, ITEMS)
    return Counting(model.items, model.encoder, objective)


def test_a_step_without_any_target_is_skipped() -> None:
    model, training = masked(0.15), Training(epochs=2, batch_size=1, patience=None)
    recorder = Recorder(model)
    history = fit(model, LOG, CrossEntropy().build(), training, 0, None, watcher=recorder, checkpoint=recorder)
    assert 0 < model.targets.count(0) < len(model.targets) == 2 * len(LOG)
    assert recorder.optimiser_steps == len(model.targets) - model.targets.count(0)
    assert (2, len(LOG), len(LOG)) in recorder.events  # the display counts a skipped step
    seconds = [epoch.train_seconds for epoch in history.epochs]
    rates = [epoch.positions_per_second for epoch in history.epochs]
    positions = sum(rate * second for rate, second in zip(rates, seconds, strict=True))
    assert round(positions) == sum(model.targets)


def test_an_epoch_without_any_target_moves_nothing() -> None:
    model = masked(1e-9)
    before = sha256(model.state_dict())
    history = fit(model, LOG, CrossEntropy().build(), LAST, 0, None)
    assert sum(model.targets) == 0
    assert [epoch.train_loss for epoch in history.epochs] == [0, 0]
    assert sha256(model.state_dict()) == before


def test_the_training_loss_is_the_mean_over_all_positions_of_the_epoch() -> None:
    model = sasrec(dropout=0.0)
    batch = model.batch(model.windows(LOG), torch.Generator())
    expected = float(model.loss(batch, CrossEntropy().build(), None).detach()) / len(batch.targets_T)
    still = Training(epochs=1, batch_size=7, patience=None, learning_rate=1e-300)  # 30 windows: the last step has 2
    history = fit(model, LOG, CrossEntropy().build(), still, 0, None)
    assert history.epochs[0].train_loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", [torch.inf, torch.nan])
def test_a_diverged_loss_is_an_error_that_says_what_to_lower(loss: float) -> None:
    model = Slope(per_position=loss)
    recorder = Recorder(model)
    with pytest.raises(
        TrainingError, match=rf"loss of epoch 1 is {loss}: .*lower training\.learning_rate \(now 0\.5\)"
    ):
        fit(model, FOUR, CrossEntropy().build(), Training(learning_rate=0.5), 0, recorder.validate, checkpoint=recorder)
    assert recorder.events == ["load"]  # neither validated nor saved


def test_an_unknown_metric_to_monitor_is_refused_with_the_known_ones() -> None:
    model = Slope()
    validate = Scripted(model, [0.1])
    with pytest.raises(
        ConfigurationError, match=r"training\.monitor='recall' is not among the validation metrics: ndcg@10, mrr@10$"
    ):
        fit(model, FOUR, CrossEntropy().build(), Training(monitor="recall"), 0, validate)


def test_the_validation_loss_is_not_monitored_since_lower_is_better() -> None:
    model, training = Slope(), Training(monitor="validation_loss")
    with pytest.raises(ConfigurationError, match=r"training\.monitor='validation_loss'"):
        fit(model, FOUR, CrossEntropy().build(), training, 0, Scripted(model, [0.1]))


def test_early_stopping_without_validation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"early stopping needs validation; .*training\.patience=none"):
        fit(Slope(), FOUR, CrossEntropy().build(), Training(), 0, None)


def test_users_with_too_few_events_for_a_window_are_refused_when_there_are_no_others() -> None:
    with pytest.raises(DataError, match=r"none of the 3 users has enough training events for a window; .* need two"):
        fit(Slope(), Sequences.of([[1], [], [2]], ITEMS), CrossEntropy().build(), LAST, 0, None)


def test_the_watcher_is_told_of_every_step_and_of_every_epoch_once_it_is_safe() -> None:
    model = Slope()
    recorder = Recorder(model)
    training = Training(epochs=2, batch_size=3)
    fit(model, FOUR, CrossEntropy().build(), training, 0, recorder.validate, checkpoint=recorder, watcher=recorder)
    first = [(1, 1, 2), (1, 2, 2), "validate", "save 1", "told of 1, best 1"]
    second = [(2, 1, 2), (2, 2, 2), "validate", "save 2", "told of 2, best 1"]
    assert recorder.events == ["load", *first, *second]


def test_a_line_of_history_holds_what_a_run_promises() -> None:
    model = Slope(per_position=2.0, scale=0.0)
    history = fit(
        model, FOUR, CrossEntropy().build(), Training(epochs=2), 0, Scripted(model, [0.1, 0.2], others=[0.3, 0.4])
    )
    lines = [json.loads(json.dumps(line)) for line in history.as_lines()]
    assert [list(line) for line in lines] == [
        ["epoch", "train_loss", "validation_loss", "validation", "train_seconds", "positions_per_second"]
    ] * 2
    assert [(line["epoch"], line["train_loss"], line["validation_loss"]) for line in lines] == [(1, 2, 7), (2, 2, 6)]
    assert lines[1]["validation"] == {"ndcg@10": 0.2, "mrr@10": 0.4}
    assert history.train_seconds == pytest.approx(sum(line["train_seconds"] for line in lines))


def test_without_validation_a_line_of_history_says_so() -> None:
    history = fit(Slope(), FOUR, CrossEntropy().build(), LAST, 0, None)
    assert [(line["validation_loss"], line["validation"]) for line in history.as_lines()] == [(None, {})] * 2


class Moody(Slope):
    """Writes down whether it was in training mode."""

    def loss(self, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        self.moods = [*getattr(self, "moods", []), self.training]
        return super().loss(batch, loss, drawn)


def test_every_epoch_trains_in_training_mode_whatever_validation_left() -> None:
    model = Moody().eval()

    def validate() -> dict[str, float]:
        model.eval()
        return {"ndcg@10": 0.5}

    fit(model, FOUR, CrossEntropy().build(), Training(epochs=2, batch_size=2), 0, validate)
    assert model.moods == [True] * 4


def test_training_does_not_change_the_events() -> None:
    before = LOG.tolist()
    trained(seed=0)
    assert LOG.tolist() == before
