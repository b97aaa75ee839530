"""The verb `tune`: better settings for recipes, found by validation alone and at equal budgets."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import Sheet, say, show, show_json, show_table, stderr
from nextitem.cli.options import AsJson, Device, Threads, device_of, path_to, seed_of, use_threads
from nextitem.compute.processes import Alone
from nextitem.errors import ConfigurationError
from nextitem.experiment.presets import as_toml, load_preset, overrides_of_each, resolve_recipe
from nextitem.experiment.search_space import SearchSpace, parse_searches
from nextitem.storage import refusals, whole_file, write_text
from nextitem.studies.tuning import Trial, Tuned
from nextitem.studies.tuning import tune as search
from nextitem.training.watchers.progress import watcher
from nextitem.words import MOST_OF_A_NAME, epoch_of, shortened

_SHOWN = 5


def tune(
    recipes: Annotated[
        list[str], typer.Argument(metavar="RECIPE... [KEY=VALUE]...", help="Recipes, and settings of all of them.")
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUES", help="What varies, instead of what the recipe declares; may be repeated."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials of each recipe; a search that is there counts.")] = 20,
    out: Annotated[Path, path_to("Folder of the searches; one that is there goes on.")] = Path("tuning"),
    seed: Annotated[int, seed_of("the search and of every training")] = 0,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Search settings by validation; every recipe gets equally many trials, and leaves its best as best.toml."""
    names = [argument for argument in recipes if "=" not in argument]
    overrides = [argument for argument in recipes if "=" in argument]
    if not names:
        raise ConfigurationError(f"{' '.join(recipes)} names no recipe; write nextitem tune RECIPE key=value")
    use_threads(threads)
    processes = Alone(device_of(device))
    searches: dict[str, Tuned] = {}
    for name, own in zip(names, overrides_of_each(names, overrides), strict=True):
        preset = load_preset(name)
        recipe = resolve_recipe(preset, own).value
        called = shortened(Path(f"{recipe.name}-{Path(recipe.data).name}").name, MOST_OF_A_NAME)
        folder = out / f"{called}-seed{seed}"

        def tell(trial: Trial, title: str = recipe.name) -> None:
            say(f"{title}, trial {trial.number} of {trials}: {_described(trial)}")

        tuned = search(
            preset, own, parse_searches(vary) if vary else _left_open(preset.search, own),
            trials=trials, seed=seed, folder=folder, on_trial=tell, processes=processes,
            watch=lambda recipe, number: watcher(stderr, recipe.learner.training, f"{recipe.name}, trial {number}"),
        )  # fmt: skip
        _write_best(folder / "best.toml", as_toml(resolve_recipe(preset, [*own, *tuned.best_overrides]).value))
        searches[str(folder)] = tuned
    if as_json:
        show_json({folder: tuned.as_dict() for folder, tuned in searches.items()})
        return
    show_table(_table(searches))
    for name in searches:
        show(f"best: nextitem train {name}/best.toml")


def _left_open(space: SearchSpace, overrides: list[str]) -> SearchSpace:
    """What a recipe declares, without what the command line fixes."""
    fixed = {override.partition("=")[0] for override in overrides}
    return {key: search for key, search in space.items() if key not in fixed}


def _described(trial: Trial) -> str:
    value = "" if trial.value is None else f" {trial.value:.4f}"
    reason = "" if trial.error is None else f" ({trial.error})"
    return f"{trial.outcome}{value} after {trial.epochs} epochs: {_settings(trial)}{reason}"


def _settings(trial: Trial) -> str:
    written = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in trial.settings.items()}
    return ", ".join(f"{key}={value}" for key, value in written.items())


def _write_best(file: Path, text: str) -> None:
    with refusals(file), whole_file(file) as draft:
        write_text(draft, text)


def _table(searches: dict[str, Tuned]) -> Sheet:
    """The best trials of each search, and its budget."""
    title = "Best validation values (no test case was looked at)"
    table = Sheet(title, ("recipe", "validation", "best epoch", "settings"), left=("recipe", "settings"))
    for tuned in searches.values():
        table.section()
        complete = sorted(
            (trial for trial in tuned.trials if trial.outcome == "complete"), key=lambda trial: -(trial.value or 0.0)
        )
        for trial in complete[:_SHOWN]:
            epoch = epoch_of(trial.best_epoch, trial.epochs)
            table.add(tuned.recipe, f"{trial.value:.4f}", epoch, _settings(trial))
    counts = [
        f"{tuned.recipe}: {len(tuned.trials)} trials ({tuned.count('pruned')} pruned, {tuned.count('failed')} failed), "
        f"{tuned.epochs} epochs, {tuned.seconds:.0f} s"
        for tuned in searches.values()
    ]
    table.caption = "\n".join(counts)
    return table
