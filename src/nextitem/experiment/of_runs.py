"""Finished runs made one: restored, joined, measured on the cases that they share, and stored as any other run."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from nextitem.compute.waiting import Say, silent, told_if_slow
from nextitem.data.features.table import ItemFeatures
from nextitem.data.prepare import GivenEvents, Prepared
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.again import otherwise, restore
from nextitem.experiment.combined import Blend, Ensemble, Member
from nextitem.experiment.combined.mean import Average
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.others import kept_of
from nextitem.experiment.folder.provenance import made_now
from nextitem.experiment.folder.reading import MODEL, Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.learner import Learnt
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, features_fingerprint
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.train import Extras, add_report
from nextitem.experiment.yardsticks import UNCOMPARED, beside
from nextitem.settings.given import listed, of_kind
from nextitem.training.history import History
from nextitem.training.session import Session
from nextitem.training.validation import validation_cases
from nextitem.words import counted


@dataclass(frozen=True)
class Place:
    """Where what is made of runs will be, and where the events are that they learnt from."""

    out: Path | None = None
    """The folder in which the run's folder appears; None: the one that the first run is in."""
    name: str | None = None
    """What the run is called; None: by what it is, such as `ensemble`."""
    data: str | None = None
    """Where the events are now, if not where they were."""
    events: GivenEvents | None = None
    """The events themselves, of runs that learnt from a frame."""
    extras: Extras = field(default_factory=Extras)
    """What the run has beside its model and its metrics."""


def ensemble(
    runs: Sequence[Run], average: Average = "log_probability", place: Place = Place(), say: Say = silent
) -> Run:
    """The run of an ensemble of finished runs of sequence models, which learnt the same events and were asked the same.

    Its model is the mean of theirs (`MeanScorer`), its metrics are its own, its seconds and parameters the sum of
    theirs. Raises ConfigurationError for fewer than two runs, for the same training twice, for other kinds of models,
    and, with what differs, for runs of other events, cases or catalogues; and what restoring and storing raise.
    """
    runs = [of_kind(run, Run, "runs", "read_run(folder) returns one") for run in listed(runs, "runs")]
    if len(runs) < 2:
        raise ConfigurationError(f"an ensemble is made of two runs or more, and got {len(runs)}; give them all")
    _check_alike(runs)
    members = tuple(Member(seed=run.seed, model=run.recipe.sequence) for run in runs)
    model = Ensemble(members=members, average=average)
    prepared = _prepared(runs, place)
    learnt = model.joined([_learnt(run, prepared) for run in runs])
    recipe = runs[0].recipe.model_copy(update={"name": place.name or model.name, "model": model})
    return _stored(runs, recipe, replace(prepared, notes=(*prepared.notes, _said(runs))), learnt, place, say)


def blend(
    run: Run, model: Blend | None = None, place: Place = Place(), say: Say = silent
) -> Run:  # fmt: skip
    """The run of a blend of a finished run: its model's scores with what counting says added, see `Blend`.

    `model` says which weights are tried on the validation cases, and its own `model` is replaced by the run's. Raises
    ConfigurationError for a run of another kind of model, and for one that was not evaluated or that forgot users;
    DataError where recent popularity is asked for and events have no times; what restoring and storing raise.
    """
    run = of_kind(run, Run, "run", "read_run(folder) returns one")
    _check_alike([run])
    if not isinstance(run.recipe.model, SequenceRecipe | Ensemble):
        raise ConfigurationError(
            f"{run.folder} is of {run.recipe.model.name}, and counts are added to a sequence model or an ensemble; "
            f"give a run of one"
        )
    model = Blend(**{**dict(model or Blend()), "model": run.recipe.model})
    prepared = _prepared([run], place)
    model.check(prepared)
    cases = validation_cases(prepared.split.validation, model.training.validation_users, run.seed)
    found = replace(_learnt(run, prepared), history=History(run.history, run.metrics.best_epoch))
    with told_if_slow(f"choosing weights on {counted(len(cases), 'validation case')}", say):
        learnt = model.blended(found, prepared.split.train, cases, run.recipe.ranking)
    model = model.as_needed(learnt.scorer.tensors())
    learnt = replace(learnt, scorer=model.restore(learnt.scorer.tensors(), prepared.split.train.number_of_items))
    recipe = run.recipe.model_copy(update={"name": place.name or f"{run.recipe.name}-blend", "model": model})
    notes = (*prepared.notes, *learnt.notes, _said([run]))
    return _stored([run], recipe, replace(prepared, notes=notes), learnt, place, say)


def _said(runs: Sequence[Run]) -> str:
    return f"made of {', '.join(run.folder.name for run in runs)}, whose seconds of training are added up"


