"""The verb `study`: a declared grid of trainings as a table and a figure; and how two kinds of ranking order runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import typer

from nextitem.cli.console import Sheet, say, show, show_json, show_table
from nextitem.cli.options import (
    AsJson,
    ColumnNames,
    Data,
    Device,
    EngineName,
    Fresh,
    ItemColumns,
    Runs,
    Threads,
    TrainMissing,
    column_overrides,
    device_of,
    engine_of,
    item_column_overrides,
    make_report,
    path_to,
    seeds_of_each,
    stored_run,
    typed_command,
    use_threads,
    with_data,
)
from nextitem.cli.tables import fail_if_any_failed, show_comparison, show_plan
from nextitem.compute.processes import Alone
from nextitem.compute.waiting import told_if_slow
from nextitem.engine.each import find_each, train_each
from nextitem.engine.entries import Contestant, Entry, Place
from nextitem.errors import ConfigurationError
from nextitem.evaluation.candidates import Candidates
from nextitem.evaluation.metrics import rank_metrics
from nextitem.experiment.folder.reading import COMPARED
from nextitem.settings.given import expanded
from nextitem.studies.comparison import compare
from nextitem.studies.forecast import plan_reproduction
from nextitem.studies.rankings import compare_rankings
from nextitem.studies.rows import entries, left_out
from nextitem.studies.study import StudyRequest, load_study, sampled, study_names
from nextitem.words import MOST_OF_A_NAME, NOTHING, counted, shortened, with_interval

if TYPE_CHECKING:
    from nextitem.report.studies.study import Results

OF_RANKINGS = "sampled-metrics"


_Name = Annotated[
    str | None, typer.Argument(help="A built-in study or a .toml file; none: a list of the built-in ones.")
]
_Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help=f"Settings laid on every row; for {OF_RANKINGS}: folders of finished runs."
    ),
]
_Recipe = Annotated[str | None, typer.Option(help="Vary this recipe in place of the study's.")]
_Seeds = Annotated[int, seeds_of_each("row")]
_Against = Annotated[
    str | None, typer.Option(help="Row that the others are tested against; default: the study's base.")
]
_Without = Annotated[list[str] | None, typer.Option(help="Leave this row out; may be repeated.", metavar="ROW")]
_Beside = Annotated[
    list[Path] | None,
    typer.Option(
        parser=expanded,
        metavar="RUN",
        help="Of a frontier: a finished run as a row, such as an ensemble; repeatable.",
    ),
]
_Fast = Annotated[bool, typer.Option("--fast", help="On synthetic: few steps, a first look in minutes.")]
_PlanOnly = Annotated[bool, typer.Option("--plan", help="Predict time and memory of every training, and stop.")]
_Candidates = Annotated[str, typer.Option(help=f"Of {OF_RANKINGS}: comma-separated kinds of drawn negatives.")]
_Metric = Annotated[str, typer.Option(help=f"Of {OF_RANKINGS}: what both kinds of ranking are compared in.")]
_Out = Annotated[Path, path_to("Folder of runs; the results appear in its study-NAME-DATA.")]


def study(
    name: _Name = None,
    words: _Words = None,
    data: Data = None,
    columns: ColumnNames = "",
    item_columns: ItemColumns = "",
    recipe: _Recipe = None,
    seeds: _Seeds = 1,
    against: _Against = None,
    without: _Without = None,
    beside: _Beside = None,
    fast: _Fast = False,
    training: TrainMissing = True,
    plan_only: _PlanOnly = False,
    candidates: _Candidates = "popularity:100,uniform:100",
    metric: _Metric = "ndcg@10",
    out: _Out = Path("runs"),
    runs: Runs = None,
    fresh: Fresh = False,
    device: Device = "auto",
    threads: Threads = None,
    engine: EngineName = "local",
    as_json: AsJson = False,
) -> None:
    """Vary one thing of a recipe: table, paired tests and figure, with published values where there are any."""
    use_threads(threads)
    if name is None:
        _list(as_json=as_json)
        return
    if name == OF_RANKINGS:
        _rankings([expanded(word) for word in words or ()], candidates, metric, data, out, as_json=as_json)
        return
    of_columns = [*column_overrides(columns), *item_column_overrides(item_columns)]
    request = _request(name, [*(words or []), *of_columns], data, recipe, fast=fast)
    request = replace(request, without=tuple(without or ()))
    rows = _rows(request, against)
    if plan_only:
        _plan(request, rows, device_of(device), as_json=as_json)
        return
    stored = _stored(request, [row.label for row in rows], beside or [])
    place = Place(out, tuple(runs or ()), str(device_of(device)), threads, fresh, make_report)
    of_stored = [run for row in stored for run in row.runs]
    with engine_of(engine) as made_by:
        each = partial(train_each, beside=of_stored, engine=made_by) if training else find_each
        results = _made(request, rows, seeds, against, partial(each, place=place, say=_NotesOnce()), stored)
    _tell(results, out, as_json=as_json)


def _rows(request: StudyRequest, against: str | None) -> list[Entry]:
    """What is to be trained. Raises ConfigurationError for a row to compare with that is not among them."""
    rows = entries(request)
    for sentence in left_out(request):
        say(sentence)
    compare([Contestant(row.label) for row in rows], against)  # a misspelt row is refused before hours of training
    return rows


class _NotesOnce:
    """Says everything but a note that was said already: a study asks the same data about several targets."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, sentence: str) -> None:
        if not sentence.startswith("note: ") or sentence not in self._said:
            say(sentence)
        self._said.add(sentence)


