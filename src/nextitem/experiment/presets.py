"""Recipes that come with the package or from a TOML file, and what is said beside their settings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from nextitem.data.features.columns import FeatureColumns
from nextitem.data.reading.columns import Columns
from nextitem.errors import ConfigurationError, StorageError
from nextitem.experiment.own import known_encoders, register_installed
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.search_space import Search, SearchSpace
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.losses import AnyLoss
from nextitem.model.losses.loss import LossConfiguration
from nextitem.settings.annotations import choices
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import expanded, path_of, texts
from nextitem.settings.keys import meant_key, settings_of, short_key
from nextitem.settings.overrides import COMMAND_LINE, Resolved, parse_override, resolve
from nextitem.settings.suggestion import suggest
from nextitem.settings.written import load_toml
from nextitem.storage.places import is_file


class _About(Configuration):
    summary: str = ""
    source: str = ""


class _Surroundings(Configuration):
    """What a recipe file says beside its settings."""

    about: _About = _About()
    same_as: str = ""
    sources: dict[str, str] = Field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict)
    published: dict[str, dict[str, int | float]] = Field(default_factory=dict)
    search: dict[str, Search] = Field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A recipe file as it was found: the settings, and what is said about them."""

    name: str
    summary: str
    source: str
    sources: Mapping[str, str]
    """Where values come from: dotted path in the file (`encoder.dim`, `profiles.ml-1m`) to words; a path counts for all
    that is below it, unless a longer one says otherwise."""
    settings: Mapping[str, Any]
    profiles: Mapping[str, Mapping[str, Any]]
    """Settings that go with a dataset, by its name."""
    published: Mapping[str, Mapping[str, float]]
    """Published values per dataset: metric to value."""
    search: SearchSpace
    """What `nextitem tune` varies: dotted key to values."""

    def source_of(self, path: str) -> str | None:
        """Where the value at a dotted path of the file comes from; None where the file does not say."""
        while path not in self.sources and "." in path:
            path = path.rpartition(".")[0]
        return self.sources.get(path)


def load_recipe(recipe: str | Path, *overrides: str) -> Recipe:
    """A recipe that comes with the package, by name, or one from a .toml file; `overrides` as on the command line.

    `load_recipe("sasrec-ce", "data=ml-1m", "encoder.dim=128")` has the recipe's own settings for that data. Raises
    ConfigurationError for an unknown name and for settings that the recipe does not have or that do not go together.
    """
    return resolve_recipe(load_preset(recipe), texts(overrides, "overrides")).value


def preset_names() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in (files("nextitem.experiment") / "recipes").iterdir()
        if _is_toml(entry)
    )


def _is_toml(entry: Any) -> bool:
    return str(entry.name).endswith(".toml")


def load_preset(recipe: str | Path, others: tuple[str, ...] = ()) -> Preset:
    """A recipe by name, or from a TOML file; `others` are the same as it. Raises ConfigurationError for none."""
    recipe = recipe if isinstance(recipe, str) else str(path_of(recipe, "recipe"))
    if recipe in others:
        circle = ", which is the same as ".join((*others[others.index(recipe) :], recipe))
        raise ConfigurationError(f"there is no recipe in {circle}: write out the settings in one of them")
    text, name = _read(recipe)
    tree = load_toml(text, recipe)
    beside = {key: value for key, value in tree.items() if key in _Surroundings.model_fields}
    said = resolve(_Surroundings, [(f"recipe {name}", beside)]).value
    settings = {key: value for key, value in tree.items() if key not in beside}
    if said.same_as:
        return _same(name, said, settings, (*others, recipe))
    return Preset(
        name, said.about.summary, said.about.source, said.sources, {"name": name, **settings}, said.profiles,
        said.published, said.search,
    )  # fmt: skip


def _same(name: str, said: _Surroundings, settings: Mapping[str, object], others: tuple[str, ...]) -> Preset:
    """Another name for a recipe."""
    if settings or said.sources or said.profiles or said.published or said.search:
        raise ConfigurationError(
            f"recipe {name} is the same as {said.same_as}, beside which it can say [about] and nothing else; leave out "
            f"same_as and write out all settings, or leave these out"
        )
    other = load_preset(said.same_as, others)
    about = said.about
    return replace(
        other,
        name=name,
        summary=about.summary or other.summary,
        source=about.source or other.source,
        settings={**other.settings, "name": name},
    )


def recipe_text(recipe: str) -> str:
    """The file of a recipe by name or path; of another name for one, that one's. Raises ConfigurationError for none."""
    text, name = _read(recipe)
    other = load_toml(text, recipe).get("same_as")
    if not other:
        return text
    load_preset(recipe)  # refuses what is the same as itself
    return f"# {name} is another name for {other}:\n\n{recipe_text(str(other))}"


