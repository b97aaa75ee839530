"""The verb `blend`: a finished run with what counting says added to its scores, which is a run like any other."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import Sheet, say, show, show_json, show_table
from nextitem.cli.options import (
    AsJson,
    MakeReport,
    RankBaselines,
    RunFolder,
    StoreUsers,
    Threads,
    make_report,
    path_to,
    stored_run,
    use_threads,
)
from nextitem.errors import ConfigurationError
from nextitem.experiment.combined import Blend
from nextitem.experiment.folder.reading import MODEL, Run
from nextitem.experiment.of_runs import Place
from nextitem.experiment.of_runs import blend as blend_of
from nextitem.experiment.train import Extras
from nextitem.words import interval

_DEFAULT = Blend()


def _typed(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)


def blend(
    run_folder: RunFolder,
    co_occurrence: Annotated[
        str, typer.Option(help="Weights to try of what followed the last items, between commas.")
    ] = _typed(_DEFAULT.co_occurrence),
    decay: Annotated[
        str, typer.Option(help="What each older of the last items counts for, to try, between commas.")
    ] = _typed(_DEFAULT.decay),
    last: Annotated[int, typer.Option(min=1, help="How many of the last items are looked up.")] = _DEFAULT.last,
    window: Annotated[int, typer.Option(min=1, help="Events after an item that count as following it.")] = 1,
    recent: Annotated[
        str, typer.Option(help="Weights to try of recent popularity, between commas, such as 0,0.1,0.25,0.5.")
    ] = _typed(_DEFAULT.recent),
    days: Annotated[str, typer.Option(help="Days before a question that are recent, to try, between commas.")] = _typed(
        _DEFAULT.days
    ),
    name: Annotated[str | None, typer.Option(help="What the run is called; default: by what it is.")] = None,
    data: Annotated[str | None, typer.Option(help="Where the data of the runs is now, if it has moved.")] = None,
    out: Annotated[Path | None, path_to("Folder for runs; default: the one that the run is in.")] = None,
    threads: Threads = None,
    users: StoreUsers = True,
    report: MakeReport = True,
    baselines: RankBaselines = True,
    as_json: AsJson = False,
) -> None:
    """A run with counts added to its scores, as much as validation asks for: what followed, what is popular."""
    use_threads(threads)
    model = Blend(
        co_occurrence=_numbers("--co-occurrence", co_occurrence), decay=_numbers("--decay", decay), last=last,
        window=window, recent=_numbers("--recent", recent), days=_numbers("--days", days),
    )  # fmt: skip
    run = stored_run(run_folder, MODEL)
    place = Place(out, name, data, extras=Extras(users, make_report if report else None, baselines=baselines))
    found = blend_of(run, model, place, say)
    if as_json:
        say(f"run: {found.folder}")
        show_json({"run": str(found.folder), **found.metrics.as_dict()})
        return
    show_table(_beside(run, found))
    show(f"run: {found.folder}")


def _numbers(option: str, typed: str) -> tuple[float, ...]:
    """The numbers between commas. Raises ConfigurationError for what is none."""
    try:
        return tuple(float(word) for word in typed.split(","))
    except ValueError:
        raise ConfigurationError(f"{option} {typed}: give numbers between commas, such as 0,0.25,0.5") from None


def _beside(run: Run, found: Run) -> Sheet:
    """The run alone and blended, by validation and test."""
    columns = ("metric", "validation alone", "blended", "test alone", "blended", "95 % interval")
    table = Sheet(f"{found.recipe.name}, {found.certificate.asked}", columns, left=("metric",))
    before, after = run.metrics, found.metrics
    for metric in after.certificate.metrics:
        means = (before.validation, after.validation, before.test, after.test)
        cells = (f"{one.means[metric]:.4f}" if metric in one.means else "" for one in means)
        table.add(metric, *cells, interval(after.test.intervals[metric]))
    table.caption = next((note for note in after.notes if "blends validation chose" in note), "")
    return table