def _stored(request: StudyRequest, labels: Sequence[str], folders: Sequence[Path]) -> list[Contestant]:
    """A row for each of these finished runs, called as its recipe is, or by its folder where that is taken."""
    if folders and not request.study.frontier:
        raise ConfigurationError(
            f"--beside is for a frontier, whose rows are models of all kinds, and study {request.study.name} varies "
            f"one thing; compare finished runs by `nextitem compare`"
        )
    runs = [stored_run(folder, COMPARED) for folder in folders]
    names = [run.recipe.name for run in runs]
    is_taken = [name in labels or names.count(name) > 1 for name in names]
    called = [run.folder.name if taken else name for run, name, taken in zip(runs, names, is_taken, strict=True)]
    return [Contestant(label, (run,)) for label, run in zip(called, runs, strict=True)]


def _plan(request: StudyRequest, rows: list[Entry], device: torch.device, *, as_json: bool) -> None:
    with told_if_slow(f"planning {counted(len(rows), 'training')}", say):
        forecast = plan_reproduction(request.used_data, rows, 0, Alone(device))
    show_plan(forecast, f"study {request.study.name} on {request.used_data}: one seed of each", as_json=as_json)


def _made(
    request: StudyRequest,
    rows: Sequence[Entry],
    seeds: int,
    against: str | None,
    each: Callable[..., list[Contestant]],
    stored: Sequence[Contestant],
) -> "Results":
    """The results of the study, of what is `stored` beside its rows and of all that it is asked besides.

    `each` trains or finds the runs of some rows.
    """
    results = _results(request, [*each(rows, range(seeds)), *stored], against)
    if not results.comparison.cells:
        return results
    asked = {one: each(entries(request.asked(one)), range(seeds)) for one in request.study.asked}
    return replace(results, asked={one: compare(found, results.comparison.against) for one, found in asked.items()})


def _request(name: str, words: list[str], data: str | None, recipe: str | None, *, fast: bool) -> StudyRequest:
    """What is asked for; `data=…` among the words is the same as --data."""
    typed = with_data(words, data)
    given = [word.partition("=")[2] for word in typed if word.startswith("data=")]
    overrides = tuple(word for word in typed if not word.startswith("data="))
    return StudyRequest(load_study(name, [OF_RANKINGS]), next(iter(given), None), recipe, overrides, fast)


def _results(request: StudyRequest, rows: list[Contestant], against: str | None) -> "Results":
    # Here, because matplotlib takes half a second to import, which only those who draw should wait.
    from nextitem.report.studies.study import Results

    labels, base = [row.label for row in rows if row.runs], against or request.study.against
    if not labels and not any(row.failures for row in rows):
        raise ConfigurationError("there is no finished run of this study; leave --no-train out, or name --runs DIR")
    there = [row for row in rows if row.runs or row.failures]
    if base not in labels:
        say(f"{base}: no finished run, so nothing is tested against it")
        there = there if base in [row.label for row in there] else [*there, Contestant(base)]
    results = Results(request, typed_command(), compare(there, base), None)
    declared = request.study.published
    if not labels or declared is None or declared.candidates is None or not results.published:
        return results
    return replace(results, sampled=sampled(there, declared, request.used_data))


def _tell(results: "Results", out: Path, *, as_json: bool) -> None:
    """Write the folder, and say on stdout what is in it."""
    folder = out / shortened(f"study-{results.request.study.name}-{results.dataset}", MOST_OF_A_NAME)
    if results.comparison.cells:
        from nextitem.report.studies import study as study_page

        with told_if_slow("drawing", say):
            study_page.write(folder, results)
    if as_json:
        show_json({**results.as_dict(), "folder": str(folder)})
    elif results.comparison.cells:
        show_comparison(results.comparison, as_json=False)
        if results.sampled is not None:
            show(f"{results.sampled.metric}, among drawn items only, compares with nothing above:")
            for label, (mean, bounds) in results.sampled.cells.items():
                published = results.published.get(label)
                beside = "" if published is None else f", published {published:.4f}"
                show(f"  {label}: {with_interval(mean, bounds)}{beside}")
        show(f"results: {folder}")
    fail_if_any_failed(results.comparison)


def _list(*, as_json: bool) -> None:
    """The built-in studies on stdout."""
    studies = [load_study(name) for name in study_names()]
    if as_json:
        show_json({"studies": [one.model_dump(mode="json") for one in studies]})
        return
    columns = ("study", "what is varied", "recipe", "data")
    table = Sheet("nextitem study NAME", (*columns, "rows"), left=columns, prose=columns[1:2])
    for one in studies:
        table.add(one.name, one.summary, one.recipe, one.data, str(len(StudyRequest(one).rows)))
    does = "do sampled and full ranking put finished runs in the same order?"
    table.add(OF_RANKINGS, does, NOTHING, "RUN...", NOTHING)
    show_table(table)


def _rankings(folders: list[Path], candidates: str, metric: str, data: str | None, out: Path, *, as_json: bool) -> None:
    """Both kinds of ranking of finished runs, on stdout and in a folder."""
    if len(folders) < 2:
        raise ConfigurationError(
            f"{OF_RANKINGS} orders finished runs, at least two, got {len(folders)}; give their folders"
        )
    from nextitem.report.studies import rankings as rankings_page

    rank_metrics([metric])
    kinds = [text.strip() for text in candidates.split(",")]
    for kind in kinds:
        Candidates.parse(kind)  # before any model is read
    with told_if_slow(f"ranking the targets of {counted(len(folders), 'run')}", say):
        disagreements = compare_rankings(folders, kinds, metric, data)
    command, folder = typed_command(), out / f"study-{OF_RANKINGS}"
    rankings_page.write(folder, disagreements, metric, command)
    if as_json:
        show_json({**rankings_page.as_dict(disagreements, metric, command), "folder": str(folder)})
        return
    show(rankings_page.orders_page(disagreements, metric))
    show(f"results: {folder}")
