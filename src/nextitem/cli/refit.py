"""The verb `refit`: all events of a run learnt before it is served, or all but those that it is tested on."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import Sheet, say, show, show_json, show_table, stderr
from nextitem.cli.options import (
    AsJson,
    Device,
    MakeReport,
    RankBaselines,
    RunFolder,
    Threads,
    device_of,
    make_report,
    path_to,
    store_at,
    stored_run,
    use_threads,
)
from nextitem.compute.processes import joined
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import LISTS, MODEL, Run
from nextitem.experiment.of_runs import Place
from nextitem.experiment.relearnt import relearn
from nextitem.experiment.train import Extras
from nextitem.serving.renewal.refit import refit as refit_run
from nextitem.serving.renewal.told import untold_by
from nextitem.training.session import Session
from nextitem.training.watchers.progress import watcher
from nextitem.words import counted, interval


def refit(
    run_folder: RunFolder,
    keep_test: Annotated[
        bool, typer.Option("--keep-test", help="Learn training and validation events, and measure the test cases.")
    ] = False,
    out: Annotated[Path | None, path_to("Folder for runs; default: the one that the run is in.")] = None,
    events: Annotated[str | None, store_at("Database of a service, whose events are learnt as well.")] = None,
    data: Annotated[str | None, typer.Option(help="Where the data of the run is now, for --keep-test.")] = None,
    report: MakeReport = True,
    baselines: RankBaselines = True,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Learn all events of a run, or all but its test, for as many epochs as validation chose."""
    use_threads(threads)
    if keep_test and events is not None:
        raise ConfigurationError(
            "--keep-test learns what the run's own data holds and --events more than that: give one of them"
        )
    if data is not None and not keep_test:
        raise ConfigurationError("--data is for --keep-test: all events of a run are in its folder, and learnt from it")
    run = stored_run(run_folder, MODEL if keep_test else LISTS)
    told = None if events is None else untold_by(run, events)
    with joined(device_of(device)) as processes:
        if processes.size > 1:
            raise ConfigurationError(f"{processes.size} processes cannot refit together; run it without torchrun")
        epochs = f", {counted(run.metrics.best_epoch, 'epoch')}" if run.metrics.best_epoch else ""
        learnt = "training and validation" if keep_test else "all"
        training = run.recipe.learner.training.model_copy(update={"patience": None})  # no epoch is chosen any more
        display = watcher(stderr, training, f"learning {learnt} events of {run.folder.name}{epochs}")
        session = Session(run.seed, processes, display)
        try:
            if keep_test:
                extras = Extras(report=make_report if report else None, baselines=baselines)
                found = relearn(run, session, Place(out, data=data, extras=extras), say)
            else:
                found = refit_run(run, session, out, told)
        finally:
            display.close()
    _tell(run, found, as_json=as_json)


def _tell(run: Run, found: Run, *, as_json: bool) -> None:
    if not found.is_evaluated:
        for note in found.metrics.notes[: len(found.metrics.notes) - len(run.metrics.notes)]:
            say(f"note: {note}")
    if as_json:
        show_json({"run": str(found.folder), **found.metrics.as_dict()})
        return
    if found.is_evaluated:
        show_table(_beside(run, found))
    show(f"run: {found.folder}")


def _beside(run: Run, found: Run) -> Sheet:
    """The test of a run and of what learnt its validation events as well."""
    columns = ("metric", "test before", "with validation events", "95 % interval")
    table = Sheet(f"{found.recipe.name}, {found.certificate.asked}", columns, left=("metric",))
    before, after = run.metrics.test, found.metrics.test
    for metric in found.metrics.certificate.metrics:
        was = f"{before.means[metric]:.4f}" if metric in before.means else ""
        table.add(metric, was, f"{after.means[metric]:.4f}", interval(after.intervals[metric]))
    table.caption = "It has learnt the validation events too, which other runs have not: say so beside its numbers"
    return table
