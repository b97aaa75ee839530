"""The verb `tune`: better settings for recipes, found by validation alone and at equal budgets."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import Sheet, say, show, show_json, show_table, stderr
from nextitem.cli.options import (
    AsJson,
    ColumnNames,
    Data,
    Device,
    EngineName,
    ItemColumns,
    Threads,
    checked_engine,
    column_overrides,
    device_of,
    item_column_overrides,
    path_to,
    say_if_generated,
    seed_of,
    use_threads,
    with_data,
)
from nextitem.compute.processes import Alone, Processes
from nextitem.compute.spread import HERE
from nextitem.engine.tasks import RayTasks
from nextitem.errors import ConfigurationError
from nextitem.experiment.presets import Preset, as_toml, load_preset, overrides_of_each, resolve_recipe
from nextitem.experiment.search_space import SearchSpace, parse_searches
from nextitem.storage import refusals, whole_file, write_text
from nextitem.studies.search import Trial
from nextitem.studies.tuning import Tuned, checked_space
from nextitem.studies.tuning import tune as search
from nextitem.training.watchers.progress import watcher
from nextitem.words import MOST_OF_A_NAME, counted, epoch_of, shortened, time_taken

_SHOWN = 5


@dataclass(frozen=True)
class _Search:
    """One recipe's part of what is asked for."""

    preset: Preset
    overrides: list[str]
    space: SearchSpace
    folder: Path


def tune(
    recipes: Annotated[
        list[str], typer.Argument(metavar="RECIPE... [KEY=VALUE]...", help="Recipes, and settings of all of them.")
    ],
    data: Data = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUES", help="What varies, instead of what the recipe declares; may be repeated."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials of each recipe; a search that is there counts.")] = 20,
    columns: ColumnNames = "",
    item_columns: ItemColumns = "",
    out: Annotated[Path, path_to("Folder of the searches; one that is there goes on.")] = Path("tuning"),
    seed: Annotated[int, seed_of("the search and of every training")] = 0,
    device: Device = "auto",
    threads: Threads = None,
    engine: EngineName = "local",
    as_json: AsJson = False,
) -> None:
    """Search settings by validation; every recipe gets equally many trials, and leaves its best as best.toml."""
    names = [argument for argument in recipes if "=" not in argument]
    overrides = with_data([argument for argument in recipes if "=" in argument], data)
    if not names:
        raise ConfigurationError(f"{' '.join(recipes)} names no recipe; write nextitem tune RECIPE key=value")
    use_threads(threads)
    processes, space = Alone(device_of(device)), parse_searches(vary) if vary else None
    each = zip(names, overrides_of_each(names, overrides), strict=True)
    of_columns = [*column_overrides(columns), *item_column_overrides(item_columns)]
    asked = [_search_of(name, [*own, *of_columns], space, out, seed) for name, own in each]
    spread = RayTasks(threads=threads or 1) if checked_engine(engine) == "ray" else HERE
    searched = partial(_searched, trials=trials, seed=seed, processes=processes)
    by_folder = {str(one.folder): tuned for one, tuned in spread.over(searched, asked)}
    found = {str(one.folder): by_folder[str(one.folder)] for one in asked}
    if as_json:
        show_json({folder: tuned.as_dict() for folder, tuned in found.items()})
        return
    show_table(_table(found))
    for folder in found:
        show(f"best: nextitem train {folder}/best.toml")


def _search_of(name: str, overrides: list[str], space: SearchSpace | None, out: Path, seed: int) -> _Search:
    """What is to be searched for a recipe; refused before any recipe's first trial if it cannot be."""
    preset = load_preset(name)
    resolved = resolve_recipe(preset, overrides)
    say_if_generated(resolved)
    space = checked_space(preset, overrides, _left_open(preset.search, overrides) if space is None else space)
    called = shortened(Path(f"{resolved.value.name}-{Path(resolved.value.data).name}").name, MOST_OF_A_NAME)
    return _Search(preset, overrides, space, out / f"{called}-seed{seed}")


def _searched(asked: _Search, trials: int, seed: int, processes: Processes) -> Tuned:
    """The search of one recipe, with its best settings as a file."""
    preset, overrides, name = asked.preset, asked.overrides, asked.preset.name

    def tell(trial: Trial) -> None:
        say(f"{name}, trial {trial.number} of {trials}: {_described(trial)}")

    tuned = search(
        preset, overrides, asked.space, trials=trials, seed=seed, folder=asked.folder, on_trial=tell,
        processes=processes, say=say,
        watch=lambda recipe, number: watcher(stderr, recipe.learner.training, f"{recipe.name}, trial {number}"),
    )  # fmt: skip
    _write_best(asked.folder / "best.toml", as_toml(resolve_recipe(preset, [*overrides, *tuned.best_overrides]).value))
    return tuned


def _left_open(space: SearchSpace, overrides: list[str]) -> SearchSpace:
    """What a recipe declares, without what the command line fixes."""
    fixed = {override.partition("=")[0] for override in overrides}
    return {key: search for key, search in space.items() if key not in fixed}


def _described(trial: Trial) -> str:
    value = "" if trial.value is None else f" {trial.value:.4f}"
    reason = "" if trial.error is None else f" ({trial.error})"
    return f"{trial.outcome}{value} after {counted(trial.epochs, 'epoch')}: {_settings(trial)}{reason}"


def _settings(trial: Trial) -> str:
    written = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in trial.settings.items()}
    return ", ".join(f"{key}={value}" for key, value in written.items())


def _write_best(file: Path, text: str) -> None:
    with refusals(file), whole_file(file) as draft:
        write_text(draft, text)


def _table(searches: dict[str, Tuned]) -> Sheet:
    """The best trials of each search, and its budget."""
    title = "Best validation values (no test case was looked at)"
    table = Sheet(
        title, ("recipe", "validation", "best epoch", "settings"), left=("recipe", "settings"), prose=("settings",)
    )
    for tuned in searches.values():
        table.section()
        complete = sorted(
            (trial for trial in tuned.trials if trial.outcome == "complete"), key=lambda trial: -(trial.value or 0.0)
        )
        for trial in complete[:_SHOWN]:
            epoch = epoch_of(trial.best_epoch, trial.epochs)
            table.add(tuned.recipe, f"{trial.value:.4f}", epoch, _settings(trial))
    counts = [
        f"{tuned.recipe}: {counted(len(tuned.trials), 'trial')} ({tuned.count('pruned')} pruned, "
        f"{tuned.count('failed')} failed), {counted(tuned.epochs, 'epoch')}, {time_taken(tuned.seconds)}"
        for tuned in searches.values()
    ]
    table.caption = "\n".join(counts)
    return table
