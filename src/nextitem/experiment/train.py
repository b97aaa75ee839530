"""A recipe trained into a folder: `train` for a program, and its parts for `nextitem train` and its options.

Of several processes all train and the first one writes; the others read its checkpoint and wait for its files.
"""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

import torch
from narwhals.typing import IntoFrame

from nextitem.compute.machine import machine
from nextitem.compute.waiting import Say, silent, told_if_slow
from nextitem.data.prepare import GivenEvents, Prepared, prepare
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.metrics import SAMPLED_METRICS
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.folder.metrics import Metrics, metrics_of
from nextitem.experiment.folder.others import kept_of
from nextitem.experiment.folder.provenance import provenance
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import Trained, write_run
from nextitem.experiment.plan.plan import plan_together
from nextitem.experiment.plan.precision import as_begun
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import fingerprint, notes_on, on_given, run
from nextitem.experiment.teachers import with_teachers
from nextitem.experiment.yardsticks import UNCOMPARED, beside
from nextitem.settings.given import must_be, path_of, yes_or_no
from nextitem.settings.keys import settings_of
from nextitem.training.checkpoint import FileCheckpoint, identity_in
from nextitem.training.session import Session

MakeReport = Callable[[Path, Scorer], None]
"""Puts a page about a run into its folder, which is about to be stored; handed in by whoever knows pages."""


@dataclass(frozen=True)
class Extras:
    """What a run has beside its model and its metrics of full rankings."""

    users: bool = True
    """users.parquet, with which lists can be asked for by user."""
    report: MakeReport | None = None
    """What puts report.html into the folder, where one is wanted."""
    candidates: str | None = None
    """Such as `popularity:100`: a block of sampled metrics."""
    baselines: bool = True
    """What only counts, ranked on the same test cases: seconds, and a model that is no better is called so."""
    items: IntoFrame | None = None
    """A frame with a row for each item, such as `prepare` takes."""


def train(
    recipe: Recipe,
    session: Session,
    out: Path | str = "runs",
    *,
    events: GivenEvents | None = None,
    fresh: bool = False,
    say: Say = silent,
    extras: Extras = Extras(),
) -> Run:
    """The run of a recipe, trained into a folder of its own in `out` by this one process.

    On the CPU a training of the same recipe and seed that was interrupted goes on after its last full epoch, to the
    same bits, unless it is to be `fresh`. `events`, a frame of any library, are taken in place of the recipe's data, as
    `prepare` takes them; the run does not keep them, and calls its data `frame`. `say` is told the notes on the data
    and the plan. Raises ConfigurationError for several processes and for a recipe that does not fit into memory, and
    what preparing and training raise.
    """
    recipe, session, out = Recipe.required(recipe), Session.required(session), path_of(out, "out")
    yes_or_no(fresh, "fresh")
    must_be(extras, Extras, "extras", "leave them out, or say Extras(users=False)")
    if session.processes.size > 1:
        raise ConfigurationError(
            f"{session.processes.size} processes train together by `torchrun -m nextitem train`; in Python give one"
        )
    recipe = on_given(recipe, events)
    workplace = Workplace.of(out, recipe, session.seed)
    can_go_on = session.device.type == "cpu" and not fresh
    settle_earlier(workplace, session.device, resume=can_go_on, fresh=not can_go_on)
    folder, _ = train_into(workplace, recipe, session, say, extras, events)
    return read_run(cast(Path, folder))  # of one process, which is the first


def settle_earlier(workplace: Workplace, device: torch.device, *, resume: bool, fresh: bool) -> bool:
    """Whether there is an interrupted training to go on with.

    Hours of training are neither lost nor continued by accident: raises ConfigurationError where it was not said what
    to do with them, and where they cannot be continued exactly.
    """
    if resume and fresh:
        raise ConfigurationError("--resume goes on with an interrupted training and --fresh discards it: give one")
    if resume and device.type != "cpu":
        raise ConfigurationError(f"--resume: on {device} a continued training would end elsewhere; train anew")
    with workplace.alone():  # what another process is at is not interrupted
        if fresh:
            workplace.clear()
    if workplace.checkpoint.exists() and not resume:
        remedy = (
            "go on with it by --resume, or discard it by --fresh" if device.type == "cpu" else "discard it by --fresh"
        )
        raise ConfigurationError(
            f"{workplace.checkpoint} holds an interrupted training of {workplace.name} with seed {workplace.seed}; "
            f"{remedy}"
        )
    return workplace.checkpoint.exists()


