"""The verb `train`: a recipe trained into a run's folder, or planned only."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nextitem.cli.console import Sheet, say, show, show_json, show_table, stderr
from nextitem.cli.options import (
    ColumnNames,
    Data,
    Device,
    EngineName,
    ItemColumns,
    MakeReport,
    OnBadRows,
    StoreUsers,
    Threads,
    Workers,
    checked_engine,
    columns_of,
    device_of,
    item_columns_of,
    make_report,
    publish_too,
    say_if_generated,
    seed_of,
    use_threads,
    with_data,
)
from nextitem.cli.tables import plan_sheet
from nextitem.compute.processes import Alone, AsOneOf, Processes, joined
from nextitem.compute.waiting import silent, told_if_slow
from nextitem.data.prepare import prepare
from nextitem.engine.together import Asked, together
from nextitem.errors import ConfigurationError
from nextitem.evaluation.candidates import Candidates
from nextitem.experiment.folder.means import BesideIt
from nextitem.experiment.folder.metrics import Metrics
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.plan.plan import plan
from nextitem.experiment.presets import Preset, load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import Extras, settle_earlier, train_into
from nextitem.experiment.yardsticks import DECIDING, RULE
from nextitem.settings.given import is_address, place_of
from nextitem.settings.keys import settings_of
from nextitem.settings.overrides import COMMAND_LINE, Resolved
from nextitem.storage.remote import require_address
from nextitem.training.session import Session
from nextitem.training.watchers import open_tracker
from nextitem.training.watchers.progress import watcher
from nextitem.training.watchers.tracked import Told, tracked
from nextitem.training.watchers.tracker import Tracker, results_of
from nextitem.words import CEILING, interval, time_taken

_Recipe = Annotated[str, typer.Argument(help="Name of a built-in recipe, or a .toml file.")]
_Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")]
_Out = Annotated[
    str,
    typer.Option(
        parser=place_of,
        metavar="PATH|URL",
        help="Folder in which the run's folder appears, or an address (s3://bucket/runs): then in ./runs, and there.",
    ),
]
_Seed = Annotated[int, seed_of("weights, order, masks, negatives and dropout")]
_Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted training of the same recipe and seed.")
]
_Fresh = Annotated[bool, typer.Option("--fresh", help="Discard an interrupted training and start anew.")]
_Users = StoreUsers
_Report = MakeReport
_Baselines = Annotated[
    bool, typer.Option(help="Rank what only counts on the same test cases, and compare the model with it.")
]
_Candidates = Annotated[
    str | None, typer.Option(help="Also rank test targets among drawn items: popularity:100 or uniform:100.")
]
_AsJson = Annotated[
    bool, typer.Option("--json", help="Print the metrics (or the plan, or the settings) as one JSON object.")
]
_Tracker = Annotated[
    list[str] | None,
    typer.Option(help="Also tell tensorboard[:FOLDER], mlflow[:URI] or clearml[:PROJECT]; may be given again."),
]
_PrintConfig = Annotated[bool, typer.Option(help="Print every setting with its source, and stop.")]
_PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Predict memory and seconds per epoch on this machine, and stop.")
]


def train(
    recipe: _Recipe,
    overrides: _Overrides = None,
    data: Data = None,
    columns: ColumnNames = "",
    on_bad_rows: OnBadRows = None,
    item_columns: ItemColumns = "",
    out: _Out = "runs",
    seed: _Seed = 0,
    resume: _Resume = False,
    fresh: _Fresh = False,
    device: Device = "auto",
    threads: Threads = None,
    users: _Users = True,
    report: _Report = True,
    baselines: _Baselines = True,
    candidates: _Candidates = None,
    as_json: _AsJson = False,
    tracker: _Tracker = None,
    engine: EngineName = "local",
    workers: Workers = None,
    print_config: _PrintConfig = False,
    plan_only: _PlanOnly = False,
) -> None:
    """Train a recipe, evaluate it on the test cases and store the run."""
    began = time.monotonic()
    preset = load_preset(recipe)
    of_files = (columns_of(columns, on_bad_rows), item_columns_of(item_columns))
    resolved = resolve_recipe(preset, with_data(overrides or [], data), *of_files)
    if print_config:
        _print_config(resolved.value, resolved.sources, as_json=as_json)
        return
    say_if_generated(resolved)
    extras = _checked(Extras(users, make_report if report else None, candidates, baselines), resolved.value)
    use_threads(threads)
    place = Path("runs" if is_address(out) else out)
    if is_address(out) and not plan_only:
        require_address(out)  # before hours of training
    training = _Training(Workplace.of(place, resolved.value, seed), resolved.value, extras, tuple(tracker or ()))
    training.trackers()  # what is misspelt is refused before anything is discarded
    if checked_engine(engine, workers) == "ray":
        cluster = Asked(workers, device_of(device), threads or 1)
        if plan_only:
            _show_plan(resolved.value, seed, AsOneOf(workers or 1, cluster.device), as_json=as_json)
            return
        _settle(training.workplace, Alone(cluster.device), resume=resume, fresh=fresh)
        folder, metrics = together(training, cluster, training.workplace.beside("ray"))
    else:
        with joined(device_of(device)) as processes:
            if plan_only:
                _show_plan(resolved.value, seed, processes, as_json=as_json)
                return
            _settle(training.workplace, processes, resume=resume, fresh=fresh)
            folder, metrics = training(processes)
    if folder is not None and is_address(out):
        publish_too(folder, f"{out.rstrip('/')}/{folder.name}", "the run")
    if folder is not None and as_json:
        say(f"run: {folder}")
        show_json(metrics.as_dict())
    elif folder is not None:
        _tell(preset, resolved, metrics, time.monotonic() - began, folder)


def _settle(workplace: Workplace, processes: Processes, *, resume: bool, fresh: bool) -> None:
    """What becomes of an earlier training, which the first process decides and the others wait for."""
    if processes.rank == 0:
        has_earlier = settle_earlier(workplace, processes.device, resume=resume, fresh=fresh)
        if resume and not has_earlier:
            say(f"nothing to resume at {workplace.checkpoint}: starting at epoch 1")
    processes.wait()


def _tell(preset: Preset, resolved: Resolved[Recipe], metrics: Metrics, seconds: float, folder: Path) -> None:
    """What a training reached, beside what was published and what only counts, and where it is."""
    is_preset = all(label != COMMAND_LINE or key == "data" for key, label in resolved.sources.items())
    published = preset.published.get(resolved.value.data, {}) if is_preset else {}
    show_table(_summary(resolved.value, metrics, published, seconds))
    if metrics.baselines:
        show_table(_beside(metrics, metrics.baselines))
    show(f"run: {folder}")


def _checked(extras: Extras, recipe: Recipe) -> Extras:
    """The same. Raises ConfigurationError before hours of training for what could not be had after them."""
    if extras.candidates is not None:
        Candidates.parse(extras.candidates)
    if not extras.users and recipe.learner.has_users:
        raise ConfigurationError(
            f"a run of {recipe.learner.parts[0]} can answer the users it knows only, and --no-users would leave them "
            "out; leave --no-users out, or set encoder.user_vectors=false where there is that setting, or take another "
            "encoder"
        )
    if not extras.users and recipe.learner.reads_users:
        raise ConfigurationError(
            "a run with prefix=users holds what is known of its users, and --no-users would leave out whose that is; "
            "leave --no-users out, or set prefix=none"
        )
    return extras


@dataclass(frozen=True)
class _Training:
    """A training with a display and trackers, as each of the processes that do it together is told of it."""

    workplace: Workplace
    recipe: Recipe
    extras: Extras
    tracked_by: tuple[str, ...]

    def trackers(self) -> list[Tracker]:
        """Those that were asked for. Raises ConfigurationError."""
        return [open_tracker(asked, self.workplace.root / ".tensorboard") for asked in self.tracked_by]

    def __call__(self, processes: Processes) -> tuple[Path | None, Metrics]:
        """The run's folder, of several processes at the first one alone, and its metrics."""
        recipe, seed, is_first = self.recipe, self.workplace.seed, processes.rank == 0
        tell = say if is_first else silent
        title = f"{recipe.name} on {recipe.data}, {recipe.split.describe().lower()} split, seed {seed}, {processes}"
        display = watcher(stderr if is_first else Console(quiet=True), recipe.learner.training, title)
        settings = {**settings_of(recipe), "seed": seed}
        try:
            trackers = self.trackers() if is_first else []
            with tracked(trackers, f"{self.workplace.name}-seed{seed}", settings, tell) as guarded:
                session = Session(seed, processes, Told([display, *guarded]))
                folder, metrics = train_into(self.workplace, recipe, session, tell, self.extras)
                for tracker in guarded:
                    tracker.finish(results_of(metrics.as_dict()))
        finally:
            display.close()
        return folder, metrics


