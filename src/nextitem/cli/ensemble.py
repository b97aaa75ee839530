"""The verb `ensemble`: several finished runs asked as one, which is a run like any other."""

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from nextitem.cli.console import Sheet, say, show, show_json, show_table
from nextitem.cli.options import (
    AsJson,
    MakeReport,
    RankBaselines,
    StoreUsers,
    Threads,
    make_report,
    path_to,
    stored_run,
    use_threads,
)
from nextitem.errors import ConfigurationError
from nextitem.experiment.combined.mean import Average
from nextitem.experiment.folder.reading import MODEL, Run
from nextitem.experiment.of_runs import Place
from nextitem.experiment.of_runs import ensemble as ensemble_of
from nextitem.experiment.train import Extras
from nextitem.experiment.yardsticks import DECIDING
from nextitem.settings.given import expanded
from nextitem.settings.suggestion import suggest
from nextitem.words import interval, time_taken


def ensemble(
    members: Annotated[
        list[Path],
        typer.Argument(parser=expanded, metavar="RUN...", help="Folders of runs that learnt the same events."),
    ],
    average: Annotated[
        str, typer.Option(help="What is averaged: log_probability, or probability, which takes one more sweep.")
    ] = "log_probability",
    name: Annotated[str | None, typer.Option(help="What the run is called; default: by what it is.")] = None,
    data: Annotated[str | None, typer.Option(help="Where the data of the runs is now, if it has moved.")] = None,
    out: Annotated[Path | None, path_to("Folder for runs; default: the one that the run is in.")] = None,
    threads: Threads = None,
    users: StoreUsers = True,
    report: MakeReport = True,
    baselines: RankBaselines = True,
    as_json: AsJson = False,
) -> None:
    """Several runs as one: the mean of what their models say, measured and stored as a run."""
    use_threads(threads)
    if average not in get_args(Average):
        raise ConfigurationError(f"--average {average}: {suggest(average, get_args(Average))}")
    stored = [stored_run(folder, MODEL) for folder in members]
    place = Place(out, name, data, extras=Extras(users, make_report if report else None, baselines=baselines))
    found = ensemble_of(stored, cast(Average, average), place, say)
    if as_json:
        say(f"run: {found.folder}")
        show_json({"run": str(found.folder), **found.metrics.as_dict()})
        return
    show_table(_beside(stored, found))
    show(f"run: {found.folder}")


def _beside(runs: list[Run], found: Run) -> Sheet:
    """The members and what they are together, by validation and test."""
    made, metric = found.metrics.made_of or (), DECIDING
    columns = ("run", "seed", f"validation {metric}", f"test {metric}", "95 % interval", "training")
    table = Sheet(f"{found.recipe.name} of {len(runs)} runs, {found.certificate.asked}", columns, left=("run",))
    for one in made:
        taken = time_taken(one.train_seconds)
        table.add(one.run, str(one.seed), f"{one.validation[metric]:.4f}", f"{one.test[metric]:.4f}", "", taken)
    table.section()
    metrics = found.metrics
    validation, test = metrics.validation.means[metric], metrics.test.means[metric]
    table.add(
        "together", "", f"{validation:.4f}", f"{test:.4f}", interval(metrics.test.intervals[metric]),
        time_taken(metrics.train_seconds),
    )  # fmt: skip
    return table
