"""The verbs. Results go to stdout, everything else to stderr; an error is one message and an exit code."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from nextitem import demo as demonstration
from nextitem.configuration import suggest
from nextitem.errors import ConfigurationError, NextitemError
from nextitem.evaluation import METRICS
from nextitem.history import Silent, Watcher
from nextitem.overrides import COMMAND_LINE
from nextitem.preparation_verbs import check, prepare
from nextitem.processes import joined, speaker
from nextitem.progress import watcher
from nextitem.reading import Columns, parse_columns, read_interactions
from nextitem.recipe import Recipe, load_preset, resolve_recipe
from nextitem.recommendation_file import as_table, check_format, write_table
from nextitem.recommender import Recommender, Unknown, evaluate_again
from nextitem.runs import Workplace, read_run
from nextitem.train_into import settle_earlier, train_into

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
stderr = Console(stderr=True)
INTERRUPTED = 130
app.command()(prepare)
app.command()(check)


class Part(StrEnum):
    """Which held-out cases."""

    TEST = "test"
    VALIDATION = "validation"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nextitem {version('nextitem')}")
        raise typer.Exit


@app.callback()
def verbs(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Next-item recommendation you can trust: from an event log to a compared, explained, served model."""


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Name of a built-in recipe, or a .toml file.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")] = None,
    columns: Annotated[str, typer.Option(help="Columns of a file with a header: user=visitor,item=sku,time=ts.")] = "",
    out: Annotated[Path, typer.Option(help="Folder in which the run's folder appears.")] = Path("runs"),
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Seed of weights, order, masks, negatives and dropout.")
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted training of the same recipe and seed.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard an interrupted training and start anew.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")] = None,
    users: Annotated[bool, typer.Option(help="Store the users' histories, for `recommend --users`.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as one JSON object.")] = False,
    print_config: Annotated[bool, typer.Option(help="Print every setting with its source, and stop.")] = False,
) -> None:
    """Train a recipe, evaluate it on the test cases and store the run."""
    preset = load_preset(recipe)
    resolved = resolve_recipe(preset, overrides or [], parse_columns(columns) if columns else None)
    if print_config:
        _print_config(resolved.value, resolved.sources)
        return
    if threads is not None:
        torch.set_num_threads(threads)
    workplace = Workplace.of(out, resolved.value, seed)
    with joined(_device(device)) as processes:
        say = _say if processes.rank == 0 else lambda _text: None
        if processes.rank == 0:
            has_earlier = settle_earlier(workplace, processes.device, resume=resume, fresh=fresh)
            if resume and not has_earlier:
                _say(f"nothing to resume at {workplace.checkpoint}: starting at epoch 1")
        processes.wait()  # for what is settled
        title = f"{resolved.value.name} on {resolved.value.data}, seed {seed}, {processes}"
        display = watcher(stderr if processes.rank == 0 else Console(quiet=True), resolved.value.training, title)
        try:
            folder, metrics = train_into(workplace, resolved.value, seed, processes, display, say, with_users=users)
        finally:
            display.close()
    if folder is None:
        return
    if as_json:
        _say(f"run: {folder}")
        typer.echo(json.dumps(metrics))
        return
    is_preset = all(label != COMMAND_LINE or key == "data" for key, label in resolved.sources.items())
    _show(_summary(resolved.value, metrics, preset.published.get(resolved.value.data, {}) if is_preset else {}))
    typer.echo(f"run: {folder}")


