"""From a recipe and a seed to a reported number: the whole pipeline on one page."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nextitem.data.prepare import Prepared, prepare
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.experiment.learner import Learnt, Stored
from nextitem.experiment.recipe import Recipe
from nextitem.training.history import History
from nextitem.training.session import Session


@dataclass(frozen=True)
class Outcome:
    """A trained model and what was measured."""

    model: Stored
    prepared: Prepared
    history: History
    validation: Evaluation
    test: Evaluation
    parameters: int
    train_seconds: float
    """Seconds of optimisation; 0 where nothing but counts was made."""
    upper_bound: Mapping[str, float] | None
    """What the process that generated the data would earn on the test histories, where that is known."""


def run(recipe: Recipe, session: Session, *, prepared: Prepared | None = None) -> Outcome:
    """Prepare the data, learn with the epoch chosen by validation, evaluate on validation and test.

    `prepared` spares reading the same data again; ConfigurationError is raised where the recipe asks for other data.
    Of several processes all run this, and all get the outcome. Raises what the steps raise; see their docstrings.
    """
    prepared = prepare(recipe) if prepared is None else _of_the_recipe(prepared, recipe)
    prepared = as_learnt(prepared, recipe)
    learnt = learn(recipe, prepared, session)
    validation, test = (
        evaluate(learnt.scorer, cases, processes=session.processes)
        for cases in (prepared.split.validation, prepared.split.test)
    )
    bound = prepared.upper_bound(prepared.split.test) if prepared.upper_bound else None
    return Outcome(
        learnt.scorer, prepared, learnt.history, validation, test, learnt.parameters, learnt.seconds, bound
    )  # fmt: skip


def learn(recipe: Recipe, prepared: Prepared, session: Session) -> Learnt:
    """What the recipe's model learns from the training part, the epoch chosen by validation; no test case is seen."""
    events = prepared.log.sequences
    session.processes.agree(
        "its events", {"items": events.events.items, "starts": events.starts_U, "stops": events.stops_U}
    )
    return recipe.learner.learn(prepared, session)


def as_learnt(prepared: Prepared, recipe: Recipe) -> Prepared:
    """The events with the validation part in the training part, for a model that asks for it; a note says so."""
    if not recipe.learner.learns_validation:
        return prepared
    note = "validation events were learnt too (model.events=train_and_validation): metrics of validation say nothing"
    return replace(prepared, split=prepared.split.with_validation(), notes=(*prepared.notes, note))


def _of_the_recipe(prepared: Prepared, recipe: Recipe) -> Prepared:
    """The same. Raises ConfigurationError where it was made of other data, or in another way."""
    for setting, used in vars(prepared.source).items():
        if used != getattr(recipe, setting):
            raise ConfigurationError(
                f"`prepared` was made with {setting}={used!r}, and the recipe has {getattr(recipe, setting)!r}; "
                f"prepare the recipe's own data, or leave `prepared` out"
            )
    return prepared
