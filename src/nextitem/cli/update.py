"""The verb `update`: a run that goes on with new events, and takes its own place where it is no worse."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import (
    AsJson,
    ColumnNames,
    Device,
    ItemColumns,
    RunFolder,
    Threads,
    columns_of,
    device_of,
    item_columns_of,
    path_to,
    stored_run,
    use_threads,
)
from nextitem.compute.processes import joined
from nextitem.compute.waiting import told_if_slow
from nextitem.data.interactions import Interactions
from nextitem.data.notes import left_out
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.data.reading.kinds import with_kinds
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import LISTS, Run
from nextitem.serving.catalogue.additions import Additions, additions_in
from nextitem.serving.indexed.index import ItemIndex
from nextitem.serving.renewal.told import untold_by
from nextitem.serving.renewal.update import DECIDING, HELD_OUT, Updated
from nextitem.serving.renewal.update import update as update_run
from nextitem.serving.store.untold import is_database
from nextitem.settings.given import is_address, place_of
from nextitem.training.session import Session
from nextitem.words import counted, interval


def update(
    run_folder: RunFolder,
    events: Annotated[
        str,
        typer.Argument(
            parser=place_of,
            metavar="EVENTS",
            help="New events with times, or a service's database: file, postgresql://….",
        ),
    ],
    columns: ColumnNames = "",
    items: Annotated[Path | None, path_to("Table of new items: their vectors begin where it says.")] = None,
    item_columns: ItemColumns = "",
    held_out: Annotated[
        float, typer.Option(help="Share of the new events, the latest, that both are measured on.")
    ] = HELD_OUT,
    out: Annotated[Path | None, path_to("Folder for runs to leave the new one in; default: in place of RUN.")] = None,
    replace_worse: Annotated[
        bool, typer.Option("--replace-worse", help="Replace RUN even by a run of a lower NDCG@10.")
    ] = False,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a run on with new events, measure both on later ones, and replace it where it is not worse."""
    if item_columns and items is None:
        raise ConfigurationError("--item-columns are about the table of --items; leave them out")
    use_threads(threads)
    run = stored_run(run_folder, LISTS)
    is_store = is_address(events) or is_database(Path(events))
    rejected = RejectedRows()
    given = untold_by(run, events) if is_store else _read(run, Path(events), columns, rejected)
    known = None if items is None else _items(run, items, item_columns)
    with joined(device_of(device)) as processes:
        if processes.size > 1:
            raise ConfigurationError(f"{processes.size} processes cannot update together; run it without torchrun")
        with told_if_slow("learning on", say):
            found = update_run(run, given, Session(run.seed, processes), known, held_out, rejected)
    for note in found.notes:
        say(f"note: {note}")
    is_refused = found.is_worse and out is None and not replace_worse
    had_index = ItemIndex.of(run) is not None
    stored = None if is_refused else found.store(out)
    if stored is not None and had_index:
        say(f"note: {stored.folder} answers exactly: `nextitem index` makes an index of the new weights")
    _show(found, stored, as_json=as_json)
    if is_refused:
        raise ConfigurationError(
            f"{run.folder} stays as it was: the new model's {DECIDING} on later events is below its own; give more "
            f"events, keep the new one elsewhere by --out, or replace it all the same by --replace-worse"
        )


def _read(run: Run, events: Path, columns: str, rejected: RejectedRows) -> Interactions:
    """The events of a file, read as those that the run learnt from; what becomes of bad rows is said of them alone."""
    made = run.metrics.provenance
    like, kinds = made.columns or run.recipe.columns, made.kinds or {}
    asked = with_kinds(events, columns_of(columns) or Columns(), kinds, str(events), like)
    read = read_interactions(events, asked, like=like, rejected=rejected)
    if rejected:
        say(f"note: {left_out(rejected.reasons)}")
    return read


def _items(run: Run, file: Path, columns: str) -> Additions:
    """What a table says of items that the run does not know."""
    found = additions_in(file, run, run.features, item_columns_of(columns))
    for note in found.notes:
        say(f"note: {note}")
    return found


def _show(found: Updated, stored: Run | None, *, as_json: bool) -> None:
    metrics, told = found.trained.metrics, found.trained.metrics.update
    if as_json:
        show_json(_as_dict(found, stored))
        return
    if told is not None:
        show(
            f"new: {counted(told.events, 'event')}, {counted(told.users, 'user')}, {counted(told.items, 'item')}; "
            f"measured on {counted(metrics.certificate.cases, 'case')}"
        )
    for name, difference in found.beside.differences.items():
        show(
            f"{name}: {found.beside.evaluation.means[name]:.4f} before, {metrics.test.means[name]:.4f} now, "
            f"{difference.value:+.4f} ({interval(difference.interval, '+.4f')})"
        )
    if stored is not None:
        show(f"run: {stored.folder}")


def _as_dict(found: Updated, stored: Run | None) -> dict[str, Any]:
    return {
        "run": None if stored is None else str(stored.folder),
        "is_worse": found.is_worse,
        **found.trained.metrics.as_dict(),
    }
