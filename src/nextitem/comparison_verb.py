"""The verb `compare`: recipes and seeds trained where they are not on disk yet, and one table of all of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nextitem.comparison import Comparison, Contestant, Difference, as_dict, same_certificate
from nextitem.comparison import compare as compare_runs
from nextitem.console import say
from nextitem.errors import ConfigurationError, TrainingError
from nextitem.finished_runs import FinishedRun, deciding, is_run, read_finished
from nextitem.metrics import parse_metric
from nextitem.reading import parse_columns
from nextitem.recipe import load_preset, preset_names, resolve_recipe
from nextitem.report.repetition import told_apart
from nextitem.training_each import Entry, Place, train_each
from nextitem.training_verb import device_of

NOTHING = "–"


def compare(
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE...", help="Built-in recipes, .toml files or run folders; KEY=VALUE changes all."
        ),
    ],
    data: Annotated[str | None, typer.Option(help="Dataset, file or prepared folder; the same as data=…")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many seeds of each recipe: 0, 1, 2, …")] = 1,
    against: Annotated[
        str | None, typer.Option(help="Row that the others are tested against; default: the first.")
    ] = None,
    metrics: Annotated[str, typer.Option(help="Comma-separated, such as ndcg@5,hit_rate@20.")] = "ndcg@10,hit_rate@10",
    columns: Annotated[str, typer.Option(help="Columns of a file with a header: user=visitor,item=sku,time=ts.")] = "",
    out: Annotated[Path, typer.Option(help="Folder of runs: finished ones are found there, new ones appear.")] = Path(
        "runs"
    ),
    runs: Annotated[list[Path] | None, typer.Option(help="Another folder with finished runs; may be repeated.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard interrupted trainings and start anew.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare recipes on the same data, over seeds, with intervals and paired tests; finished runs are used again."""
    overrides = [word for word in recipes if "=" in word]
    if data is not None:
        overrides.append(f"data={data}")
    named = [word for word in recipes if "=" not in word]
    given = [word for word in named if is_run(Path(word)) or (word not in preset_names() and Path(word).is_dir())]
    names = metrics_of(metrics)
    place = Place(out, tuple(runs or ()), str(device_of(device)), threads, fresh)
    entries = [entry_of(word, overrides, columns) for word in named if word not in given]
    stored = [read_finished(Path(word)) for word in given]
    same_certificate(stored)
    rows = stored_rows(stored)
    labels = [*(entry.label for entry in entries), *(row.label for row in rows)]
    if len(set(labels)) < len(labels) or not labels:
        fact = "is no recipe" if not labels else "are not all different"
        raise ConfigurationError(f"'{' '.join(named)}' {fact}; name each recipe once, such as sasrec-ce bert4rec")
    if against is not None and against not in labels:
        compare_runs([Contestant(label) for label in labels], against)
    trained = train_each(entries, range(seeds), place, say, beside=stored) if entries else []
    found = compare_runs([*trained, *rows], against, names)
    show(found, as_json=as_json)
    finish(found)


def metrics_of(text: str) -> list[str]:
    """Metrics as they are typed. Raises ConfigurationError for an unknown one, and for one that is named twice."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        parse_metric(name)
        if names.count(name) > 1:
            raise ConfigurationError(f"--metrics {text} names {name} more than once; name each metric once")
    return names


def entry_of(word: str, overrides: Sequence[str] = (), columns: str = "", label: str | None = None) -> Entry:
    """A recipe by name or file, with overrides as they are typed. Raises ConfigurationError."""
    preset = load_preset(word)
    recipe = resolve_recipe(preset, overrides, parse_columns(columns) if columns else None).value
    return Entry(label or preset.name, recipe)


def stored_rows(runs: Sequence[FinishedRun]) -> list[Contestant]:
    """Rows of given runs: those that differ only in their seed share one, and settings tell one recipe's apart."""
    rows: list[list[FinishedRun]] = []
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


def finish(found: Comparison, others: Sequence[str] = ()) -> None:
    """After the table: raise TrainingError where something failed."""
    failures = [*found.failures, *others]
    if failures:
        many = "1 training" if len(failures) == 1 else f"{len(failures)} trainings"
        raise TrainingError(f"{many} failed, and the table is without: {'; '.join(failures)}")


def show(found: Comparison, *, as_json: bool) -> None:
    """The comparison on stdout: as JSON, as a table on a terminal, as plain lines elsewhere."""
    if as_json:
        typer.echo(json.dumps(as_dict(found)))
        return
    header, rows = cells(found)
    console = Console()
    if console.is_terminal:
        table = Table(title=_title(found), title_justify="left", caption=found.resampled, caption_justify="left")
        for name in header:
            table.add_column(name, justify="left" if name == "recipe" else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table, highlight=False)
        return
    typer.echo(_title(found))
    lines = [header, *([cell.replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    typer.echo(found.resampled)


def _title(found: Comparison) -> str:
    told = found.certificate
    where = (
        f" on {told['dataset']}: {told['cases']:,} test users, {told['candidates']:,} items, {told['ranking']} ranking"
        if told
        else ""
    )
    return f"comparison{where}; differences to {found.against}"


def cells(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the table as text; a cell may have two lines."""
    header = ["recipe", "seeds"]
    for metric in found.metrics:
        header += [metric, "difference"]
    header += ["training s", "best epoch", "s to 95 %", "peak MB", "parameters"]
    return header, [_cells_of(row, found) for row in found.rows]


def _cells_of(row: Contestant, found: Comparison) -> list[str]:
    seeds = (
        f"{len(row.runs)}" if not row.failures else f"{len(row.runs)} of {len(row.runs) + len(row.failures)}, failed"
    )
    texts = [row.label, seeds]
    for metric in found.metrics:
        cell = found.cells.get(row.label, {}).get(metric)
        if cell is None:
            texts += [NOTHING, NOTHING]
            continue
        low, high = cell.interval
        texts += [
            f"{cell.mean:.4f}\n({low:.4f} – {high:.4f})",
            NOTHING if cell.difference is None else told(cell.difference),
        ]
    return [
        *texts,
        _number(row.train_seconds, ",.0f"),
        " ".join(str(epoch) for epoch in row.best_epochs) or NOTHING,
        _number(row.seconds_to_nearly_best, ",.0f"),
        _number(row.peak_memory_mb, ","),
        _number(row.parameters, ","),
    ]


def told(difference: Difference) -> str:
    """A difference with its interval and corrected p-value, on two lines."""
    low, high = difference.interval
    return f"{difference.value:+.4f}, p {difference.corrected_p:.2g}\n({low:+.4f} – {high:+.4f})"


def _number(value: float | None, pattern: str) -> str:
    return NOTHING if value is None else f"{value:{pattern}}"
