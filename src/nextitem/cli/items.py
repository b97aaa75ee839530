"""The verb `items`: the catalogue of a run, changed without a training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import AsJson, ItemColumns, RunFolder, ids_in, item_columns_of, path_to, stored_run
from nextitem.compute.waiting import told_if_slow
from nextitem.data.reading.rejected import REJECTED_ITEMS
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.changing import changed_run
from nextitem.experiment.folder.left_out import left_out_of
from nextitem.experiment.folder.reading import LISTS, Run
from nextitem.serving.catalogue.additions import Additions, additions_in
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.catalogue.stored import write_changes
from nextitem.serving.recommender import Recommender
from nextitem.storage import write_csv


def items(
    run_folder: RunFolder,
    retire: Annotated[
        str | None, typer.Option(help="Recommend these items no more: ids between commas, or a file of them.")
    ] = None,
    restore: Annotated[
        str | None, typer.Option(help="Recommend items again that were retired: ids between commas, or a file of them.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(metavar="ID=TITLE", help="Call an item otherwise; may be repeated.")
    ] = None,
    add: Annotated[
        Path | None, path_to("Table of new items with the columns of the run's items: what they are is foretold.")
    ] = None,
    item_columns: ItemColumns = "",
    as_json: AsJson = False,
) -> None:
    """The items of a run: retire, restore, rename or add some without a training, or list what changed."""
    if item_columns and add is None:
        raise ConfigurationError("--item-columns are about the table of --add; leave them out")
    run = stored_run(run_folder, LISTS)
    recommender = Recommender.from_run(run)
    changes = recommender.changes
    if retire is not None:
        changes = changes.retire(ids_in(retire, "item", "--retire").to_list())
    if restore is not None:
        gone = {str(raw) for raw in ids_in(restore, "item", "--restore").to_list()}
        changes = changes.restore([raw for raw in changes.retired if str(raw) in gone])
    if rename:
        changes = changes.rename({**dict(map(_title, rename))})
    found = None if add is None else _additions(run, recommender, add, item_columns)
    if found is not None:
        changes = changes.add(found.items)
    if retire is not None or restore is not None or rename or add is not None:
        with told_if_slow("foretelling new items, and writing the run", say):
            changes = recommender.with_catalogue(changes).changes
            with changed_run(run) as draft:
                write_changes(draft, changes)
                if found is not None and found.rejected:
                    _, left_out = left_out_of(run)
                    left_out.extend(found.rejected)
                    write_csv(draft / REJECTED_ITEMS, left_out.table)
    _show(run, changes, as_json=as_json)


def _title(text: str) -> tuple[str, str]:
    """Id and title of `ID=TITLE`."""
    raw, equals, title = text.partition("=")
    if not (raw.strip() and equals and title.strip()):
        raise ConfigurationError(f"--rename {text!r} is no ID=TITLE; write --rename '7=The Seventh Seal'")
    return raw.strip(), title.strip()


def _additions(run: Run, recommender: Recommender, file: Path, columns: str) -> Additions:
    """The new items of a file; what is to be said of how it was read is said."""
    found = additions_in(file, run, recommender.known.features, item_columns_of(columns))
    for note in found.notes:
        say(f"note: {note}")
    return found


def _show(run: Run, changes: CatalogueChanges, *, as_json: bool) -> None:
    if as_json:
        show_json(_as_dict(run, changes))
        return
    show(
        f"items: {len(run.items):,} trained, {len(changes.added_ids):,} added, {len(changes.retired):,} retired, "
        f"{len(changes.titles):,} renamed"
    )
    for what, named in (
        ("retired", [*changes.retired]),
        ("renamed", [f"{raw}={title}" for raw, title in changes.titles.items()]),
        ("added", changes.added_ids),
    ):
        if named:
            show(f"{what}: {', '.join(map(str, sorted(map(str, named))))}")
    show(f"run: {run.folder}")


def _as_dict(run: Run, changes: CatalogueChanges) -> dict[str, Any]:
    return {
        "run": str(run.folder),
        "trained": len(run.items),
        "added": changes.added_ids,
        "retired": sorted(changes.retired, key=str),
        "renamed": {str(raw): title for raw, title in changes.titles.items()},
    }
