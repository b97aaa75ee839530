"""The only optimisation loop. T target positions of a step.

Every random draw of a step comes from the key (seed, purpose, epoch, step), so a run that stopped after any epoch can
be continued to the very bits that an uninterrupted one would have ended with (same machine kind, CPU, thread count).
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from nextitem.compute import transfer
from nextitem.compute.memory import HEAP
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError, TrainingError
from nextitem.model.losses.loss import Loss
from nextitem.model.negatives.negatives import Sampler
from nextitem.model.sharded import TABLE
from nextitem.settings.given import must_be
from nextitem.training.averages import Averages
from nextitem.training.history import Epoch, History
from nextitem.training.optimisation import Descent
from nextitem.training.schedule import step_size
from nextitem.training.session import Progress, Session
from nextitem.training.step import Step
from nextitem.training.trainable import Acting, Trainable
from nextitem.training.training import Training
from nextitem.words import counted

Validate = Callable[[], Mapping[str, float]]


def fit_model(
    model: Trainable,
    train: Sequences,
    loss: Loss,
    training: Training,
    session: Session,
    validate: Validate | None,
    *,
    negatives: Sampler | None = None,
) -> History:
    """Train `model` in place and leave it with the weights of the best epoch (of the last one without patience).

    `validate` returns metrics by name, among them `training.monitor`, and may return `validation_loss`. Raises
    DataError when there is nothing to train on and when the first epoch could teach nothing, ConfigurationError when
    the monitored metric is not reported and for a precision that the device does not have, TrainingError when the loss
    stops being finite.
    """
    must_be(model, nn.Module, "model", "run(…) makes one of a recipe")
    must_be(training, Training, "training", "Training(epochs=10) is one")
    train, session = Sequences.required(train), Session.required(session)
    windows = _windows(model, train, training)
    if training.patience is not None and validate is None:
        raise ConfigurationError("early stopping needs validation; pass validate, or set training.patience=none")
    progress = Progress(model, descent(model, training), History())
    if session.checkpoint is not None:
        session.checkpoint.load(progress)
    history, processes = progress.history, session.processes
    step = Step(model, windows, loss, negatives, progress.descent, session)
    processes.agree("the weights at the start", _common(model))
    while not _is_finished(history, training, len(windows)):
        with _products(training.precision if transfer.is_asynchronous(session.device) else "float32"):
            epoch = _train_epoch(step, training, len(history.epochs) + 1)
        if not history.epochs:
            _refuse_idle(epoch, step.negatives is not None)
        with progress.descent.averaged():
            if validate is not None:
                epoch = _with_validation(epoch, validate())
            history.epochs.append(epoch)
            _keep_best(progress, training)
        processes.agree(f"the weights after epoch {epoch.epoch}", _common(model))
        if session.checkpoint is not None:
            (session.checkpoint.save if processes.rank == 0 else session.checkpoint.attend)(progress)
        session.watcher.epoch(epoch, history)
    progress.descent.finish()
    if progress.best_weights is not None:
        model.load_state_dict(progress.best_weights)
    return history


def _common(model: Trainable) -> dict[str, Tensor]:
    """The weights that all processes have."""
    weights = model.state_dict()
    return weights if model.shard is None else {name: weights[name] for name in weights if name != TABLE}


def _windows(model: Trainable, train: Sequences, training: Training) -> Sequences:
    """What is trained on, where the weights are; raises as `fit_model` where there is nothing, or not there."""
    device = next(model.parameters()).device
    windows = model.windows(train).to(device)
    if not len(windows):
        raise DataError(
            f"of {counted(len(train), 'user')} none has enough training events for a window; next-item windows need "
            f"two, beside the events that are held out"
        )
    if train.number_of_items == 1:
        raise DataError("the catalogue has one item, so that there is nothing to tell it from; give events of several")
    if training.precision == "tf32" and not transfer.is_asynchronous(device):
        raise ConfigurationError(
            "training.precision=tf32 is for GPUs, and the model is on the CPU, which has no such products; leave it "
            "out, or set bfloat16 or auto"
        )
    if training.precision == "auto":
        raise ConfigurationError(
            "training.precision=auto is settled by the plan of a training; train by `train`, or take the recipe of "
            "plan(…), or name float32 or bfloat16"
        )
    return windows


def _train_epoch(step: Step, training: Training, number: int) -> Epoch:
    """One pass over all windows in a random order, or as much of it as the last steps allow."""
    step.model.train()
    session, windows, started = step.session, step.windows, time.perf_counter()
    order = torch.randperm(len(windows), generator=generator(session.seed, Purpose.ORDER, number))
    size, before = training.batch_size_of(number), training.steps_before(number, len(windows))
    steps, most = math.ceil(len(windows) / size), training.most_steps(len(windows))
    total, positions = torch.zeros((), dtype=torch.float64, device=windows.starts_U.device), 0
    idle: Tensor | int = 0
    for place, rows in enumerate(order.split(size)[: most - before]):
        factor = step_size(training.schedule, training.warmup_steps, before + place, most)
        taken = step.take(rows, number, place, factor)
        total += taken.summed
        positions += taken.positions
        idle = idle + taken.idle
        session.watcher.step(number, place + 1, steps)
        HEAP.tidy()
    step.descent.settle()
    total = session.processes.sum(total)
    if not bool(total.isfinite()):
        raise TrainingError(
            f"the training loss of epoch {number} is {float(total)}: training diverged; lower training.learning_rate "
            f"(now {training.learning_rate}) or set training.gradient_clip"
        )
    seconds = time.perf_counter() - started
    loss = float(total) / max(positions, 1)
    return Epoch(number, loss, None, {}, seconds, positions / seconds, positions, int(idle))


def _refuse_idle(epoch: Epoch, has_negatives: bool) -> None:
    """Raises DataError for a first epoch that taught nothing: its weights are those of the start, or mere decay."""
    if not epoch.positions:
        raise DataError(
            f"no position of epoch {epoch.epoch} had a target, so nothing was learnt; raise "
            f"objective.mask_probability or lower objective.label_masking, whichever the objective has, or give longer "
            f"histories"
        )
    if epoch.idle < epoch.positions:
        return
    if has_negatives:
        raise DataError(
            f"no negative is left for any of the {epoch.positions:,} positions of epoch {epoch.epoch}, so nothing was "
            f"learnt: all items that could be drawn are excluded; exclude less (negatives.exclude=window or target), "
            f"or compare with all items (loss=cross_entropy negatives=none)"
        )
    raise DataError(
        f"each of the {epoch.positions:,} targets of epoch {epoch.epoch} weighs 0, so nothing was learnt; raise "
        f"objective.last_weight"
    )


@contextmanager
def _products(precision: str) -> Iterator[None]:
    """Inside, products of float32 are computed in TF32 unless `precision` is float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def descent(model: Trainable, training: Training) -> Descent:
    """The optimiser that a training asks for, at its start."""
    found = Descent(
        model.parameters(),
        learning_rate=training.learning_rate,
        beta2=training.beta2,
        weight_decay=training.weight_decay,
        l2=training.l2,
        gradient_clip=training.gradient_clip,
        table_Nd=cast(Acting, model).items.weight_Nd if training.item_rows == "touched" else None,
    )
    found.shard = model.shard
    if training.ema is not None:
        found.averages = Averages(model.parameters(), training.ema)
    return found


