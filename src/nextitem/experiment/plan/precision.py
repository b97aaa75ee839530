"""What a loss and an encoder take in one precision and in another, on this machine.

Whether a processor has instructions for bfloat16 decides between a half and a multiple of float32's time, and no recipe
can know it. So both are timed, the loss on a few positions before the whole catalogue and the encoder on a few windows;
what is learnt is not told apart.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from nextitem.compute.randomness import Purpose, generator, seeded_globally
from nextitem.data.prepare import Prepared
from nextitem.experiment.plan.widths import narrower
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.losses.loss import LossConfiguration
from nextitem.settings.keys import settings_of
from nextitem.training.session import Session
from nextitem.training.training import Training

_SCORES = 1 << 23  # that are timed at a time
_LEAST_ROWS = 16
_WINDOWS = 32  # that an encoder is timed on
_TIMES = 2  # each is timed so often, after one call that is not: the shorter counts


def settled(recipe: Recipe, prepared: Prepared, session: Session) -> Recipe:
    """The recipe with the fastest of what its loss and its training leave open; itself where nothing is open.

    The first of several processes decides for all.
    """
    versions, decided = versions_of(recipe), 0
    if len(versions) == 1:
        return recipe
    if session.processes.rank == 0:
        trainings, losses = _open(recipe.sequence)
        for_loss = seconds_of(losses, recipe.sequence, prepared, session) if len(losses) > 1 else [0.0]
        shortest = [0.0]
        if len(trainings) > 1:
            shortest = encoder_seconds(trainings, recipe.sequence, prepared, session)
        decided = shortest.index(min(shortest)) * len(losses) + for_loss.index(min(for_loss))
    return versions[int(session.processes.sum(torch.tensor([decided])))]


def versions_of(recipe: Recipe) -> list[Recipe]:
    """The recipes that this one may be settled as; itself alone where nothing is open."""
    if recipe.learner.unplanned is not None:
        return [recipe]
    parts = recipe.sequence
    trainings, losses = _open(parts)
    if len(trainings) * len(losses) == 1:
        return [recipe]
    changed = (parts.model_copy(update={"training": one, "loss": loss}) for one in trainings for loss in losses)
    return [recipe.model_copy(update={"model": model}) for model in changed]


def _open(parts: SequenceRecipe) -> tuple[Sequence[Training], Sequence[LossConfiguration]]:
    """What training and loss may be settled as."""
    versions = parts.loss.versions
    return parts.training.versions, (parts.loss,) if parts.loss in versions else versions


def as_begun(recipe: Recipe, identity: Mapping[str, str]) -> Recipe:
    """The recipe as an interrupted training settled it, of which a checkpoint says what it is; else itself."""
    asked = settings_of(recipe)
    for version in versions_of(recipe):
        settings = settings_of(version)
        if all(
            identity.get(f"recipe.{key}") == json.dumps(settings[key]) for key in asked if settings[key] != asked[key]
        ):
            return version
    return recipe


def seconds_of(
    losses: Sequence[LossConfiguration],
    recipe: SequenceRecipe,
    prepared: Prepared,
    session: Session,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each of these losses, forward and backward, on the same states of a recipe's width."""
    narrow, items = narrower(recipe), len(prepared.log.items)
    rows = max(_LEAST_ROWS, min(narrow.training.batch_size * narrow.objective.maximum_length, _SCORES // items))
    with seeded_globally(session.seed, Purpose.WEIGHTS, 0, 0):
        table = narrow.items.build(items, narrow.encoder.dim, narrow.encoder.output_width).to(session.device)
        states_Te = 0.1 * torch.randn(rows, table.state_width, device=session.device)
        targets_T = torch.randint(items, (rows,), device=session.device)
    built, shortest = [loss.build() for loss in losses], [float("inf")] * len(losses)
    for attempt in range(1 + _TIMES):
        for number, loss in enumerate(built):
            began = _now(session, clock)
            loss(states_Te.requires_grad_(), targets_T, table).backward()
            if attempt:
                shortest[number] = min(shortest[number], _now(session, clock) - began)
    return shortest


def encoder_seconds(
    trainings: Sequence[Training],
    recipe: SequenceRecipe,
    prepared: Prepared,
    session: Session,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of the encoder in each of these trainings, forward and backward, on the same few windows."""
    narrow, sizes = narrower(recipe), (len(prepared.log.items), session.seed, len(prepared.log.users))
    shortest = [float("inf")] * len(trainings)
    for number, training in enumerate(trainings):
        model = narrow.model_copy(update={"training": training}).build(*sizes).to(session.device).train()
        windows = model.windows(prepared.split.train).to(session.device)
        batch = model.batch(windows.select(slice(_WINDOWS)), generator(session.seed, Purpose.MASKS_AND_NEGATIVES, 0, 0))
        for attempt in range(1 + _TIMES):
            began = _now(session, clock)
            with seeded_globally(session.seed, Purpose.DROPOUT, 0, attempt):
                model.states(batch).sum().backward()
            if attempt:
                shortest[number] = min(shortest[number], _now(session, clock) - began)
    return shortest


def _now(session: Session, clock: Callable[[], float]) -> float:
    if session.device.type == "cuda":
        torch.cuda.synchronize(session.device)
    return clock()
