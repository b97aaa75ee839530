"""The verbs. Results go to stdout, everything else to stderr; an error is one message and an exit code."""

import csv
import json
import logging
import os
import sys
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from nextitem import demo as demonstration
from nextitem.comparison_verb import compare
from nextitem.console import show, stderr
from nextitem.errors import ConfigurationError, NextitemError
from nextitem.evaluation import METRICS, SAMPLED_METRICS
from nextitem.history import Silent, Watcher
from nextitem.preparation_verbs import check, prepare
from nextitem.processes import speaker
from nextitem.reading import Columns, parse_columns, read_interactions
from nextitem.recipe import Recipe
from nextitem.recommendation_file import as_table, check_format, write_table
from nextitem.recommender import Recommender, Unknown, evaluate_again
from nextitem.report_verb import report
from nextitem.reproduction_verb import reproduce
from nextitem.runs import read_run
from nextitem.study_verb import study
from nextitem.training_verb import train
from nextitem.tuning_verb import tune

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
INTERRUPTED = 130
app.command()(train)
app.command()(compare)
app.command()(reproduce)
app.command()(study)
app.command()(prepare)
app.command()(check)
app.command()(tune)
app.command()(report)


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


@app.command("evaluate")
def evaluate_run(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    part: Annotated[Part, typer.Option(help="Which cases.")] = Part.TEST,
    data: Annotated[str | None, typer.Option(help="Where that data is now, if not where it was.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help=f"Comma-separated, such as ndcg@5,hit_rate@20. Default: {','.join(METRICS)}."),
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option(help="Rank among drawn negatives only, as older papers do: popularity:100 or uniform:100."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of these negatives.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Evaluate a stored run again, on the data it was trained on."""
    default = METRICS if candidates is None else SAMPLED_METRICS
    names = [*default] if metrics is None else [name.strip() for name in metrics.split(",")]
    stored = read_run(run_folder)
    report = evaluate_again(stored, part.value, names, data, candidates=candidates, seed=seed)
    if as_json:
        block = {part.value: report.as_dict()}  # what is sampled stands apart, where nobody takes it for a full ranking
        found = block if candidates is None else {"sampled": block}
        typer.echo(json.dumps({**found, "run": str(run_folder), "recipe": stored.recipe.name}))
        return
    title = f"{stored.recipe.name} on {stored.recipe.data}, {part}"
    title += "" if candidates is None else f", each target among {report.certificate.candidates - 1} drawn items only"
    table = Table(title=Text(title), title_justify="left")
    for name in ("metric", "value", "95 % interval"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name, value in report.means.items():
        low, high = report.intervals[name]
        table.add_row(Text(name), f"{value:.4f}", f"{low:.4f} – {high:.4f}")  # a label in brackets is no markup
    show(table)


@app.command()
def recommend(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    users: Annotated[
        str | None, typer.Option(help="Comma-separated users of the run, or `all`; an id with a comma in quotes.")
    ] = None,
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
        owners = recommender.known_users() if users == "all" else _listed(str(users))
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


def _listed(users: str) -> list[str]:
    """Ids between commas; one with a comma, and a user called all, stand in quotes."""
    return [user.strip() for user in next(csv.reader([users], skipinitialspace=True), [])]


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
    show(table)
    typer.echo(demonstration.verdict(found))


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
        _complain(
            "interrupted; on the CPU `train --resume`, `compare`, `reproduce` and `study` go on after the last epoch"
        )
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


def _complain(text: str) -> None:
    stderr.print(speaker() + text, style="red", markup=False, highlight=False, soft_wrap=True)
