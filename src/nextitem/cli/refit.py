"""The verb `refit`: all events of a run learnt before it is served."""

from pathlib import Path
from typing import Annotated

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import AsJson, Device, RunFolder, Threads, device_of, path_to, stored_run, use_threads
from nextitem.compute.processes import joined
from nextitem.compute.waiting import told_if_slow
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import LISTS
from nextitem.serving.renewal.refit import refit as refit_run
from nextitem.serving.renewal.told import untold_by
from nextitem.training.session import Session
from nextitem.words import counted


def refit(
    run_folder: RunFolder,
    out: Annotated[Path | None, path_to("Folder for runs; default: the one that the run is in.")] = None,
    events: Annotated[Path | None, path_to("Database of a service, whose events are learnt as well.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Learn all events of a run for its best number of epochs, before serving; the result is not evaluated."""
    use_threads(threads)
    run = stored_run(run_folder, LISTS)
    told = None if events is None else untold_by(run, events)
    with joined(device_of(device)) as processes:
        if processes.size > 1:
            raise ConfigurationError(f"{processes.size} processes cannot refit together; run it without torchrun")
        epochs = counted(run.metrics.best_epoch, "epoch")
        with told_if_slow(f"learning all events of {run.folder.name}, {epochs}", say):
            found = refit_run(run, Session(run.seed, processes), out, told)
    for note in found.metrics.notes[: len(found.metrics.notes) - len(run.metrics.notes)]:
        say(f"note: {note}")
    if as_json:
        show_json({"run": str(found.folder), **found.metrics.as_dict()})
    else:
        show(f"run: {found.folder}")