def _show_plan(recipe: Recipe, seed: int, processes: Processes, *, as_json: bool) -> None:
    """What a training would take; one of several processes speaks, and the others wait for it."""
    if processes.rank == 0:
        with told_if_slow(f"planning {recipe.name} on {recipe.data}", say):
            planned = plan(recipe, prepare(recipe), Session(seed, processes))
        if as_json:
            show_json(planned.as_dict())
        else:
            show_table(plan_sheet(planned))
            show(f"plan: {planned}")
    processes.wait()


def _print_config(recipe: Recipe, sources: Mapping[str, str], *, as_json: bool) -> None:
    """Every setting as `key = value  # source`; of no value the word that is typed for it."""
    if as_json:
        show_json({key: {"value": value, "source": sources[key]} for key, value in settings_of(recipe).items()})
        return
    for key, value in settings_of(recipe).items():
        show(f"{key} = {'none' if value is None else json.dumps(value)}  # {sources[key]}")


def _summary(recipe: Recipe, metrics: Metrics, published: Mapping[str, float], seconds: float) -> Sheet:
    """Validation and test values, beside published ones of the same recipe on the same data where there are any.

    `seconds` is what all of it took, with reading, planning, ranking and the report.
    """
    title = f"{recipe.name} on {recipe.data}: {metrics.certificate.asked}, full catalogue"
    columns = ("metric", "validation", "test", "95 % interval", *(["published"] if published else []))
    table = Sheet(title, columns, left=("metric",))
    for metric in metrics.certificate.metrics:
        cells = [
            metric,
            f"{metrics.validation.means[metric]:.4f}",
            f"{metrics.test.means[metric]:.4f}",
            interval(metrics.test.intervals[metric]),
        ]
        if published:
            cells.append(f"{published[metric]:.4f}" if metric in published else "")
        table.add(*cells)
    table.section()
    ceilings = [f"{part.ceiling:.4f}" for part in (metrics.validation, metrics.test)]
    table.add("ceiling", *ceilings, *[""] * (len(columns) - 3))
    kept = f"{recipe.learner.training.kept_epoch} epoch {metrics.best_epoch} of {metrics.epochs}, "
    epochs = kept if metrics.epochs else ""
    what = "training" if metrics.parameters else "counting"
    table.caption = f"{epochs}{time_taken(metrics.train_seconds)} of {what}, {time_taken(seconds)} in all. {CEILING}"
    return table


def _beside(metrics: Metrics, baselines: Mapping[str, BesideIt]) -> Sheet:
    """What only counts on the same test cases, and by how much the model is above it."""
    shown = [metric for metric in (DECIDING, "hit_rate@10") if metric in metrics.certificate.metrics]
    columns = ("baseline", *shown, f"model's difference in {DECIDING}", "95 % interval", "p")
    table = Sheet("counting alone, on the same test cases", columns, left=("baseline",))
    for name, found in baselines.items():
        compared = found.differences[DECIDING]
        table.add(
            name.replace("_", "-"),
            *(f"{found.means[metric]:.4f}" for metric in shown),
            f"{compared.value:+.4f}",
            interval(compared.interval, "+.4f"),
            f"{compared.corrected_p:.2g}",
        )
    table.caption = f"{metrics.verdict} {RULE}" if metrics.verdict else RULE
    return table
