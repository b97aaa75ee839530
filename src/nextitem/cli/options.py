"""What several verbs ask for and read alike: one declaration, one help text and one meaning for each option.

A verb whose help says something else on purpose (what appears in `--out`, what `--candidates` are for) declares that
option itself.
"""

import csv
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import torch
import typer

from nextitem.cli.console import say
from nextitem.compute.spread import HERE, Spread
from nextitem.data.acquisition.addresses import folder_at
from nextitem.data.datasets import DATASETS
from nextitem.data.features.columns import FeatureColumns, parse_item_columns
from nextitem.data.reading.columns import Columns, parse_columns
from nextitem.data.reading.rejected import RejectedRows
from nextitem.engine.cluster import RayActors
from nextitem.engine.engine import Engine
from nextitem.engine.local import LOCAL
from nextitem.engine.tasks import ray_engine
from nextitem.errors import ConfigurationError, NextitemError
from nextitem.evaluation.metrics import rank_metrics
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.recipe import Recipe
from nextitem.serving.ids import read_ids
from nextitem.settings.given import expanded, is_address, place_of, without_password
from nextitem.settings.overrides import DEFAULT, Resolved
from nextitem.settings.suggestion import suggest
from nextitem.storage import refusals, whole_file, write_csv
from nextitem.storage.places import A_FOLDER, what_is_at
from nextitem.storage.remote import published
from nextitem.words import counted


def path_to(what: str) -> Any:
    """The option of a file or folder, in which a leading `~` is the home folder; its help says which."""
    return typer.Option(parser=expanded, metavar="PATH", help=what)


def store_at(what: str) -> Any:
    """The option of a service's database: a file, or an address on a server; its help says which."""
    return typer.Option(parser=place_of, metavar="PATH|URL", help=what)


