"""From a recipe and a seed to a reported number: the whole pipeline on one page."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from nextitem.compute.waiting import Say, silent, told_if_slow
from nextitem.data.features.table import ItemFeatures
from nextitem.data.prepare import SYNTHETIC, GivenEvents, Prepared, data_of_given, prepare
from nextitem.data.reading.frames import FRAME
from nextitem.data.splits.split import Split
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.evaluation.hiding import hidden_targets
from nextitem.experiment.learner import Learnt, Stored
from nextitem.experiment.recipe import Recipe
from nextitem.settings.given import must_be
from nextitem.training.history import History
from nextitem.training.session import Session
from nextitem.words import counted


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
    """Seconds of optimisation, or of counting where nothing else was done."""
    upper_bound: Mapping[str, float] | None
    """What the process that generated the data would earn on the test histories, where that is known."""
    recipe: Recipe
    """What was learnt by, as it was carried out."""


def run(
    recipe: Recipe,
    session: Session,
    *,
    prepared: Prepared | None = None,
    events: GivenEvents | None = None,
    say: Say = silent,
) -> Outcome:
    """Prepare the data, learn with the epoch chosen by validation, evaluate on validation and test.

    `prepared` spares reading the same data again; ConfigurationError is raised where the recipe asks for other data.
    `events`, a frame of any library, are taken in place of the recipe's data, as `prepare` takes them.
    `say` is told of what takes long and has no epochs, which the session's watcher is told of.
    Of several processes all run this, and all get the outcome. Raises what the steps raise; see their docstrings.
    """
    recipe, session = Recipe.required(recipe), Session.required(session)
    if prepared is not None and events is not None:
        raise ConfigurationError("run takes prepared events, or events to be prepared; give one of them")
    prepared = prepare(recipe, events=events) if prepared is None else _of_the_recipe(prepared, recipe)
    prepared = as_learnt(prepared, recipe)
    with told_if_slow(f"{recipe.name} learns", silent if recipe.learner.unplanned is None else say):
        learnt = learn(recipe, prepared, session)
    if learnt.notes:
        prepared = replace(prepared, notes=(*prepared.notes, *learnt.notes))
    measured = []
    for what, cases in (("validation", prepared.split.validation), ("test", prepared.split.test)):
        with told_if_slow(f"ranking the targets of {counted(len(cases), f'{what} case')}", say):
            measured.append(evaluate(learnt.scorer, cases, ranking=recipe.ranking, processes=session.processes))
    validation, test = measured
    bound = prepared.upper_bound(prepared.split.test) if prepared.upper_bound else None
    return Outcome(
        learnt.scorer, prepared, learnt.history, validation, test, learnt.parameters, learnt.seconds, bound, recipe,
    )  # fmt: skip


def learn(recipe: Recipe, prepared: Prepared, session: Session) -> Learnt:
    """What the recipe's model learns from the training part, the epoch chosen by validation; no test case is seen."""
    log, times = prepared.log.sequences, prepared.log.sequences.events.times
    read = {"items": log.events.items, "starts": log.starts_U, "stops": log.stops_U}
    if times is not None and recipe.learner.reads_times:
        read["times"] = times
    session.processes.agree("its events", read)
    return recipe.learner.learn(prepared, session, recipe.ranking)


def fingerprint(prepared: Prepared, recipe: Recipe) -> str:
    """Stands for all that the recipe's model is told: events, and their times and features where it reads these.

    Raises DataError where the data lack what the model has to be told, with what to do about it.
    """
    recipe.learner.check(prepared)
    events = prepared.log.sha256(with_times=recipe.learner.reads_times)
    known = features_fingerprint(prepared.features, recipe), users_fingerprint(prepared.user_features, recipe)
    return told(events, *known)


def features_fingerprint(features: ItemFeatures, recipe: Recipe) -> str | None:
    """sha256 of what is known of the items, where the recipe's model reads it; None: it does not."""
    return features.sha256() if recipe.learner.reads_features else None


def users_fingerprint(users: ItemFeatures | None, recipe: Recipe) -> str | None:
    """sha256 of what is known of the users, where the recipe's model reads it; None: it does not."""
    return users.sha256() if users is not None and recipe.learner.reads_users else None


