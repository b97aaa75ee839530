"""The verb `reproduce`: the paper's table, its claims and its figures, from runs that are there or made now."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextitem.cli.console import say, show, show_json, show_prose
from nextitem.cli.options import (
    AsJson,
    Device,
    Fresh,
    Runs,
    Threads,
    TrainMissing,
    device_of,
    make_report,
    path_to,
    seeds_of_each,
    typed_command,
    use_threads,
)
from nextitem.cli.tables import fail_if_any_failed, show_comparison, show_plan
from nextitem.compute.processes import Alone
from nextitem.compute.waiting import told_if_slow
from nextitem.engine.each import find_each, train_each
from nextitem.engine.entries import Contestant, Place
from nextitem.errors import ConfigurationError, TrainingError
from nextitem.studies.comparison import compare
from nextitem.studies.forecast import plan_reproduction
from nextitem.studies.reproduction import ReproductionRequest, judged_by, sweep_entries, table_entries, verdicts
from nextitem.words import counted

if TYPE_CHECKING:
    from nextitem.report.studies.reproduction import Reproduction


def reproduce(
    data: Annotated[str, typer.Argument(help="ml-1m, beauty, ml-20m, steam, yelp or synthetic.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings laid on every trained recipe.")
    ] = None,
    seeds: Annotated[int, seeds_of_each("recipe")] = 1,
    fast: Annotated[bool, typer.Option("--fast", help="On synthetic: few epochs, a first look in minutes.")] = False,
    sweep: Annotated[bool, typer.Option(help="Train with other numbers of negatives too, for that figure.")] = True,
    training: TrainMissing = True,
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Predict time and memory of every training here and on a GPU, and stop.")
    ] = False,
    out: Annotated[Path, path_to("Folder of runs; the results appear in its reproduce-DATA.")] = Path("runs"),
    runs: Runs = None,
    fresh: Fresh = False,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Reproduce the paper on a dataset: its table, claims and figures, beside the published values."""
    request = ReproductionRequest(data, fast, sweep, tuple(overrides or ()))
    use_threads(threads)
    if plan_only:
        entries = {entry.label: entry for entry in [*table_entries(request), *sweep_entries(request).values()]}
        with told_if_slow(f"planning {counted(len(entries), 'training')}", say):
            planned = plan_reproduction(request.data, list(entries.values()), 0, Alone(device_of(device)))
        show_plan(planned, f"reproduce {data}: one seed of each", as_json=as_json)
        return
    place = Place(out, tuple(runs or ()), str(device_of(device)), threads, fresh, make_report)
    rows, swept = _rows(request, range(seeds), place, train_each if training else find_each)
    # Here, because matplotlib takes half a second to import, which only those who draw should wait.
    from nextitem.report.studies import reproduction as reproduction_page

    with told_if_slow("resampling for intervals and differences", say):
        reproduction = _reproduction(request, rows, swept)
    folder = out / f"reproduce-{data}"
    with told_if_slow("drawing", say):
        reproduction_page.write(folder, reproduction)
    if as_json:
        show_json({**reproduction.as_dict(), "folder": str(folder)})
    else:
        _tell(reproduction, rows, folder)
    fail_if_any_failed(reproduction.comparison, _failures(row for row in swept.values() if row not in rows))


def _rows(
    request: ReproductionRequest, seeds: Iterable[int], place: Place, make: Callable[..., Iterable[Contestant]]
) -> tuple[list[Contestant], dict[int, Contestant]]:
    """The rows of the table that have something to tell, and SASRec+ by its number of negatives.

    Raises TrainingError where every training failed, and ConfigurationError where none was there or asked for.
    """
    entries, sweep = table_entries(request), sweep_entries(request)
    extra = [entry for entry in sweep.values() if entry.label not in {row.label for row in entries}]
    by_label = {row.label: row for row in make([*entries, *extra], seeds, place, say)}
    rows = [by_label[entry.label] for entry in entries if by_label[entry.label].runs or by_label[entry.label].failures]
    if not any(row.runs for row in rows):
        failed = _failures(by_label.values())
        if failed:
            raise TrainingError(
                f"no training of {request.data} came to its end, so there is no table: {'; '.join(failed)}"
            )
        raise ConfigurationError(
            f"there is no finished run of {request.data} in {', '.join(map(str, (place.out, *place.others)))}; "
            f"leave --no-train out, or name --runs DIR"
        )
    return rows, {count: by_label[entry.label] for count, entry in sweep.items()}


def _failures(rows: Iterable[Contestant]) -> list[str]:
    return [f"{row.label}: {failure}" for row in rows for failure in row.failures]


def _tell(reproduction: "Reproduction", rows: Sequence[Contestant], folder: Path) -> None:
    """The table and the verdicts on stdout."""
    show_comparison(reproduction.comparison, as_json=False)
    for verdict in reproduction.verdicts:
        beside = f" (published: {verdict.published})" if verdict.published else ""
        show_prose(f"{verdict.claim}: {verdict.finding}; {verdict.facts}{beside}")
    show_prose(judged_by(rows, reproduction.verdicts))
    for sentence in reproduction.deviations:
        show_prose(sentence)
    show(f"results: {folder}")


def _reproduction(request: ReproductionRequest, rows: list[Contestant], swept: dict[int, Contestant]) -> "Reproduction":
    from nextitem.report.studies.reproduction import Reproduction

    labels = [row.label for row in rows if row.runs]
    against = "bert4rec" if "bert4rec" in labels else labels[0]
    changes = " ".join([*(["--fast"] if request.fast else []), *request.overrides])
    notes = [f"with {changes} the settings are not the paper's: a first look, no reproduction"] if changes else []
    return Reproduction(
        request.data,
        typed_command(),
        compare(rows, against),
        swept,
        verdicts(rows, request.data),
        notes,
        is_papers=not changes,
    )
