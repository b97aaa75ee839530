"""The verb `distil`: several finished runs taught to one model, which is a run like any other and answers alone."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import Sheet, say, show, show_json, show_table, stderr
from nextitem.cli.options import (
    AsJson,
    Device,
    MakeReport,
    RankBaselines,
    StoreUsers,
    Threads,
    device_of,
    make_report,
    path_to,
    seed_of,
    stored_run,
    use_threads,
)
from nextitem.compute.processes import joined
from nextitem.errors import ConfigurationError
from nextitem.experiment.distil import HEARD, student
from nextitem.experiment.folder.reading import MODEL, Run
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.train import Extras, train
from nextitem.experiment.yardsticks import DECIDING
from nextitem.settings.given import expanded
from nextitem.training.session import Session
from nextitem.training.watchers.progress import watcher
from nextitem.words import interval, time_taken


def distil(
    teachers: Annotated[
        list[str],
        typer.Argument(metavar="RUN... [KEY=VALUE]...", help="Folders of the teacher's runs, and settings to change."),
    ],
    recipe: Annotated[
        str | None, typer.Option(help="Whose model the student is; default: the first run's, or its first member's.")
    ] = None,
    weight: Annotated[float, typer.Option(help="By how much the teacher is heard, of 1.")] = HEARD.weight,
    temperature: Annotated[float, typer.Option(help="What scores are divided by.")] = HEARD.temperature,
    top: Annotated[int, typer.Option(min=1, help="Items of the teacher that are kept of each target.")] = HEARD.top,
    name: Annotated[str | None, typer.Option(help="What the run is called; default: by what it is.")] = None,
    out: Annotated[Path | None, path_to("Folder for runs; default: the one that the run is in.")] = None,
    seed: Annotated[int, seed_of("weights, order, masks, negatives and dropout")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard an interrupted training and start anew.")] = False,
    device: Device = "cpu",
    threads: Threads = None,
    users: StoreUsers = True,
    report: MakeReport = True,
    baselines: RankBaselines = True,
    as_json: AsJson = False,
) -> None:
    """Teach one model what several runs say, beside its targets; it is a run of its own and answers alone."""
    use_threads(threads)
    runs = [stored_run(expanded(one), MODEL) for one in teachers if "=" not in one]
    overrides = [one for one in teachers if "=" in one]
    model = None if recipe is None else resolve_recipe(load_preset(recipe), []).value.sequence
    taught = student(runs, replace(HEARD, weight=weight, temperature=temperature, top=top), model, name, overrides)
    extras = Extras(users, make_report if report else None, baselines=baselines)
    place = runs[0].folder.absolute().parent if out is None else out
    with joined(device_of(device)) as processes:
        if processes.size > 1:
            raise ConfigurationError(f"{processes.size} processes cannot distil together; run it without torchrun")
        display = watcher(stderr, taught.learner.training, f"{taught.name}, seed {seed}, {processes}")
        try:
            found = train(taught, Session(seed, processes, display), place, fresh=fresh, say=say, extras=extras)
        finally:
            display.close()
    if as_json:
        say(f"run: {found.folder}")
        show_json({"run": str(found.folder), **found.metrics.as_dict()})
        return
    show_table(_beside(runs, found))
    show(f"run: {found.folder}")


def _beside(runs: list[Run], found: Run) -> Sheet:
    """The teachers and the student, by validation and test."""
    columns = ("run", f"validation {DECIDING}", f"test {DECIDING}", "95 % interval", "weights", "training")
    table = Sheet(f"{found.recipe.name}, {found.certificate.asked}", columns, left=("run",))
    for run in (*runs, found):
        if run is found:
            table.section()
        metrics = run.metrics
        validation, test = (f"{part.means[DECIDING]:.4f}" for part in (metrics.validation, metrics.test))
        cells = (interval(metrics.test.intervals[DECIDING]), f"{metrics.parameters:,}")
        table.add(run.folder.name, validation, test, *cells, time_taken(metrics.train_seconds))
    return table