def _with_validation(epoch: Epoch, metrics: Mapping[str, float]) -> Epoch:
    others = {name: value for name, value in metrics.items() if name != "validation_loss"}
    return replace(epoch, validation=others, validation_loss=metrics.get("validation_loss"))


def _keep_best(progress: Progress, training: Training) -> None:
    """Remember the latest epoch's weights if its monitored value is the highest so far."""
    history, monitor = progress.history, training.monitor
    if training.patience is None:
        history.best_epoch = len(history.epochs)
        return
    latest = history.epochs[-1].validation
    if monitor not in latest:
        known = ", ".join(latest)
        raise ConfigurationError(f"training.monitor='{monitor}' is not among the validation metrics: {known}")
    earlier = [epoch.validation[monitor] for epoch in history.epochs[:-1]]
    if latest[monitor] > max(earlier, default=-math.inf):
        history.best_epoch = len(history.epochs)
        progress.best_weights = {name: weight.clone() for name, weight in progress.model.state_dict().items()}


def _is_finished(history: History, training: Training, windows: int) -> bool:
    trained = len(history.epochs)
    is_out_of_patience = training.patience is not None and trained - history.best_epoch >= training.patience
    is_over = training.steps_before(trained + 1, windows) >= training.most_steps(windows)
    is_over |= training.stop_after is not None and trained >= training.stop_after
    return is_over or (trained > 0 and is_out_of_patience)
