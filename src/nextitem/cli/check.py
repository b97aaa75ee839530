"""The verb `check`: a data doctor: what a log holds, what is wrong with it, and what to train on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say, show, show_entry, show_json
from nextitem.cli.options import (
    ColumnNames,
    ItemColumns,
    OnBadRows,
    column_overrides,
    item_column_overrides,
    path_to,
    typed_command,
    write_rejected,
)
from nextitem.cli.tables import show_manifest
from nextitem.compute.waiting import told_if_slow
from nextitem.data.checkup.asked import asked_from
from nextitem.data.checkup.finding import Severity
from nextitem.data.checkup.lengths import Band
from nextitem.data.mapped.folder import is_prepared, verify
from nextitem.data.mapped.manifest import Manifest
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.folder.found import is_run
from nextitem.settings.given import expanded
from nextitem.storage import refusals, whole_file, write_text
from nextitem.studies.checkup import Checkup
from nextitem.studies.checkup import check as check_log
from nextitem.words import percent

_BAR = 24  # characters of the longest bar of a histogram


def check(
    data: Annotated[str, typer.Argument(help="File of events, dataset, or folder that `nextitem prepare` wrote.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as filters.repeats=first.")
    ] = None,
    columns: ColumnNames = "",
    on_bad_rows: OnBadRows = None,
    rejected: Annotated[Path | None, path_to("Csv to write rows to that were skipped, each with its reason.")] = None,
    item_columns: ItemColumns = "",
    html: Annotated[Path | None, path_to("Write the findings as a page to look at.")] = None,
    write: Annotated[Path | None, path_to("Write what is advised as a recipe, a .toml file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what is in a log, what is wrong with it and what to train; whether a prepared folder is intact."""
    if write is not None and write.suffix != ".toml":
        raise ConfigurationError(f"--write {write}: a recipe is a .toml file; name it so")
    of_columns = [*column_overrides(columns, on_bad_rows), *item_column_overrides(item_columns)]
    asked = [*(overrides or []), *of_columns]
    path = expanded(data)
    if is_run(path):
        raise ConfigurationError(
            f"{data} is a run, and check is about logs; `nextitem evaluate {data}` proves what the run measured, and "
            f"check takes the log that it learnt from"
        )
    of_events = [one for one in asked if not one.startswith("hide=")]
    manifest = _verified(path, data, of_events) if is_prepared(path) else None
    settings = asked_from(asked)
    with told_if_slow(f"examining {data}", say):
        where = str(path) if data.startswith("~") else data  # as a recipe takes it
        found = check_log(settings.source(where), hide=settings.hide)
    for note in found.found.notes:
        say(f"note: {note}")
    if rejected is not None:
        write_rejected(rejected, found.found.rejected, found.found.rejected_items)
    if as_json:
        show_json(found.as_dict())
    else:
        if manifest is not None:
            show_manifest(manifest, path, "intact", as_json=False)
        _show(found)
    if html is not None:
        # Here, because matplotlib takes half a second to import, which only those who want a page should wait.
        from nextitem.report.checkup.page import write_page

        write_page(found, typed_command(), html)
        say(f"page: {html}")
    if found.refusal:
        raise DataError(found.refusal)
    if write is not None:
        with refusals(write), whole_file(write) as draft:
            write_text(draft, found.toml())
        say(f"recipe: {write}; train it by `nextitem train {write}`")


def _verified(path: Path, data: str, asked: Sequence[str]) -> Manifest:
    if asked:
        raise ConfigurationError(f"{data} is a folder, which has settings of its own; leave settings out")
    with told_if_slow(f"comparing the files of {data}", say):
        return verify(path)


def _show(found: Checkup) -> None:
    """Every finding in a line, warnings marked and with what to do; then what is advised, with the reasons."""
    show(found.found.source.data)
    show_entry("  columns", found.found.described_columns)
    for name, one in found.findings.items():
        is_warning = one.severity is Severity.WARNING
        show_entry(f"{'!' if is_warning else ' '} {name}", one.sentence)
        if one.remedy and is_warning:
            show_entry("", f"-> {one.remedy}")
        if name == "lengths":
            for line in _histogram(found.found.lengths.bands):
                show_entry("", line)
    show("advised")
    settings = [(f"  {said.key}={said.value}", said.reason) for said in found.advice]
    width = 2 + max(len(name) for name, _ in settings)
    for name, reason in settings:
        show_entry(name, reason, width)


def _histogram(bands: Sequence[Band]) -> list[str]:
    """A bar for each band of lengths, by the share of the users."""
    most, users = max(band.users for band in bands), sum(band.users for band in bands)
    names = [f"{band.first:,}–{band.last:,}" if band.first < band.last else f"{band.first:,}" for band in bands]
    width = max(map(len, names))
    bars = ["▇" * round(_BAR * band.users / most) for band in bands]
    return [
        f"{name:>{width}} {bar}{' ' if bar else ''}{percent(band.users / users, 1)}"
        for name, bar, band in zip(names, bars, bands, strict=True)
    ]
