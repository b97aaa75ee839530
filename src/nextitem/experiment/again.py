"""A stored run restored, and measured again: on its own cases, or on others that the same training may be asked."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from nextitem.compute.waiting import Say, silent, told_if_slow
from nextitem.data.features.columns import NO_FEATURES
from nextitem.data.features.layout import known_categories
from nextitem.data.features.table import FILE as FEATURES
from nextitem.data.prepare import GivenEvents, Prepared, prepare
from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Split
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.folder.cases import stored_cases
from nextitem.experiment.folder.metrics import Metrics, metrics_of
from nextitem.experiment.folder.reading import COMPARED, MODEL, Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.learner import Stored
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, as_learnt, features_fingerprint, on_given
from nextitem.settings.given import expanded, of_kind
from nextitem.settings.overrides import resolve
from nextitem.storage.places import what_is_at
from nextitem.training.history import History
from nextitem.words import counted


def evaluate_again(
    run: Run,
    part: Literal["test", "validation"],
    metrics: Sequence[str],
    data: str | None = None,
    *,
    events: GivenEvents | None = None,
    ranking: Ranking | None = None,
    overrides: Sequence[str] = (),
) -> Evaluation:
    """The evaluation of a stored run, made anew; `data` tells where its data is now, if not where it was.

    Of a run that learnt from a frame, give that again as `events`, or a file of the same events as `data`.

    A run that was updated is asked the cases that it has stored, since no file has all of its events.
    Targets are ranked against `ranking`, by default as in training. `overrides`, such as `split.target=all`, ask for
    other cases of the same training. Raises DataError where the data is not what it was trained on, and
    ConfigurationError for overrides by which something else would have been learnt.
    """
    run = of_kind(run, Run, "run", "read_run(folder) returns one")
    run.require_evaluated()
    if run.metrics.update is not None and not (overrides or data is not None or events is not None):
        ranking = run.recipe.ranking if ranking is None else ranking
        return evaluate(restore_own(run), stored_cases(run, part), metrics, ranking=ranking)
    recipe = asked_otherwise(run.recipe, overrides) if overrides else run.recipe
    split = otherwise(run, recipe, data, events).split if overrides else split_of(run, data, events)
    cases = split.test if part == "test" else split.validation
    scorer = restore(run.recipe, run, split.train.number_of_items)
    return evaluate(scorer, cases, metrics, ranking=recipe.ranking if ranking is None else ranking)


def asked_otherwise(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """The recipe with other test cases, by settings of its split such as `split.target=all`.

    What chose the epoch stays: a validation that took the test's rule keeps it. Raises ConfigurationError for settings
    by which something else would be learnt.
    """
    recipe = recipe.model_copy(update={"split": recipe.split.as_chosen()})
    stored = ("run", recipe.model_dump(mode="json"))
    other = resolve(Recipe, [stored], overrides).value
    is_same = other.model_copy(update={"split": recipe.split}) == recipe
    if not is_same or other.split.as_learnt() != recipe.split.as_learnt():
        hiding = "" if other.hide == recipe.hide else f", and measure with another hide by --hide {other.hide}"
        raise ConfigurationError(
            f"{' '.join(overrides)}: only what decides the test cases and nothing that is learnt can be asked for "
            f"otherwise, such as split.target of split=temporal; train anew with other settings{hiding}"
        )
    return other


def measured_by(run: Run, recipe: Recipe, say: Say = silent) -> tuple[Outcome, Metrics]:
    """The training of a stored run on the cases of a recipe that learns the same: what a run of its own is made of.

    Raises DataError where the data is not what it was trained on.
    """
    prepared, known = otherwise(run, recipe), run.metrics
    scorer = restore(run.recipe, run, len(prepared.log.items))
    with told_if_slow(f"ranking the targets of {counted(len(prepared.split.test), 'test case')}", say):
        parts = (prepared.split.validation, prepared.split.test)
        validation, test = (evaluate(scorer, cases, ranking=recipe.ranking) for cases in parts)
    note = f"weights and history are those of {run.folder.name}, which learnt the same"
    prepared = replace(prepared, notes=(*prepared.notes, note), features=run.features, user_features=run.user_features)
    history = History(run.history, known.best_epoch)
    outcome = Outcome(scorer, prepared, history, validation, test, known.parameters, known.train_seconds, None, recipe)
    return outcome, metrics_of(outcome, known.provenance)


def stored_by(run: Run, recipe: Recipe, out: Path, say: Say = silent) -> Run:
    """`measured_by` stored in `out`, without a page; raises as that and as storing does."""
    run.require_evaluated()
    run.proven(*MODEL)
    outcome, metrics = measured_by(run, recipe, say)
    workplace = Workplace.of(out, recipe, run.seed)
    with workplace.alone():
        folder = write_run(workplace, recipe, outcome, metrics, with_users=run.has_users)
    return read_run(folder).proven(*COMPARED)


def otherwise(run: Run, recipe: Recipe, data: str | None = None, events: GivenEvents | None = None) -> Prepared:
    """The events of a stored run with the cases of a recipe that learns the same; raises as `split_of`."""
    prepared = _prepared(run, recipe, data, events)
    if prepared.log.sha256(with_times=recipe.learner.reads_times) != run.metrics.provenance.events_sha256:
        raise DataError(
            f"{prepared.source.data} is not the data that {run.folder} was trained on: its events are others; restore "
            f"the file, or train anew"
        )
    return replace(prepared, split=prepared.split.named(run.metrics.certificate.dataset))


def _prepared(run: Run, recipe: Recipe, data: str | None, events: GivenEvents | None) -> Prepared:
    """The events as a run's model was given them. Raises DataError with what to do where they cannot be read."""
    if run.metrics.update is not None:
        raise DataError(
            f"{run.folder} was updated: no file has all of its events, so only its own cases, which it has stored, "
            f"can be asked again; leave --data and settings out"
        )
    # What is known of items and users is in the run; their tables may be elsewhere by now.
    moved = {} if data is None else {"data": str(expanded(data))}
    recipe = recipe.model_copy(update={"features": NO_FEATURES, "user_features": NO_FEATURES, **moved})
    try:
        recipe = on_given(recipe, events)
        prepared = as_learnt(prepare(recipe, events=events), recipe)
        return replace(prepared, split=prepared.split.with_categories(known_categories(run.features)))
    except DataError as error:
        if data is not None:
            asked = run.recipe.columns.said
            named = f", its columns by {' '.join(f'{role}={name}' for role, name in asked.items())}" if asked else ""
            raise DataError(f"{error}. {run.folder} was made of {run.recipe.data}{named}: give those events") from error
        if events is not None or what_is_at(Path(recipe.data)) is not None:
            raise
        raise DataError(
            f"{error}. If the data has moved, tell where it is: `nextitem evaluate {run.folder} --data PATH`"
        ) from error


