"""The verb `compare`: recipes and seeds trained where they are not on disk yet, and one table of all of them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say
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
    columns_of,
    device_of,
    engine_of,
    item_column_overrides,
    make_report,
    metric_names,
    path_to,
    say_if_generated,
    seeds_of_each,
    stored_run,
    with_data,
)
from nextitem.cli.tables import fail_if_any_failed, show_comparison
from nextitem.compute.waiting import told_if_slow
from nextitem.engine.each import train_each
from nextitem.engine.entries import Contestant, Entry, Place
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.found import deciding, is_run
from nextitem.experiment.folder.reading import COMPARED, Run
from nextitem.experiment.presets import load_preset, overrides_of_each, preset_names, resolve_recipe
from nextitem.experiment.repetition import told_apart
from nextitem.settings.given import expanded
from nextitem.storage.places import is_folder
from nextitem.studies.comparison import COMPARED_METRICS, same_certificate
from nextitem.studies.comparison import compare as compare_runs


def compare(
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE...", help="Built-in recipes, .toml files or run folders; KEY=VALUE changes all."
        ),
    ],
    data: Data = None,
    seeds: Annotated[int, seeds_of_each("recipe")] = 1,
    against: Annotated[
        str | None, typer.Option(help="Row that the others are tested against; default: the first.")
    ] = None,
    metrics: Annotated[str, typer.Option(help="Comma-separated, such as ndcg@5,hit_rate@20.")] = ",".join(
        COMPARED_METRICS
    ),
    columns: ColumnNames = "",
    item_columns: ItemColumns = "",
    out: Annotated[Path, path_to("Folder of runs: finished ones are found there, new ones appear.")] = Path("runs"),
    runs: Runs = None,
    fresh: Fresh = False,
    device: Device = "auto",
    threads: Threads = None,
    engine: EngineName = "local",
    target_times: Annotated[
        bool,
        typer.Option(
            "--target-times", help="Have rows of models that are told when their targets happened, which are refused."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare recipes on the same data: seeds, intervals, paired tests; finished runs are used again."""
    of_items = item_column_overrides(item_columns)
    overrides = with_data([*(word for word in recipes if "=" in word), *of_items], data)
    named = [word for word in recipes if "=" not in word]
    given = [
        word for word in named if is_run(expanded(word)) or (word not in preset_names() and is_folder(expanded(word)))
    ]
    names = metric_names(metrics)
    place = Place(out, tuple(runs or ()), str(device_of(device)), threads, fresh, make_report)
    asked = [word for word in named if word not in given]
    each = zip(asked, overrides_of_each(asked, overrides), strict=True)
    resolved = [resolve_recipe(load_preset(word), own, columns_of(columns)) for word, own in each]
    say_if_generated(*resolved)
    entries = [Entry(one.value.name, one.value) for one in resolved]
    stored = [stored_run(expanded(word), COMPARED) for word in given]
    same_certificate(stored, target_times=target_times)
    rows = stored_rows(stored)
    labels = [*(entry.label for entry in entries), *(row.label for row in rows)]
    if len(set(labels)) < len(labels) or not labels:
        fact = "is no recipe" if not labels else "are not all different"
        raise ConfigurationError(f"'{' '.join(named)}' {fact}; name each recipe once, such as sasrec-ce bert4rec")
    if against is not None and against not in labels:
        compare_runs([Contestant(label) for label in labels], against)
    with engine_of(engine) as made_by:
        train = partial(train_each, beside=stored, engine=made_by, target_times=target_times)
        trained = train(entries, range(seeds), place, say) if entries else []
    with told_if_slow("resampling for intervals and differences", say):
        comparison = compare_runs([*trained, *rows], against, names, target_times=target_times)
    for row in comparison.rows:
        if row.runs and row.runs[0].certificate.told:
            say(f"note: {row.label} was told {row.runs[0].certificate.told}, which nobody knows who recommends")
    show_comparison(comparison, as_json=as_json)
    fail_if_any_failed(comparison)


def stored_rows(runs: Sequence[Run]) -> list[Contestant]:
    """Rows of given runs: those that differ only in their seed share one, and settings tell one recipe's apart."""
    rows: list[list[Run]] = []
    for run in runs:
        alike = (row for row in rows if deciding(row[0].recipe) == deciding(run.recipe))
        row = next(alike, None)
        if row is None:
            rows.append([run])
        elif run.seed in (other.seed for other in row):
            raise ConfigurationError(
                f"{run.folder} has the settings and the seed of another run that was given: leave it out"
            )
        else:
            row.append(run)
    labels = told_apart([row[0].recipe.name for row in rows], [row[0] for row in rows])
    return [Contestant(label, tuple(row)) for label, row in zip(labels, rows, strict=True)]