@app.command("evaluate")
def evaluate_run(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    part: Annotated[Part, typer.Option(help="Which cases.")] = Part.TEST,
    data: Annotated[str | None, typer.Option(help="Where that data is now, if not where it was.")] = None,
    metrics: Annotated[str, typer.Option(help="Comma-separated, such as ndcg@5,hit_rate@20.")] = ",".join(METRICS),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Evaluate a stored run again, on the data it was trained on."""
    names = [name.strip() for name in metrics.split(",")]
    stored = read_run(run_folder)
    report = evaluate_again(stored, part.value, names, data)
    if as_json:
        typer.echo(json.dumps({part: report.as_dict(), "run": str(run_folder), "recipe": stored.recipe.name}))
        return
    table = Table(title=Text(f"{stored.recipe.name} on {stored.recipe.data}, {part}"), title_justify="left")
    for name in ("metric", "value", "95 % interval"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name, value in report.means.items():
        low, high = report.intervals[name]
        table.add_row(name, f"{value:.4f}", f"{low:.4f} – {high:.4f}")
    _show(table)


@app.command()
def recommend(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    users: Annotated[str | None, typer.Option(help="Comma-separated users of the run, or `all`.")] = None,
    histories: Annotated[
        Path | None, typer.Option(help="File of events (csv, tsv, txt, parquet) whose users' histories are answered.")
    ] = None,
    columns: Annotated[str, typer.Option(help="Columns of that file: user=visitor,item=sku,time=ts.")] = "",
    k: Annotated[int, typer.Option("--k", min=1, help="Recommendations per user.")] = 10,
    out: Annotated[Path | None, typer.Option(help="File to write: .csv, .jsonl or .parquet.")] = None,
    filter_seen: Annotated[bool, typer.Option(help="Leave out items of the history.")] = True,
    drop_unknown: Annotated[
        bool, typer.Option(help="Leave unknown items out of histories instead of failing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The k best next items for users of a run, or for histories in a file."""
    if (users is None) == (histories is None):
        raise ConfigurationError("give either --users (ids, or all) or --histories FILE")
    if out is not None:
        check_format(out)
    stored = read_run(run_folder)
    recommender = Recommender.from_run(stored)
    unknown: Unknown = "drop" if drop_unknown else "error"
    if histories is not None:
        ordered = read_interactions(histories, parse_columns(columns) if columns else Columns()).in_time_order()
        grouped = ordered.group_by("user", maintain_order=True).agg("item")
        owners, given = grouped["user"].to_list(), grouped["item"].to_list()
        lists = recommender.recommend(given, k, filter_seen=filter_seen, unknown=unknown)
    else:
        owners = recommender.known_users() if users == "all" else [user.strip() for user in str(users).split(",")]
        lists = recommender.recommend(users=owners, k=k, filter_seen=filter_seen)
    titles = {item: title for item, _, title in stored.items.iter_rows() if title is not None}
    table = as_table(owners, lists, titles)
    if out is not None:
        write_table(table, out)
        stderr.print(
            f"{len(table):,} recommendations for {len(owners):,} users in {out}", highlight=False, markup=False
        )
    if as_json:
        content = {"file": str(out)} if out is not None else {"recommendations": table.to_dicts()}
        typer.echo(json.dumps({"users": len(owners), "k": k, **content}, ensure_ascii=False))
    elif out is None:
        typer.echo(table.write_csv(), nl=False)


@app.command()
def demo(
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of all models.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Six models on generated data, in minutes: no network, no files."""

    def watch(label: str, recipe: Recipe) -> Watcher:
        stderr.print(f"training {label}", highlight=False)
        return Silent()

    found = demonstration.rows(seed, watch, lambda row: stderr.print(f"  NDCG@10 {row.ndcg:.4f}", highlight=False))
    if as_json:
        typer.echo(json.dumps({"rows": [asdict(row) for row in found], "verdict": demonstration.verdict(found)}))
        return
    table = Table(title="Next-item recommendation on the synthetic log (test users, full catalogue)")
    for name in ("model", "HR@10", "NDCG@10", "95 % interval", "of upper bound", "seconds", "best epoch"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for row in found:
        epoch = f"{row.best_epoch} of {row.epochs}" if row.epochs else "–"
        low, high = row.interval
        cells = (f"{row.hit_rate:.4f}", f"{row.ndcg:.4f}", f"{low:.4f} – {high:.4f}", f"{row.share_of_bound:.0%}")
        table.add_row(row.label, *cells, f"{row.train_seconds:.1f}", epoch)
    _show(table)
    typer.echo(demonstration.verdict(found))


def _show(table: Table) -> None:
    """A table on stdout, never squeezed into the 80 columns that a pipe or file is taken for."""
    stdout = Console()
    Console(width=stdout.width if stdout.is_terminal else 120).print(table, highlight=False)


def _device(name: str) -> torch.device:
    """The device of a name; `auto` is CUDA where there is one. Raises ConfigurationError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ConfigurationError(f"--device {name}: {suggest(name, ['auto', 'cpu', 'cuda'])}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("--device cuda: this torch sees no CUDA device; use --device cpu")
    return torch.device(name)


def _print_config(recipe: Recipe, sources: Mapping[str, str]) -> None:
    """Every setting as `key = value  # source`."""
    for key, source in sources.items():
        value: Any = recipe.model_dump(mode="json")
        for word in key.split("."):
            value = value[word]
        typer.echo(f"{key} = {json.dumps(value)}  # {source}")


def _summary(recipe: Recipe, metrics: Mapping[str, Any], published: Mapping[str, float]) -> Table:
    """Validation and test values, beside published ones of the same recipe on the same data where there are any."""
    title = f"{recipe.name} on {recipe.data}: {metrics['certificate']['cases']:,} test users, full catalogue"
    table = Table(title=Text(title), title_justify="left")
    for name in ("metric", "validation", "test", "95 % interval", *(["published"] if published else [])):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for metric in metrics["certificate"]["metrics"]:
        low, high = metrics["test"]["intervals"][metric]
        cells = [
            metric,
            f"{metrics['validation'][metric]:.4f}",
            f"{metrics['test'][metric]:.4f}",
            f"{low:.4f} – {high:.4f}",
        ]
        if published:
            cells.append(f"{published[metric]:.4f}" if metric in published else "")
        table.add_row(*cells)
    epochs = f"best epoch {metrics['best_epoch']} of {metrics['epochs']}, " if metrics["epochs"] else ""
    table.caption = f"{epochs}{metrics['train_seconds']:.0f} s of training"
    return table


def main() -> None:
    """Run a verb; the exit code is 0, that of the error (2 for usage), or 130 when interrupted."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        # Typer swallows an interruption and returns 130 in its place.
        if app(arguments, standalone_mode=False) == INTERRUPTED:
            raise KeyboardInterrupt
    except TyperException as error:
        _complain(
            f"error: {error.format_message().rstrip('.')}; `nextitem --help` and `nextitem VERB --help` tell the usage"
        )
        sys.exit(ConfigurationError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted; a training on the CPU goes on after its last full epoch with --resume")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe, such as head, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except NextitemError as error:
        if debug:
            raise
        _complain(f"error: {error}")
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        _complain(f"internal error: {type(error).__name__}: {error}; run again with --debug and report the traceback")
        sys.exit(1)


def _say(text: str) -> None:
    stderr.print(text, markup=False, highlight=False, soft_wrap=True)


def _complain(text: str) -> None:
    stderr.print(speaker() + text, style="red", markup=False, highlight=False, soft_wrap=True)