def train_into(
    workplace: Workplace,
    recipe: Recipe,
    session: Session,
    say: Say,
    extras: Extras,
    events: GivenEvents | None = None,
) -> tuple[Path | None, Metrics]:
    """Train (on from a checkpoint that is there), evaluate and store; the folder of the run, and its metrics.

    `say` is told the notes on the data before training: who reads there that most users are too short can stop. Only
    the first process writes; to the others there is no folder. On the CPU the session's checkpoint is the workplace's.
    """
    processes, is_first = session.processes, session.processes.rank == 0
    with workplace.alone() if is_first else nullcontext():
        trained = learnt(recipe, session, say, extras, events, workplace.checkpoint)
        add = extras.report and partial(add_report, extras.report, trained.outcome.model, say)
        folder = None
        if is_first:
            done, metrics = trained.outcome, trained.metrics
            folder = write_run(workplace, trained.recipe, done, metrics, with_users=extras.users, add=add)
        processes.wait()  # whoever ends successfully says that the run is stored
        return folder, trained.metrics


def learnt(
    recipe: Recipe,
    session: Session,
    say: Say = silent,
    extras: Extras = Extras(),
    events: GivenEvents | None = None,
    checkpoint: Path | None = None,
) -> Trained:
    """A training and all that is measured of it, as `train` does it, stored nowhere but in `checkpoint` meanwhile."""
    started, processes = datetime.now(UTC), session.processes
    with told_if_slow(f"reading {recipe.data}", say):
        prepared = prepare(recipe, events=events, items=extras.items)
    recipe, session, teachers = with_teachers(recipe, prepared, session)
    for note in (*notes_on(prepared, recipe), *teachers.note):
        say(f"note: {note}")
    ranking = None if extras.candidates is None else _checked(extras.candidates, prepared, recipe)
    if recipe.learner.unplanned is None:
        recipe = recipe if checkpoint is None else as_begun(recipe, identity_in(checkpoint))
        with told_if_slow("planning", say):
            recipe, planned = plan_together(recipe, prepared, session)
        say(f"plan: {planned}")
    if checkpoint is not None and session.device.type == "cpu":
        # Elsewhere a training cannot be continued to the same bits: nothing is kept.
        session = replace(session, checkpoint=file_checkpoint(checkpoint, recipe, prepared, session))
    outcome = run(recipe, session, prepared=prepared, say=say)
    for note in outcome.history.notes:
        say(f"note: {note}")
    sampled = None
    if ranking is not None:
        test = outcome.prepared.split.test
        sampled = evaluate(outcome.model, test, SAMPLED_METRICS, ranking=ranking, processes=processes)
    made = provenance(prepared, session, started, recipe)
    counted = beside(recipe, outcome, processes, say) if extras.baselines else UNCOMPARED
    metrics = metrics_of(outcome, made, sampled, counted)
    if teachers.runs:
        notes = (*metrics.notes, *teachers.note)
        metrics = metrics.model_copy(update={"notes": notes, "taught_by": kept_of(teachers.runs)})
    return Trained(recipe, outcome, metrics)


def file_checkpoint(path: Path, recipe: Recipe, prepared: Prepared, session: Session) -> FileCheckpoint:
    """A checkpoint for one training: another recipe, data, seed or machine cannot go on from it."""
    settings = {f"recipe.{key}": json.dumps(value) for key, value in settings_of(recipe).items()}
    identity = {"data": fingerprint(prepared, recipe), "seed": str(session.seed), "nextitem": version("nextitem")}
    together = {"processes": str(session.processes.size)}
    return FileCheckpoint(path, settings | identity | together | machine(session.device))


def add_report(make: MakeReport, model: Scorer, say: Say, draft: Path) -> None:
    """Put a page into the folder of a run that is about to be stored; where it cannot be made, that is said."""
    try:
        with told_if_slow("making report.html", say):
            make(draft, model)
    except Exception as error:  # hours of training are worth more than a page that can be made later
        (draft / "report.html").unlink(missing_ok=True)
        say(f"no report.html in the run: {type(error).__name__}: {error}; make one later by `nextitem report RUN`")


def _checked(candidates: str, prepared: Prepared, recipe: Recipe) -> Ranking:
    """The ranking of test cases among these candidates; what cannot be drawn is refused before hours of training."""
    ranking = Ranking.among(candidates, hidden=recipe.hide)
    ranking.draw(prepared.split.test)
    return ranking