def _read(recipe: str) -> tuple[str, str]:
    """The text of a recipe and its name."""
    if recipe.endswith(".toml"):
        file = expanded(recipe)
        if not is_file(file):
            raise ConfigurationError(
                f"there is no recipe file {recipe}; a name without .toml is one of the built-in ones"
            )
        try:
            return file.read_text(encoding="utf-8"), file.stem
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{recipe} is not text in UTF-8 ({error}); save it as UTF-8") from error
        except OSError as error:
            raise StorageError(f"cannot read {recipe}: {error}; correct its permissions") from error
    if recipe not in preset_names():
        raise ConfigurationError(f"there is no recipe '{recipe}'; {suggest(recipe, preset_names())}, or a .toml file")
    return (files("nextitem.experiment") / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8"), recipe


def resolve_recipe(
    preset: Preset,
    overrides: Sequence[str] = (),
    columns: Columns | None = None,
    item_columns: FeatureColumns | None = None,
) -> Resolved[Recipe]:
    """The recipe with its profile for the chosen data and the overrides; command line > profile > recipe > default.

    `columns` and `item_columns` are those of the options --columns and --item-columns. Raises ConfigurationError where
    overrides name such columns as well.
    """
    register_installed()
    options = {("columns",): ("--columns", columns), ("features", "columns"): ("--item-columns", item_columns)}
    data = str(preset.settings.get("data", Recipe.model_fields["data"].default))
    for key, value in (parse_override(override) for override in overrides):
        data = str(value) if key == ("data",) else data
        for table, (option, given) in options.items():
            if given is not None and key[: len(table)] == table:
                raise ConfigurationError(f"columns are named by {option} and by {'.'.join(key)}=…: give one of the two")
    layers: list[tuple[str, Mapping[str, object]]] = [(f"recipe {preset.name}", preset.settings)]
    if data in preset.profiles:
        layers.append((f"profile {data} of {preset.name}", preset.profiles[data]))
    # Layers and not overrides: those are read as TOML, and a column called 007 or "x" would become another.
    if columns is not None:
        layers.append(("--columns", {"columns": columns.model_dump(exclude_unset=True)}))
    if item_columns is not None:
        layers.append(("--item-columns", {"features": {"columns": item_columns.model_dump(exclude_unset=True)}}))
    return resolve(Recipe, layers, overrides, _settled)


def overrides_of_each(recipes: Sequence[str], overrides: Sequence[str]) -> list[list[str]]:
    """For each of several recipes those of the overrides that are meant for it; raises as `load_preset`.

    Beside a baseline, `training.epochs=3` is meant for the models that are trained. What no recipe has a part for is
    left to all, which refuse it.
    """
    parts = [_parts(load_preset(recipe), overrides) for recipe in recipes]
    shared = [text for text in overrides if not any(_section(text) in own for own in parts)]
    return [[text for text in overrides if text in shared or _section(text) in own] for own in parts]


def _section(override: str) -> str:
    """The first word of an override's key, where that is a part's."""
    key, _, value = override.partition("=")
    return short_key(Recipe, ".".join(meant_key(Recipe, tuple(key.split(".")), value))).partition(".")[0]


def _parts(preset: Preset, overrides: Sequence[str]) -> set[str]:
    """The parts of the model that is chosen."""
    chosen = [text for text in overrides if text.partition("=")[0] in ("model", "model.name")]
    return {*type(resolve_recipe(preset, chosen).value.model).model_fields} & Recipe.short_keys.keys()


def _settled(tree: dict[str, object], sources: Mapping[str, str]) -> dict[str, object]:
    """The tree with what follows from one part of a sequence model for another."""
    parts = tree["model"]
    if not isinstance(parts, dict) or parts.get("name") != SequenceRecipe().name:
        return tree
    return {**tree, "model": _with_items_of_encoder(_drop_unused_negatives(parts, sources), sources)}


def _with_items_of_encoder(tree: dict[str, object], sources: Mapping[str, str]) -> dict[str, object]:
    """Where nobody names the items, or names those of an encoder that the command line swapped: the encoder's own.

    Single settings of theirs that were asked for (`items.bias=true`) are laid on them.
    """
    is_swapped, named_by = sources.get("encoder.name") == COMMAND_LINE, sources.get("items.name")
    encoder, items = tree["encoder"], tree["items"]
    if named_by == COMMAND_LINE or (named_by and not is_swapped):
        return tree
    if not isinstance(encoder, dict) or not isinstance(items, dict):
        return tree
    chosen = known_encoders()[str(encoder["name"])]
    asked = {
        key: value
        for key, value in items.items()
        if (label := sources.get(f"items.{key}")) and (label == COMMAND_LINE or not is_swapped)
    }
    return {**tree, "items": chosen.default_items.model_dump(mode="json") | asked}


def _drop_unused_negatives(tree: dict[str, object], sources: Mapping[str, str]) -> dict[str, object]:
    """Swapping to a loss over the whole catalogue drops a recipe's negatives, unless they were asked for by hand.

    A recipe that chooses such a loss itself and states negatives contradicts itself: that is left for validation.
    """
    loss = tree["loss"]
    if not isinstance(loss, dict):
        return tree
    chosen = cast("type[LossConfiguration]", choices(AnyLoss)[str(loss["name"])])
    is_swapped = sources.get("loss.name") == COMMAND_LINE
    asked = any(key.startswith("negatives") and label == COMMAND_LINE for key, label in sources.items())
    is_unused = is_swapped and not asked and not chosen.needs_negatives
    return {**tree, "negatives": None} if is_unused else tree


def as_toml(recipe: Recipe) -> str:
    """The recipe as a file that `load_preset` reads: every setting, as `key = value`."""
    settings = settings_of(recipe)
    # What JSON writes of text, numbers and lists of them is TOML too.
    lines = {key: json.dumps(value, ensure_ascii=False) for key, value in settings.items() if value is not None}
    said = load_toml(_as_lines(lines), "the recipe")
    loaded = settings_of(resolve(Recipe, [("the recipe", said)]).value)
    # TOML has no word for nothing, and a text would take ours for a text: it is said only where it must be.
    nothing = [key for key, value in settings.items() if value is None and loaded.get(key) is not None]
    return _as_lines(lines | dict.fromkeys(nothing, '"none"'))


def _as_lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in settings.items() if key != "name")