def own_folder(text: str) -> Path:
    """The folder of a run that is changed, or beside which something is written. Raises ConfigurationError."""
    if is_address(text):
        raise ConfigurationError(
            f"{without_password(text)} is an address, and here a run is changed or written beside; give a folder, and "
            f"put the run there by `nextitem publish FOLDER URL`"
        )
    return expanded(text)


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Candidates = Annotated[
    str | None, typer.Option(help="Recommend these items alone: ids between commas, or a file of them.")
]
ColumnNames = Annotated[
    str, typer.Option(help="Columns by name, or by number without a header: user=visitor,item=sku,time=ts.")
]
OnBadRows = Annotated[
    str | None,
    typer.Option(
        "--on-bad-rows",
        help="Rows that cannot be used: refuse, or skip, count and write them to a file. The same as "
        "columns.on_bad_rows=…",
    ),
]
ItemColumns = Annotated[
    str,
    typer.Option(help="Columns of the table of items (items=FILE): title=name,categories=genres,numbers=year,id=sku."),
]
Data = Annotated[str | None, typer.Option(help="Dataset, file, folder of files or prepared folder; the same as data=…")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
EngineName = Annotated[
    str, typer.Option("--engine", help="What makes it: local, or ray, a cluster (RAY_ADDRESS) or this machine's cores.")
]
Exclude = Annotated[
    str | None, typer.Option(help="Never recommend these items: ids between commas, or a file of them.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Discard interrupted trainings and start anew.")]
Hide = Annotated[
    str | None,
    typer.Option(help="Items to leave out: those of the history, nothing, or last:N. Default: as it was trained."),
]
ManifestAsJson = Annotated[bool, typer.Option("--json", help="Print the manifest as one JSON object.")]
RunToRead = Annotated[
    Path, typer.Argument(parser=folder_at, metavar="RUN", help="Folder of a run, or its address (s3://bucket/run).")
]
RunFolder = Annotated[Path, typer.Argument(parser=own_folder, metavar="RUN", help="Folder of a run.")]
Runs = Annotated[list[Path] | None, path_to("Another folder with finished runs; may be repeated.")]
MakeReport = Annotated[bool, typer.Option(help="Store report.html, a page with tables, figures and examples.")]
RankBaselines = Annotated[
    bool, typer.Option(help="Rank what only counts on the same test cases, and compare the model with it.")
]
StoreUsers = Annotated[bool, typer.Option(help="Store the users' histories, for `recommend --users`.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")]
TrainMissing = Annotated[bool, typer.Option("--train/--no-train", help="Train what is not on disk, or leave it out.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes of the cluster that share the work; default: all of its cores.")
]
Where = Annotated[str | None, typer.Option(help="Conditions on columns of the items: genres=Comedy|Drama,price<20.")]


def seed_of(what: str) -> Any:
    """The option of a seed, whose help says of what."""
    return typer.Option(min=0, max=2**63 - 1, help=f"Seed of {what}.")


def seeds_of_each(what: str) -> Any:
    """The option of a number of seeds, from 0 on."""
    return typer.Option(min=1, max=1000, help=f"How many seeds of each {what}: 0, 1, 2, …")


def columns_of(text: str, on_bad_rows: str | None = None) -> Columns | None:
    """The columns that `--columns` names, with what `--on-bad-rows` says; None where nothing was typed.

    Raises ConfigurationError.
    """
    if on_bad_rows not in (None, "refuse", "skip"):
        raise ConfigurationError(f"--on-bad-rows {on_bad_rows}: {suggest(on_bad_rows, ['refuse', 'skip'])}")
    said = [text, f"on_bad_rows={on_bad_rows}"] if on_bad_rows else [text]
    return parse_columns(",".join(filter(None, said))) if any(said) else None


def with_data(overrides: Sequence[str], data: str | None) -> list[str]:
    """The overrides with what `--data` says. Raises ConfigurationError where they say something else."""
    given = [word.partition("=")[2] for word in overrides if word.startswith("data=")]
    if len({*given, *([] if data is None else [data])}) > 1:
        raise ConfigurationError(f"data are given more than once: {', '.join([*given, data or ''])}; give them once")
    return [*overrides] if data is None or given else [*overrides, f"data={data}"]


def say_if_generated(*recipes: Resolved[Recipe]) -> None:
    """Say before minutes of training that the data are generated, where nobody named any."""
    generated = dict.fromkeys(one.value.data for one in recipes if one.sources.get("data", DEFAULT) == DEFAULT)
    if generated:
        say(
            f"no data were named, so these are generated ones ({', '.join(generated)}); name a file by --data FILE, or "
            f"a dataset: {', '.join(DATASETS)}"
        )


def column_overrides(text: str, on_bad_rows: str | None = None) -> list[str]:
    """What `columns_of` finds, as settings that are typed; a name that looks like a value stays a name."""
    named = columns_of(text, on_bad_rows)
    settings = {} if named is None else named.model_dump(exclude_unset=True)
    return [f"columns.{key}={'none' if value is None else json.dumps(value)}" for key, value in settings.items()]


def item_columns_of(text: str) -> FeatureColumns | None:
    """The columns that `--item-columns` names; None where nothing was typed. Raises ConfigurationError."""
    return parse_item_columns(text) if text else None


def item_column_overrides(text: str) -> list[str]:
    """What `--item-columns` names, as settings that are typed."""
    named = item_columns_of(text)
    settings = {} if named is None else named.model_dump(exclude_unset=True, mode="json")
    return [f"features.columns.{key}={json.dumps(value)}" for key, value in settings.items()]


def device_of(name: str) -> torch.device:
    """The device of a name; `auto` is CUDA where there is one. Raises ConfigurationError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ConfigurationError(f"--device {name}: {suggest(name, ['auto', 'cpu', 'cuda'])}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("--device cuda: this torch sees no CUDA device; use --device cpu")
    return torch.device(name)


def metric_names(text: str) -> list[str]:
    """Metrics as they are typed. Raises ConfigurationError for an unknown one, and for one that is named twice."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        rank_metrics([name])
        if names.count(name) > 1:
            raise ConfigurationError(f"--metrics {text} names {name} more than once; name each metric once")
    return names


def narrowing_ids(candidates: str | None, exclude: str | None) -> dict[str, pl.Series]:
    """By option the items that `--candidates` and `--exclude` name, where they were given."""
    given = (("candidates", candidates), ("exclude", exclude))
    return {option: ids_in(text, "item", f"--{option}") for option, text in given if text is not None}


def ids_in(text: str, role: str, option: str) -> pl.Series:
    """The ids that an option names: those in a file of that name, or between commas and line breaks.

    Raises ConfigurationError where there is none.
    """
    file = expanded(text) if text.startswith("~/") else Path(text)  # an id may begin with ~ as well
    is_file = bool(text) and what_is_at(file) not in (None, A_FOLDER)
    ids = read_ids(file, role) if is_file else pl.Series(ids_between_commas(text), dtype=pl.String)
    if is_file:
        say(f"note: {option}: {counted(len(ids), role)} by the file {text}")
    if not len(ids):
        where = f"{text} holds none" if is_file else f"{text!r} names none"
        raise ConfigurationError(f"{option} takes ids of {role}s, and {where}; give at least one, or a file of them")
    return ids


def ids_between_commas(text: str) -> list[str]:
    """Ids between commas and line breaks; one with a comma, and a user called all, stand in quotes.

    Raises ConfigurationError where a quote is never closed.
    """
    try:
        rows = [*csv.reader(text.splitlines(keepends=True), skipinitialspace=True, strict=False)]
    except csv.Error as error:
        raise ConfigurationError(f"{text[:60]!r} is no list of ids ({error}); give ids between commas") from error
    return [found for row in rows for one in row if (found := one.strip())]


def use_threads(count: int | None) -> None:
    """Compute with that many threads; None leaves torch's own choice."""
    if count is not None:
        torch.set_num_threads(count)


def typed_command() -> str:
    """The command line that this process was started by, for a page that says how it was made."""
    return shlex.join(["nextitem", *sys.argv[1:]])


def make_report(folder: Path, scorer: Scorer) -> None:
    """report.html in the folder of a run that is about to be stored."""
    # Here, because matplotlib takes half a second to import, which only those who want a report should wait.
    from nextitem.report.run.page import report_into

    report_into(folder, scorer)


def stored_run(folder: Path, names: Sequence[str]) -> Run:
    """The run in a folder, the files that an answer will rest on proven; a note tells of others that were altered.

    Raises ArtefactError.
    """
    run = read_run(folder).proven(*names)
    for doubt in run.doubts(*names):
        say(f"note: {doubt}")
    if (refit := run.metrics.refit) is not None:
        say(f"note: {folder} learnt all events of {refit.of} and was not evaluated")
    return run


def write_rejected(file: Path, *rejected: RejectedRows) -> None:
    """A csv of the rows that were left out, with the header alone where there is none. Raises StorageError."""
    with refusals(file, "free space or choose another --rejected"), whole_file(file) as draft:
        write_csv(draft, pl.concat([one.table for one in rejected]))
    say(f"rejected: {counted(sum(map(len, rejected)), 'row')} in {file}")


def checked_engine(engine: str, workers: int | None = None) -> str:
    """`local` or `ray`, as --engine says. Raises ConfigurationError, also for `--workers` of which there are none."""
    if engine not in ("local", "ray"):
        raise ConfigurationError(f"--engine {engine!r}: {suggest(engine, ['local', 'ray'])}")
    if engine == "local" and workers is not None:
        raise ConfigurationError("--workers are those of --engine ray; leave them out, or add it")
    return engine


@contextmanager
def engine_of(engine: str) -> Iterator[Engine]:
    """What makes trainings until the block ends, by the word of `--engine`. Raises ConfigurationError."""
    with ray_engine() if checked_engine(engine) == "ray" else nullcontext(LOCAL) as made_by:
        yield made_by


def spread_of(engine: str, workers: int | None) -> Spread:
    """What does pieces of work, by the words of `--engine` and `--workers`. Raises ConfigurationError."""
    return RayActors(workers) if checked_engine(engine, workers) == "ray" else HERE


def publish_too(folder: Path, address: str, what: str) -> None:
    """Put what is finished to an address too; where that fails, say that it lies in its folder."""
    try:
        published(folder, address)
    except NextitemError:
        say(f"{what} is finished and lies at {folder}; publish it by: nextitem publish {folder} {address}")
        raise
    say(f"published: {without_password(address)}")