def told(events_sha256: str, features_sha256: str | None, users_sha256: str | None = None) -> str:
    """All fingerprints as one: that of the events where the model is told nothing else."""
    return "+".join(one for one in (events_sha256, features_sha256, users_sha256) if one is not None)


def as_learnt(prepared: Prepared, recipe: Recipe) -> Prepared:
    """The events as the recipe's model is given them, with notes on what the recipe makes of them.

    For a model that asks for it, the validation part is in the training part.
    """
    notes = notes_on(prepared, recipe)
    if notes == prepared.notes:
        return prepared
    split = prepared.split.with_validation() if recipe.learner.learns_validation else prepared.split
    return replace(prepared, split=as_asked(split, recipe), notes=notes)


def as_asked(split: Split, recipe: Recipe) -> Split:
    """The split with the cases as the recipe's model is asked them: those that say when their targets happened, or not.

    Raises DataError as `Cases.telling_times`.
    """
    return split.telling_times() if recipe.learner.reads_target_times and split.train.has_times else split


def notes_on(prepared: Prepared, recipe: Recipe) -> tuple[str, ...]:
    """What is to know about the events, and about what this recipe makes of them, in words."""
    said = [*notes_on_cases(prepared, recipe)]
    if recipe.learner.has_users and (unknown := _unknown(prepared.split, recipe)):
        said.append(
            f"{unknown:,} of {counted(len(prepared.split.test), 'test case')} are of users of whom nothing is learnt: "
            f"{recipe.learner.parts[0]} has a vector for each user, and none was trained for them"
        )
    if recipe.learner.reads_target_times:
        said.append(
            "the model is told when each target happened (encoder.times=target_leaks), which nobody knows who "
            "recommends: its metrics compare with those of models alone that are told the same"
        )
    if recipe.learner.learns_validation:
        said.append(
            "validation events were learnt too (events=train_and_validation): metrics of validation say nothing"
        )
    return tuple(said)


def notes_on_cases(prepared: Prepared, recipe: Recipe) -> tuple[str, ...]:
    """Those of the notes that hold for whatever learns from the same events and is ranked in the same way."""
    cases = prepared.split.test
    is_disliked_C = hidden_targets(cases.histories.disliked(), cases.targets_C)
    is_repeated_C = hidden_targets(recipe.ranking.seen(cases.histories), cases.targets_C) & ~is_disliked_C
    said, among = [*prepared.notes], f"of {counted(len(cases), 'test target')}"
    if missed := int(is_repeated_C.sum()):
        fact, they = ("repeats", "it") if missed == 1 else ("repeat", "they")
        said.append(
            f"{missed:,} {among} {fact} the history: {they} cannot be hit, since hide={recipe.hide}; hide=nothing "
            f"ranks {'it' if missed == 1 else 'them'}"
        )
    if missed := int(is_disliked_C.sum()):
        said.append(f"{missed:,} {among} had been disliked by the user before: they are hidden, and cannot be hit")
    return tuple(said)


def _unknown(split: Split, recipe: Recipe) -> int:
    """How many test cases are of users without an event that is learnt."""
    learnt = split.train_and_validation if recipe.learner.learns_validation else split.train
    known = learnt.users_U[learnt.lengths_U > 0]
    return int((~torch.isin(split.test.histories.users_U, known)).sum())


def on_given(recipe: Recipe, events: GivenEvents | None) -> Recipe:
    """The recipe, with the name that given events have as its data. Raises ConfigurationError where it names others."""
    return recipe if events is None else recipe.model_copy(update={"data": data_of_given(recipe.data)})


def _of_the_recipe(prepared: Prepared, recipe: Recipe) -> Prepared:
    """The same. Raises ConfigurationError where it was made of other data, or in another way."""
    must_be(prepared, Prepared, "prepared", "prepare(recipe) returns one; leave it out to have the data read")
    if prepared.source.data == FRAME and recipe.data == SYNTHETIC:
        recipe = recipe.model_copy(update={"data": FRAME})
    for setting, used in vars(prepared.source).items():
        if used != getattr(recipe, setting):
            raise ConfigurationError(
                f"`prepared` was made with {setting}={used!r}, and the recipe has {getattr(recipe, setting)!r}; "
                f"prepare the recipe's own data, or leave `prepared` out"
            )
    return prepared
