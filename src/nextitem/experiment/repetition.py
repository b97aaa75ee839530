"""The command that repeats a run, from its recipe alone; and what tells runs of one recipe apart."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic_core import to_jsonable_python

from nextitem.experiment.combined import Blend, Ensemble
from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.settings.annotations import model_names
from nextitem.settings.configuration import Configuration, default_tree
from nextitem.settings.keys import short_key
from nextitem.settings.written import as_toml, joined

_FALLBACK = "sasrec-ce"  # what a recipe of the user's own is written as a change of


def repeating_overrides(recipe: Recipe) -> tuple[str, list[str]]:
    """A built-in recipe, and the `key=value` that make it this one: few where it is one of the built-in ones."""
    preset = recipe.name if recipe.name in preset_names() else _FALLBACK
    data = f"data={recipe.data}"
    start = resolve_recipe(load_preset(preset), [data]).value
    ours, theirs = recipe.model_dump(mode="json"), start.model_dump(mode="json")
    if recipe.learner.parts[0] != start.learner.parts[0] and "items" in ours["model"]:
        theirs["model"]["items"] = recipe.sequence.encoder.default_items.model_dump(mode="json")
    return preset, [data, *_changes("", recipe, ours, theirs)]


def repeating_command(recipe: Recipe, seed: int) -> str:
    """What to type to train this recipe with this seed again."""
    preset, overrides = repeating_overrides(recipe)
    words = [word for word in overrides if word != "data=synthetic"]
    return shlex.join(["nextitem", "train", preset, *words, *(["--seed", str(seed)] if seed else [])])


def unchanged_preset(recipe: Recipe) -> str | None:
    """The built-in recipe that this one is, if nothing was changed but the data and what only rounds otherwise.

    Only then do published values belong beside a run.
    """
    preset, overrides = repeating_overrides(recipe)
    free = ("data=", "loss.block_rows=", "loss.tile_items=")
    return preset if recipe.name == preset and all(word.startswith(free) for word in overrides) else None


class Remade(Protocol):
    """A run that is made again."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def seed(self) -> int: ...

    @property
    def metrics(self) -> Any: ...


class Repeatable(Protocol):
    """A run on disk, as far as it is told apart from others."""

    @property
    def folder(self) -> Path: ...

    @property
    def recipe(self) -> Recipe: ...

    @property
    def seed(self) -> int: ...


def told_apart(labels: Sequence[str], runs: Sequence[Repeatable]) -> list[str]:
    """The labels; where several runs share one, with what distinguishes them: settings, seed, at last the folder."""
    found = list(labels)
    for further in (_settings, _seed, lambda run: run.folder.name):
        if len(set(found)) == len(found):
            break
        same = [found.count(label) > 1 for label in found]
        added = [further(run) for run in runs]
        found = [
            f"{label}, {text}" if is_same and text and len(set(added)) > 1 else label
            for label, is_same, text in zip(found, same, added, strict=True)
        ]
    return found


def _settings(run: Repeatable) -> str:
    # Members of an ensemble would fill a page; who has those alone in which it differs is told apart by its folder.
    typed = [text for text in repeating_overrides(run.recipe)[1] if ".members=" not in text]
    changed = [text for text in typed if not text.startswith(("data=", "name="))]
    return " ".join(changed)


def _seed(run: Repeatable) -> str:
    return f"seed {run.seed}"


def _changes(key: str, setting: object, ours: Any, theirs: Any) -> Iterator[str]:
    """The overrides that turn the setting at a key from `theirs` into `ours`, which are as JSON has them."""
    if not isinstance(setting, Configuration):
        if ours != theirs:
            yield f"{key}={_written(_brief(setting))}"
        return
    is_choice = bool(model_names(type(setting)))
    if is_choice and (theirs is None or theirs["name"] != ours["name"]):  # it starts from its own defaults
        yield f"{key}={ours['name']}"
        theirs = default_tree(type(setting))
    theirs = default_tree(type(setting)) if theirs is None else theirs
    for field, value in setting:
        if field != "name" or not is_choice:
            yield from _changes(short_key(Recipe, joined(key, field)), value, ours[field], theirs.get(field))


def _brief(setting: object) -> Any:
    """A setting as JSON has it; of configurations in a list only what is not their default."""
    if isinstance(setting, tuple):
        return [_brief(one) for one in setting]
    if not isinstance(setting, Configuration):
        return to_jsonable_python(setting)
    said, fields = dict[str, Any](), type(setting).model_fields
    for name, value in setting:
        # What goes with an encoder is no default of its own, and by its name a part is chosen.
        if name == "name" or fields[name].default_factory is not None or value != fields[name].default:
            said[name] = _brief(value)
    return said


def remaking_command(run: Remade) -> str:
    """What to type to make a run again: of those that it was made of or refit from, in their folder, or to train it."""
    made_of, chosen_by, model = run.metrics.made_of, run.metrics.chosen_by, run.recipe.model
    if chosen_by is not None:
        return shlex.join(["nextitem", "refit", chosen_by.run, "--keep-test"])
    if made_of is None:
        return repeating_command(run.recipe, run.seed)
    own_name: str = model.name
    words = ["nextitem", model.name, *(one.run for one in made_of)]
    if isinstance(model, Blend):
        own_name = f"{made_of[0].recipe}-blend"
        words += _options(model, ("co_occurrence", "decay", "last", "window", "recent", "days"))
    elif isinstance(model, Ensemble):
        words += _options(model, ("average",))
    return shlex.join([*words, *([] if run.recipe.name == own_name else ["--name", run.recipe.name])])


def _options(model: Configuration, names: Sequence[str]) -> list[str]:
    """Settings that are not the default, as options of the verb that makes such a model."""
    words = list[str]()
    for name in names:
        value = getattr(model, name)
        if value != type(model).model_fields[name].default:
            typed = ",".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)
            words += [f"--{name.replace('_', '-')}", typed]
    return words


def _written(value: object) -> str:
    """A value as the command line takes it."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else as_toml(value)
