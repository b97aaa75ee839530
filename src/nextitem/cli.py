"""The verbs. Results go to stdout, everything else to stderr; an error is one message and an exit code."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from nextitem.checkpoint import FileCheckpoint, machine
from nextitem.configuration import suggest
from nextitem.errors import ConfigurationError, NextitemError
from nextitem.experiment import Prepared, run
from nextitem.progress import watcher
from nextitem.recipe import Preset, Recipe, load_preset, resolve_recipe
from nextitem.runs import Workplace, metrics_of, provenance, write_run

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
stderr = Console(stderr=True)


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
    out: Annotated[Path, typer.Option(help="Folder in which the run's folder appears.")] = Path("runs"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights, order, masks, negatives and dropout.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted training of the same recipe and seed.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")] = None,
    users: Annotated[bool, typer.Option(help="Store the users' histories, for `recommend --users`.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as one JSON object.")] = False,
    print_config: Annotated[bool, typer.Option(help="Print every setting with its source, and stop.")] = False,
) -> None:
    """Train a recipe, evaluate it on the test cases and store the run."""
    preset = load_preset(recipe)
    resolved = resolve_recipe(preset, overrides or [])
    if print_config:
        _print_config(resolved.value, resolved.sources)
        return
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = _device(device)
    workplace = Workplace(out, resolved.value.name, seed)
    folder, metrics = train_run(resolved.value, seed, workplace, chosen, resume=resume, with_users=users)
    if as_json:
        typer.echo(json.dumps(metrics))
        return
    stdout = Console()
    stdout.print(_summary(resolved.value, metrics, preset), highlight=False)
    typer.echo(f"run: {folder}")


def train_run(
    recipe: Recipe, seed: int, workplace: Workplace, device: torch.device, *, resume: bool, with_users: bool
) -> tuple[Path, dict[str, Any]]:
    """Train, evaluate and store; the folder of the run and its metrics."""
    started = datetime.now(UTC)
    if not resume:
        workplace.clear()

    def checkpoint(prepared: Prepared) -> FileCheckpoint:
        identity = {"recipe": recipe.model_dump_json(), "data": prepared.split.test.sha256, "seed": str(seed)}
        return FileCheckpoint(workplace.checkpoint, identity | machine(device))

    display = watcher(stderr, recipe.training, f"{recipe.name} on {recipe.data}, seed {seed}, {device}")
    try:
        outcome = run(recipe, seed, device=device, checkpoint=checkpoint, watcher=display)
    finally:
        display.close()
    metrics = metrics_of(outcome, provenance(seed, device, started))
    return write_run(workplace, recipe, outcome, metrics, with_users=with_users), metrics


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


def _summary(recipe: Recipe, metrics: Mapping[str, Any], preset: Preset) -> Table:
    """Validation and test values, with published ones where the recipe names them for this dataset."""
    published = preset.published.get(recipe.data, {})
    title = f"{recipe.name} on {recipe.data}: {metrics['certificate']['cases']:,} test users, full catalogue"
    table = Table(title=title, title_justify="left")
    for name in ("metric", "validation", "test", "95 % interval", *(["published"] if published else [])):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for metric in metrics["certificate"]["metrics"]:
        low, high = metrics["test"]["intervals"][metric]
        cells = [metric, f"{metrics['validation'][metric]:.4f}", f"{metrics['test'][metric]:.4f}", f"{low:.4f} – {high:.4f}"]
        if published:
            cells.append(f"{published[metric]:.4f}" if metric in published else "")
        table.add_row(*cells)
    epochs = f"best epoch {metrics['best_epoch']} of {metrics['epochs']}, " if metrics["epochs"] else ""
    table.caption = f"{epochs}{metrics['train_seconds']:.0f} s of training"
    return table


def main() -> None:
    """Run a verb; the exit code is 0, that of the error, or 130 when interrupted."""
    debug = "--debug" in sys.argv
    try:
        app([argument for argument in sys.argv[1:] if argument != "--debug"], standalone_mode=False)
    except NextitemError as error:
        if debug:
            raise
        stderr.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
