"""A run learnt again from all of its events, before it is served."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from nextitem.data.features.table import OF_USERS, ItemFeatures
from nextitem.data.log import Log
from nextitem.experiment.folder.histories import stored_users
from nextitem.experiment.folder.logs import stored_log
from nextitem.experiment.folder.means import UNMEASURED
from nextitem.experiment.folder.metrics import Metrics, Refit
from nextitem.experiment.folder.provenance import made_now
from nextitem.experiment.folder.reading import RUN, Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import weights_of, write_items, write_metrics, write_recipe
from nextitem.experiment.learner import Learnt
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import features_fingerprint
from nextitem.experiment.teachers import Teachers
from nextitem.serving.catalogue.stored import FILES, read_changes, write_changes
from nextitem.serving.known import Known
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.grown import Grown
from nextitem.serving.store.untold import Untold
from nextitem.storage import (
    MANIFEST,
    empty_folder,
    publish,
    refusals,
    sha256,
    write_parquet,
    write_tensors,
    write_text,
)
from nextitem.training.session import Session
from nextitem.words import filled

_NOT_KEPT = (
    MANIFEST,
    "ranks.parquet",
    "report.html",
    *FILES,
)  # of the run that it comes from: they are about its cases


def refit(run: Run, session: Session, out: Path | None = None, events: Untold | None = None) -> Run:
    """The run of a model that learnt all events of `run`, for as many epochs as its best one, beside it or in `out`.

    With what a service's database holds beyond them: its `events` are learnt as well, its changes of the catalogue go
    on, whoever was deleted there is not learnt, and the run remembers what it has learnt of it.

    It is not evaluated, since nothing is held out, and says so wherever it is used. Weights start anew from the
    session's seed. Raises ConfigurationError for a run that was refit itself, DataError for one that was stored without
    its users, and what training and storing raise.
    """
    run.require_evaluated()
    started, model = datetime.now(UTC), run.recipe.learner.as_chosen(run.metrics.best_epoch, run.weights)
    recipe = run.recipe.model_copy(update={"model": model})
    grown = None if events is None else Grown.of(run, events)
    log = stored_log(run) if grown is None else grown.both.log
    place = run.folder.absolute()
    items = None if grown is None else grown.features()
    features = run.features if items is None else items
    teachers = Teachers.of(recipe, log.items.ids, session.device)
    users = run.user_features if grown is None else grown.user_features(run)
    learnt = recipe.learner.learn_all(log, features, replace(session, teachers=teachers.by_runs), users)
    name = f"{Workplace.of(place.parent, recipe, session.seed).name}-refit"
    workplace = Workplace(place.parent if out is None else out, name, session.seed)
    metrics = _metrics(run, log, features, learnt, session, started)
    changes = read_changes(run) if grown is None else grown.changes()
    if grown is not None:
        said, *before = metrics.notes
        metrics = metrics.model_copy(update={"holds": grown.holds, "notes": (said, *grown.notes, *before)})
    with workplace.alone():
        with refusals(f"the run into {workplace.root}"), empty_folder(workplace.partial / "run") as draft:
            _fill(draft, run, recipe, log, learnt, metrics, items)
            if users is not None:
                users.write(draft / OF_USERS)
            RUN.seal(draft)
            if not changes.is_empty:  # rows of added items are foretold anew
                trained = Recommender(Known.of_run(read_run(draft)))
                write_changes(draft, trained.with_catalogue(replace(changes, rows=None)).changes)
            folder = publish(draft, workplace.names(started))
        workplace.clear()
    return read_run(folder)


def _metrics(
    run: Run, log: Log, features: ItemFeatures, learnt: Learnt, session: Session, started: datetime
) -> Metrics:
    events, epochs = int(log.sequences.lengths_U.sum()), len(learnt.history.epochs)
    before = run.metrics
    said = f"learnt all {events:,} events of {run.folder.name}, those of its test too: it was not evaluated"
    reads_times, known = run.recipe.learner.reads_times, features_fingerprint(features, run.recipe)
    return Metrics(
        test=UNMEASURED,
        validation=UNMEASURED,
        best_epoch=epochs,
        epochs=epochs,
        train_seconds=round(learnt.seconds, 2),
        parameters=learnt.parameters,
        certificate=replace(before.certificate.without_metrics()),
        notes=(said, *before.notes),
        provenance=made_now(before.provenance, log.sha256(with_times=reads_times), known, session, started),
        forgotten=before.forgotten,
        holds=before.holds,
        refit=Refit(of=run.folder.name, manifest_sha256=sha256(run.folder / MANIFEST), events=events),
    )


def _fill(
    draft: Path, run: Run, recipe: Recipe, log: Log, learnt: Learnt, metrics: Metrics, items: ItemFeatures | None
) -> None:
    run.write(draft)
    for name in _NOT_KEPT:
        (draft / name).unlink(missing_ok=True)
    write_recipe(draft, recipe)
    write_metrics(draft, metrics)
    write_text(draft / "history.jsonl", "".join(f"{json.dumps(line)}\n" for line in learnt.history.as_lines()))
    write_tensors(draft / "model.safetensors", weights_of(learnt.scorer))
    if items is None:
        counts = pl.Series("count", log.sequences.counts().numpy())
        write_parquet(draft / "items.parquet", run.items.with_columns(counts))
    else:
        write_items(draft, items, log.sequences)
    write_parquet(draft / "users.parquet", stored_users(log, with_times=recipe.learner.reads_times))
    write_text(draft / "README.md", _card(run, recipe, log, metrics))


def _card(run: Run, recipe: Recipe, log: Log, metrics: Metrics) -> str:
    """The model card."""
    content = {
        "name": recipe.name,
        "data": metrics.certificate.dataset,
        "of": run.folder.name,
        "events": int(log.sequences.lengths_U.sum()),
        "users": len(log.users),
        "items": len(log.items),
        "epochs": metrics.epochs,
        "test": run.metrics.test.means,
        "intervals": run.metrics.test.intervals,
        "made": metrics.provenance,
    }
    return filled("experiment/folder/templates/refit.md", content)