def _check_alike(runs: Sequence[Run]) -> None:
    """Raises ConfigurationError where runs cannot be asked as one, with what differs."""
    first = runs[0]
    for run in runs:
        run.require_evaluated()
        if run.recipe.learner.reads_target_times:
            raise ConfigurationError(
                f"the model of {run.folder} was told when its targets happened, which nobody knows who recommends; "
                f"give runs of models that were not"
            )
        require_none_forgotten(run)
        if unlike := first.certificate.differences(run.certificate):
            raise ConfigurationError(
                f"{first.folder} and {run.folder} were not measured on the same ({unlike}), so they cannot be asked as "
                f"one; give runs of the same data, split, filters and hide"
            )
        if run.recipe.learner.reads_times == first.recipe.learner.reads_times and (
            run.metrics.provenance.events_sha256 != first.metrics.provenance.events_sha256
        ):
            raise ConfigurationError(f"{first.folder} and {run.folder} learnt from other events; give runs of the same")
        if run.recipe.learner.reads_users and _users_sha256(runs) != run.metrics.provenance.users_sha256:
            raise ConfigurationError(f"others of these runs learnt other features of users than {run.folder} did; give "
                                     "runs of the same")  # fmt: skip
        if not run.items["item"].equals(first.items["item"]):
            raise ConfigurationError(
                f"the catalogues of {first.folder} and {run.folder} hold other items, {len(first.items):,} and "
                f"{len(run.items):,}; give runs of the same events"
            )


def require_none_forgotten(run: Run) -> None:
    """Raise ConfigurationError for a run that forgot users: its log has them still."""
    if run.metrics.forgotten is not None:
        raise ConfigurationError(
            f"{run.folder} forgot {counted(run.metrics.forgotten.users, 'user')}, whom the log that it learnt from has "
            f"still: what is made of it would hold them again; train anew without them"
        )


def _prepared(runs: Sequence[Run], place: Place) -> Prepared:
    """The events that all runs learnt from, by the one that knows most of them: of two, the one that reads times."""
    # The fingerprint of a run has times where its model reads them.
    knowing = next((run for run in runs if run.recipe.learner.reads_times), runs[0])
    prepared = otherwise(knowing, knowing.recipe, place.data, place.events)
    return replace(prepared, features=runs[0].features, user_features=_user_features(runs))


def _users_sha256(runs: Sequence[Run]) -> str | None:
    """The fingerprint of what the first run that reads features of users was told of them; None: none reads them."""
    return next((run.metrics.provenance.users_sha256 for run in runs if run.recipe.learner.reads_users), None)


def _user_features(runs: Sequence[Run]) -> ItemFeatures | None:
    """What the first run that reads features of users has stored of them."""
    return next((run.user_features for run in runs if run.recipe.learner.reads_users), None)


def _learnt(run: Run, prepared: Prepared) -> Learnt:
    """What a run learnt, restored."""
    run.proven(*MODEL)
    scorer = restore(run.recipe, run, len(prepared.log.items))
    history = History([], run.metrics.best_epoch)
    return Learnt(scorer, history, run.metrics.parameters, run.metrics.train_seconds)


def _stored(runs: Sequence[Run], recipe: Recipe, prepared: Prepared, learnt: Learnt, place: Place, say: Say) -> Run:
    """What was made of runs, measured and stored."""
    started, split = datetime.now(UTC), prepared.split
    seed = runs[0].seed if recipe.learner.depends_on_seed else 0
    measured = []
    for what, cases in (("validation", split.validation), ("test", split.test)):
        with told_if_slow(f"ranking the targets of {counted(len(cases), f'{what} case')}", say):
            measured.append(evaluate(learnt.scorer, cases, ranking=recipe.ranking))
    bound = prepared.upper_bound(split.test) if prepared.upper_bound else None
    validation, test = measured
    outcome = Outcome(
        learnt.scorer, prepared, learnt.history, validation, test, learnt.parameters, learnt.seconds, bound, recipe
    )
    counted_beside = beside(recipe, outcome, say=say) if place.extras.baselines else UNCOMPARED
    events = prepared.log.sha256(with_times=recipe.learner.reads_times)
    known = features_fingerprint(prepared.features, recipe)
    before = runs[0].metrics.provenance.model_copy(update={"users_sha256": _users_sha256(runs)})
    made = made_now(before, events, known, Session(seed), started)
    metrics = metrics_of(outcome, made, None, counted_beside).model_copy(update={"made_of": kept_of(runs)})
    workplace = Workplace.of(runs[0].folder.absolute().parent if place.out is None else place.out, recipe, seed)
    report = place.extras.report and partial(add_report, place.extras.report, outcome.model, say)
    with workplace.alone():
        folder = write_run(workplace, recipe, outcome, metrics, with_users=place.extras.users, add=report)
    return read_run(folder)
