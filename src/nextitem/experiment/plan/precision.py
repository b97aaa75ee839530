"""What a loss takes in one precision and in another, on this machine.

Whether a processor has instructions for bfloat16 decides between a half and a multiple of float32's time, and no recipe
can know it. So both are timed, on a few positions before the whole catalogue; what is learnt is not told apart.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from nextitem.compute.randomness import Purpose, seeded_globally
from nextitem.data.prepare import Prepared
from nextitem.experiment.plan.widths import narrower
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.losses.loss import LossConfiguration
from nextitem.settings.keys import settings_of
from nextitem.training.session import Session

_SCORES = 1 << 23  # that are timed at a time
_LEAST_ROWS = 16
_TIMES = 2  # each loss is timed so often, after one call that is not: the shorter counts


def settled(recipe: Recipe, prepared: Prepared, session: Session) -> Recipe:
    """The recipe with the fastest of what its loss leaves open; itself where nothing is open.

    The first of several processes decides for all.
    """
    versions, decided = versions_of(recipe), 0
    if len(versions) == 1:
        return recipe
    if session.processes.rank == 0:
        seconds = seconds_of([version.sequence.loss for version in versions], recipe.sequence, prepared, session)
        decided = seconds.index(min(seconds))
    return versions[int(session.processes.sum(torch.tensor([decided])))]


def versions_of(recipe: Recipe) -> list[Recipe]:
    """The recipes that this one may be settled as; itself alone where nothing is open."""
    if recipe.learner.unplanned is not None or recipe.sequence.loss in recipe.sequence.loss.versions:
        return [recipe]
    parts = recipe.sequence
    changed = (parts.model_copy(update={"loss": loss}) for loss in parts.loss.versions)
    return [recipe.model_copy(update={"model": model}) for model in changed]


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


def _now(session: Session, clock: Callable[[], float]) -> float:
    if session.device.type == "cuda":
        torch.cuda.synchronize(session.device)
    return clock()
