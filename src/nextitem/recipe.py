"""A recipe: everything that decides a result except the seed. TOML in, JSON out, `key=value` overrides on top."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from nextitem.baselines import AnyBaseline
from nextitem.configuration import Configuration, choices, suggest
from nextitem.encoders import AnyEncoder, SASRec
from nextitem.errors import ConfigurationError, StorageError
from nextitem.losses import AnyLoss, CrossEntropy
from nextitem.negatives import AnyNegatives
from nextitem.objectives import AnyObjective, NextItem
from nextitem.overrides import COMMAND_LINE, Resolved, load_toml, parse_override, resolve
from nextitem.preparing import Preparation
from nextitem.reading import Columns
from nextitem.training import Training


class Recipe(Configuration):
    """One choice from each shelf, with the data and the training that go with it."""

    name: str = Field("unnamed", pattern=r"^[^/\\\x00-\x1f]{1,100}$")
    """What the run is called; part of its folder's name, so without slashes."""
    data: str = "synthetic"
    """A dataset's name (`synthetic`, `ml-1m`, `beauty`), the path of a file of events, or a prepared folder."""
    columns: Columns = Columns()
    """Names of the columns of a file with a header."""
    preparation: Preparation = Preparation()
    """Filters applied before the split."""
    baseline: AnyBaseline | None = None
    """A model that only counts; then the settings below are not used."""
    encoder: AnyEncoder = SASRec()
    """What turns a history into states."""
    objective: AnyObjective = NextItem()
    """What is asked in training."""
    loss: AnyLoss = CrossEntropy()
    """How the answers are judged."""
    negatives: AnyNegatives | None = None
    """Where a sampled loss gets its negatives; none for a loss over the whole catalogue."""
    training: Training = Training()
    """How the weights are found."""

    def in_use(self) -> dict[str, Any]:
        """The settings that matter, as JSON: a baseline uses no encoder, objective, loss, negatives or training."""
        unused = {"encoder", "objective", "loss", "negatives", "training"} if self.baseline is not None else set()
        return self.model_dump(mode="json", exclude=unused)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.baseline is not None:
            return self
        if self.objective.needs_causal and not self.encoder.is_causal:
            raise ValueError(
                f"objective {self.objective.name} needs an encoder that does not look ahead, and {self.encoder.name} "
                f"sees the whole window: the answer would be in the input; use objective=masked_item or encoder=sasrec"
            )
        if self.objective.needs_mask and getattr(self.encoder, "sees_one_item", False):
            raise ValueError(
                f"objective {self.objective.name} hides items, and {self.encoder.name} sees no item but the one at "
                f"the position itself; use objective=next_few, or another encoder"
            )
        positions = getattr(self.encoder, "positions", None)  # an encoder need not have a position table
        if positions is not None and self.objective.maximum_length > positions:
            raise ValueError(
                f"objective.maximum_length={self.objective.maximum_length} exceeds the {positions} rows "
                f"of the position table; raise encoder.positions or shorten the windows"
            )
        if self.loss.needs_negatives and self.negatives is None:
            raise ValueError(f"loss {self.loss.name} needs negatives; add negatives=uniform (and negatives.count=…)")
        if not self.loss.needs_negatives and self.negatives is not None:
            raise ValueError(f"loss {self.loss.name} uses the whole catalogue and no negatives; add negatives=none")
        if self.training.item_rows == "touched" and hasattr(self.encoder, "output_width"):
            raise ValueError(
                f"encoder {self.encoder.name} scores items by a table of its own, which training.item_rows=touched "
                f"cannot narrow; set training.item_rows=all"
            )
        if self.training.item_rows == "touched" and not self.loss.needs_negatives:
            raise ValueError(
                f"loss {self.loss.name} moves every row of the item table, so training.item_rows=touched has nothing "
                f"to leave out; set training.item_rows=all, or choose a loss with negatives"
            )
        return self


class _About(Configuration):
    summary: str = ""
    source: str = ""


class _Surroundings(Configuration):
    """What a recipe file says beside its settings."""

    about: _About = _About()
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict)
    published: dict[str, dict[str, int | float]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A recipe file as it was found: the settings, and what is said about them."""

    name: str
    summary: str
    source: str
    settings: Mapping[str, Any]
    profiles: Mapping[str, Mapping[str, Any]]
    """Settings that go with a dataset, by its name."""
    published: Mapping[str, Mapping[str, float]]
    """Published values per dataset: metric to value."""


def preset_names() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in files("nextitem.recipes").iterdir() if _is_toml(entry))


def _is_toml(entry: Any) -> bool:
    return str(entry.name).endswith(".toml")


def load_preset(recipe: str) -> Preset:
    """A recipe by name, or from a TOML file. Raises ConfigurationError where there is none."""
    text, name = _read(recipe)
    tree = load_toml(text, recipe)
    beside = {key: value for key, value in tree.items() if key in _Surroundings.model_fields}
    said = resolve(_Surroundings, [(f"recipe {name}", beside)]).value
    settings = {key: value for key, value in tree.items() if key not in beside}
    return Preset(
        name, said.about.summary, said.about.source, {"name": name, **settings}, said.profiles, said.published
    )


def _read(recipe: str) -> tuple[str, str]:
    """The text of a recipe and its name."""
    if recipe.endswith(".toml"):
        file = Path(recipe)
        if not file.is_file():
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
    return (files("nextitem.recipes") / f"{recipe}.toml").read_text(encoding="utf-8"), recipe


def resolve_recipe(preset: Preset, overrides: Sequence[str] = (), columns: Columns | None = None) -> Resolved[Recipe]:
    """The recipe with its profile for the chosen data and the overrides; command line > profile > recipe > default.

    `columns` are those of the option --columns. Raises ConfigurationError where overrides name columns as well.
    """
    data = str(preset.settings.get("data", Recipe.model_fields["data"].default))
    for key, value in (parse_override(override) for override in overrides):
        data = str(value) if key == ("data",) else data
        if columns is not None and key[0] == "columns":
            raise ConfigurationError(f"columns are named by --columns and by {'.'.join(key)}=…: give one of the two")
    layers: list[tuple[str, Mapping[str, object]]] = [(f"recipe {preset.name}", preset.settings)]
    if data in preset.profiles:
        layers.append((f"profile {data} of {preset.name}", preset.profiles[data]))
    if columns is not None:
        # A layer and not overrides: those are read as TOML, and a column called 007 or "x" would become another.
        layers.append(("--columns", {"columns": columns.model_dump(exclude_none=True)}))
    return resolve(Recipe, layers, overrides, _drop_unused_negatives)


def _drop_unused_negatives(tree: dict[str, object], sources: Mapping[str, str]) -> dict[str, object]:
    """Swapping to a loss over the whole catalogue drops a recipe's negatives, unless they were asked for by hand.

    A recipe that chooses such a loss itself and states negatives contradicts itself: that is left for validation.
    """
    loss = tree["loss"]
    chosen = choices(AnyLoss)[str(loss["name"])] if isinstance(loss, dict) else CrossEntropy
    is_swapped = sources.get("loss.name") == COMMAND_LINE
    asked = any(key.startswith("negatives") and label == COMMAND_LINE for key, label in sources.items())
    is_unused = is_swapped and not asked and not getattr(chosen, "needs_negatives", True)
    return {**tree, "negatives": None} if is_unused else tree