def split_of(run: Run, data: str | None = None, events: GivenEvents | None = None) -> Split:
    """The split that a stored run was trained on, by the name it had; raises DataError where the data is not that."""
    prepared = _prepared(run, run.recipe, data, events)
    split, log, recipe = prepared.split, prepared.log, run.recipe
    trained_on = run.metrics.certificate.split
    if split.test.sha256 != trained_on:
        raise DataError(
            f"{prepared.source.data} is not the data that {run.folder} was trained on: its test cases have sha256 "
            f"{split.test.sha256[:12]}…, the run's have {trained_on[:12]}…; restore the file, or train anew"
        )
    if recipe.learner.reads_times and log.sha256(with_times=True) != run.metrics.provenance.events_sha256:
        raise DataError(
            f"{prepared.source.data} is not the data that {run.folder} was trained on: its events have other times, "
            f"which the model reads; restore the file, or train anew"
        )
    return split.named(run.metrics.certificate.dataset)


def restore_own(run: Run) -> Scorer:
    """The model of a stored run for the items and users that were stored with it. Raises ArtefactError."""
    scorer = restore(run.recipe, run, len(run.items))
    known = run.recipe.learner.users_in(run.weights)
    if known and run.users is not None and known != len(run.users):
        raise run.refused("model.safetensors", f"has {known:,} users, and users.parquet {len(run.users):,}")
    return scorer


def restore(recipe: Recipe, run: Run, number_of_items: int) -> Stored:
    """The model of a stored run. Raises ArtefactError where the weights do not fit the recipe."""
    known, trained_with = features_fingerprint(run.features, recipe), run.metrics.provenance.features_sha256
    if known != trained_with:
        raise run.refused(FEATURES, f"has sha256 {known}, and the model was trained with features of {trained_with}")
    try:
        scorer = recipe.learner.restore(run.weights, number_of_items)
    except (ValueError, RuntimeError) as error:
        raise run.refused("model.safetensors", f"does not fit recipe.json: {error}") from error
    scored = scorer.query(Sequences.of([], number_of_items)).number_of_items
    if scored != number_of_items:
        raise run.refused("model.safetensors", f"is for {scored:,} items, but the catalogue has {number_of_items:,}")
    return scorer
