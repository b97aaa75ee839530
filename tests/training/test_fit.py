"""The optimisation loop: when it stops, what it keeps, what it tells. T target positions."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError, TrainingError
from nextitem.model.batches import Batch, Drawn
from nextitem.model.encoders import BERT4Rec, SASRec
from nextitem.model.losses import BPR, GBCE, BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.model.model import SequenceModel
from nextitem.model.negatives import ByPopularity, InBatch, Uniform
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.fit import fit_model
from nextitem.training.history import Epoch, History
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.shelves import build_model
from worlds.slopes import FOUR, LAST, LOG, Recorder, Scripted, Slope, sasrec, trained
from worlds.small_runs import ITEMS, sha256


def test_training_stops_after_so_many_epochs_without_a_better_value() -> None:
    model = Slope()
    # The best is epoch 2; neither the equal value of epoch 4 nor anything else within three epochs is better.
    validate = Scripted(model, [0.1, 0.3, 0.2, 0.3, 0.25, 0.9])
    history = fit_model(model, FOUR, CrossEntropy().build(), Training(patience=3), Session(0), validate)
    assert len(history.epochs) == 2 + 3
    assert history.best_epoch == 2


def test_a_better_value_renews_the_patience() -> None:
    model = Slope()
    validate = Scripted(model, [0.3, 0.2, 0.4, 0.1, 0.5, 0.1, 0.1])
    history = fit_model(model, FOUR, CrossEntropy().build(), Training(patience=2), Session(0), validate)
    assert (len(history.epochs), history.best_epoch) == (5 + 2, 5)


def test_the_model_is_left_with_the_weights_of_the_best_epoch() -> None:
    model = sasrec()
    validate = Scripted(model, [0.1, 0.3, 0.2])
    fit_model(model, LOG, CrossEntropy().build(), Training(epochs=3, batch_size=8), Session(0), validate)
    first, best, last = (sha256(weights) for weights in validate.weights)
    assert sha256(model.state_dict()) == best
    assert len({first, best, last}) == 3


@pytest.mark.parametrize(("monitor", "best"), [("ndcg@10", 3), ("mrr@10", 1)])
def test_the_monitored_metric_and_no_other_chooses_the_epoch(monitor: str, best: int) -> None:
    model = Slope()
    validate = Scripted(model, [0.1, 0.2, 0.3], others=[0.3, 0.2, 0.1])
    history = fit_model(model, FOUR, CrossEntropy().build(), Training(epochs=3, monitor=monitor), Session(0), validate)
    assert history.best_epoch == best
    assert torch.equal(model.point_2.detach(), validate.weights[best - 1]["point_2"])


def test_without_patience_all_epochs_are_trained_and_the_last_is_kept() -> None:
    model = sasrec()
    validate = Scripted(model, [0.9, 0.5, 0.1])
    training = Training(epochs=3, batch_size=8, patience=None, monitor="no such metric")
    history = fit_model(model, LOG, CrossEntropy().build(), training, Session(0), validate)
    assert (len(history.epochs), history.best_epoch) == (3, 3)
    assert sha256(model.state_dict()) == sha256(validate.weights[2])


def test_the_last_epoch_is_as_long_as_the_steps_allow() -> None:
    model = Slope()
    recorder = Recorder(model)
    training = Training(epochs=9, steps=3, batch_size=3, patience=None)
    history = fit_model(
        model, FOUR, CrossEntropy().build(), training, Session(0, watcher=recorder, checkpoint=recorder), None
    )
    assert recorder.events == [
        *("load", (1, 1, 2), (1, 2, 2), "save 1", "told of 1, best 1"),
        *((2, 1, 2), "save 2", "told of 2, best 2"),
    ]
    assert [round(epoch.positions_per_second * epoch.train_seconds) for epoch in history.epochs] == [4, 3]


def test_so_many_steps_are_the_first_of_more() -> None:
    """The order and all draws of a step do not know how many will follow."""
    stops: list[dict[str, int]] = [{"epochs": 1}, {"epochs": 7, "steps": 4}]  # 30 windows by 8
    trainings = [LAST.model_copy(update={"batch_size": 8, **stop}) for stop in stops]
    assert len({sha256(trained(0, training).state_dict()) for training in trainings}) == 1


def test_what_is_trained_again_for_so_many_epochs_ends_where_validation_kept_it() -> None:
    model = sasrec()
    training = Training(epochs=4, batch_size=8, patience=3, schedule="cosine")
    fit_model(model, LOG, CrossEntropy().build(), training, Session(0), Scripted(model, [0.1, 0.9, 0.2, 0.3]))
    exact = trained(0, training.exactly(2, "train"))
    assert sha256(exact.state_dict()) == sha256(model.state_dict())


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
    fit_model(model, LOG, CrossEntropy().build(), LAST, Session(0), None)
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
        return Drawn(batch.targets_T[:, None] - 1, "position", batch.rows_T)


def test_every_step_draws_negatives_of_its_own_and_the_same_ones_again() -> None:
    one, again, other = Draws(), Draws(), Draws()
    for seed, draws in ((0, one), (0, again), (1, other)):
        fit_model(Slope(), FOUR, CrossEntropy().build(), LAST, Session(seed), None, negatives=draws)
    assert len(set(one.numbers)) == 2 * 2  # epochs · steps
    assert one.numbers == again.numbers
    assert not set(one.numbers) & set(other.numbers)


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
    history = fit_model(
        model, LOG, CrossEntropy().build(), training, Session(0, watcher=recorder, checkpoint=recorder), None
    )
    assert 0 < model.targets.count(0) < len(model.targets) == 2 * len(LOG)
    assert recorder.optimiser_steps == len(model.targets) - model.targets.count(0)
    assert (2, len(LOG), len(LOG)) in recorder.events  # the display counts a skipped step
    seconds = [epoch.train_seconds for epoch in history.epochs]
    rates = [epoch.positions_per_second for epoch in history.epochs]
    positions = sum(rate * second for rate, second in zip(rates, seconds, strict=True))
    assert round(positions) == sum(model.targets)


def test_the_training_loss_is_the_mean_over_all_positions_of_the_epoch() -> None:
    model = sasrec(dropout=0.0)
    batch = model.batch(model.windows(LOG), torch.Generator())
    expected = float(model.loss(batch, CrossEntropy().build(), None).detach()) / len(batch.targets_T)
    still = Training(epochs=1, batch_size=7, patience=None, learning_rate=1e-300)  # 30 windows: the last step has 2
    history = fit_model(model, LOG, CrossEntropy().build(), still, Session(0), None)
    assert history.epochs[0].train_loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", [torch.inf, torch.nan])
def test_a_diverged_loss_is_an_error_that_says_what_to_lower(loss: float) -> None:
    model = Slope(per_position=loss)
    recorder = Recorder(model)
    with pytest.raises(
        TrainingError, match=rf"loss of epoch 1 is {loss}: .*lower training\.learning_rate \(now 0\.5\)"
    ):
        fit_model(
            model,
            FOUR,
            CrossEntropy().build(),
            Training(learning_rate=0.5),
            Session(0, checkpoint=recorder),
            recorder.validate,
        )
    assert recorder.events == ["load"]  # neither validated nor saved


def test_an_unknown_metric_to_monitor_is_refused_with_the_known_ones() -> None:
    model = Slope()
    validate = Scripted(model, [0.1])
    with pytest.raises(
        ConfigurationError, match=r"training\.monitor='recall' is not among the validation metrics: ndcg@10, mrr@10$"
    ):
        fit_model(model, FOUR, CrossEntropy().build(), Training(monitor="recall"), Session(0), validate)


def test_the_validation_loss_is_not_monitored_since_lower_is_better() -> None:
    model, training = Slope(), Training(monitor="validation_loss")
    with pytest.raises(ConfigurationError, match=r"training\.monitor='validation_loss'"):
        fit_model(model, FOUR, CrossEntropy().build(), training, Session(0), Scripted(model, [0.1]))


def test_early_stopping_without_validation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"early stopping needs validation; .*training\.patience=none"):
        fit_model(Slope(), FOUR, CrossEntropy().build(), Training(), Session(0), None)


def test_users_with_too_few_events_for_a_window_are_refused_when_there_are_no_others() -> None:
    with pytest.raises(DataError, match=r"of 3 users none has enough training events for a window; .* need two"):
        fit_model(Slope(), Sequences.of([[1], [], [2]], ITEMS), CrossEntropy().build(), LAST, Session(0), None)


SEEN = Sequences.of([[0, 1, 2], [2, 1, 0], [1, 0, 2]], 3)  # everyone has seen everything
WITHOUT_TARGETS = [
    NextItem(maximum_length=8, label_masking=1 - 1e-9),
    MaskedItem(maximum_length=8, mask_probability=1e-9),
]


@pytest.mark.parametrize("objective", WITHOUT_TARGETS, ids=["next_item", "masked_item"])
def test_a_first_epoch_without_a_target_is_an_error_and_leaves_nothing(objective: Any) -> None:
    model = build_model(SASRec(dim=8, positions=8), objective, ITEMS)
    recorder = Recorder(model)
    session = Session(0, watcher=recorder, checkpoint=recorder)
    with pytest.raises(DataError, match=r"no position of epoch 1 had a target, so nothing was learnt; .*masking"):
        fit_model(model, LOG, CrossEntropy().build(), LAST, session, recorder.validate)
    assert not {"save 1", "validate", "told of 1, best 1"} & set(recorder.events)


@pytest.mark.parametrize(
    "loss", [BinaryCrossEntropy(), BPR(), GBCE(), SampledCrossEntropy()], ids=lambda loss: loss.name
)
@pytest.mark.parametrize(
    "negatives",
    [
        Uniform(count=2, exclude="history"),
        Uniform(count=2, exclude="window", sharing="sequence"),
        Uniform(count=2, exclude="history", sharing="batch", replacement=False),
        ByPopularity(count=2, exclude="history"),
        InBatch(),
    ],
    ids=["position", "sequence", "batch", "popularity", "in_batch"],
)
def test_a_first_epoch_in_which_nothing_is_compared_is_an_error(loss: Any, negatives: Any) -> None:
    model = build_model(SASRec(dim=8, positions=8), NextItem(maximum_length=8), 3)
    with pytest.raises(
        DataError, match=r"no negative is left for any of the 6 positions of epoch 1.*negatives\.exclude"
    ):
        fit_model(model, SEEN, loss.build(), LAST, Session(0), None, negatives=negatives.build(SEEN))


def test_targets_that_all_weigh_nothing_are_an_error() -> None:
    objective = MaskedItem(maximum_length=8, masks="exact_share", mask_probability=0.01, last_weight=0.0)
    model = build_model(SASRec(dim=8, positions=8), objective, 3)
    with pytest.raises(DataError, match=r"each of the 3 targets of epoch 1 weighs 0.*last_weight"):
        fit_model(model, SEEN, CrossEntropy().build(), LAST, Session(0), None)


def test_a_catalogue_of_one_item_is_nothing_to_learn_from() -> None:
    model = build_model(SASRec(dim=8, positions=8), NextItem(maximum_length=8), 1)
    with pytest.raises(DataError, match="the catalogue has one item, so that there is nothing to tell it from"):
        fit_model(model, Sequences.of([[0, 0, 0]], 1), CrossEntropy().build(), LAST, Session(0), None)


def test_how_many_targets_of_the_first_epoch_taught_nothing_is_noted() -> None:
    """One user of two has seen all three items: two of three targets have nothing to be compared with."""
    train = Sequences.of([[0, 1, 2], [2, 1]], 3)
    model = build_model(SASRec(dim=8, positions=8), NextItem(maximum_length=8), 3)
    sampler = Uniform(count=1, exclude="history").build(train)
    history = fit_model(model, train, BinaryCrossEntropy().build(), LAST, Session(0), None, negatives=sampler)
    assert [(epoch.positions, epoch.idle) for epoch in history.epochs] == [(3, 2), (3, 2)]
    assert history.notes == (
        "2 of 3 targets of epoch 1 taught nothing: no negative was left for them, or they weigh 0",
    )


@pytest.mark.parametrize(("idle", "notes"), [(0, 0), (9, 0), (10, 1)])
def test_a_few_targets_that_taught_nothing_are_no_news(idle: int, notes: int) -> None:
    history = History([Epoch(1, 0.5, None, {}, 1.0, 1000.0, 1000, idle)], 1)
    assert len(history.notes) == notes


def test_the_watcher_is_told_of_every_step_and_of_every_epoch_once_it_is_safe() -> None:
    model = Slope()
    recorder = Recorder(model)
    training = Training(epochs=2, batch_size=3)
    fit_model(
        model,
        FOUR,
        CrossEntropy().build(),
        training,
        Session(0, checkpoint=recorder, watcher=recorder),
        recorder.validate,
    )
    first = [(1, 1, 2), (1, 2, 2), "validate", "save 1", "told of 1, best 1"]
    second = [(2, 1, 2), (2, 2, 2), "validate", "save 2", "told of 2, best 1"]
    assert recorder.events == ["load", *first, *second]


def test_a_line_of_history_holds_what_a_run_promises() -> None:
    model = Slope(per_position=2.0, scale=0.0)
    history = fit_model(
        model,
        FOUR,
        CrossEntropy().build(),
        Training(epochs=2),
        Session(0),
        Scripted(model, [0.1, 0.2], others=[0.3, 0.4]),
    )
    lines = [json.loads(json.dumps(line)) for line in history.as_lines()]
    assert [list(line) for line in lines] == [
        [
            *("epoch", "train_loss", "validation_loss", "validation", "train_seconds", "positions_per_second"),
            *("positions", "idle"),
        ]
    ] * 2
    assert [(line["epoch"], line["train_loss"], line["validation_loss"]) for line in lines] == [(1, 2, 7), (2, 2, 6)]
    assert lines[1]["validation"] == {"ndcg@10": 0.2, "mrr@10": 0.4}
    assert history.train_seconds == pytest.approx(sum(line["train_seconds"] for line in lines))


def test_without_validation_a_line_of_history_says_so() -> None:
    history = fit_model(Slope(), FOUR, CrossEntropy().build(), LAST, Session(0), None)
    assert [(line["validation_loss"], line["validation"]) for line in history.as_lines()] == [(None, {})] * 2


class Moody(Slope):
    """Writes down whether it was in training mode."""

    def states(self, batch: Batch) -> Tensor:
        self.moods = [*getattr(self, "moods", []), self.training]
        return super().states(batch)


def test_every_epoch_trains_in_training_mode_whatever_validation_left() -> None:
    model = Moody().eval()

    def validate() -> dict[str, float]:
        model.eval()
        return {"ndcg@10": 0.5}

    fit_model(model, FOUR, CrossEntropy().build(), Training(epochs=2, batch_size=2), Session(0), validate)
    assert model.moods == [True] * 4


def test_training_does_not_change_the_events() -> None:
    before = LOG.tolist()
    trained(seed=0)
    assert LOG.tolist() == before
