"""A recipe: everything that decides a result except the seed. TOML in, JSON out, `key=value` overrides on top."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from nextitem.baselines import AnyBaseline
from nextitem.configuration import Configuration, choices, suggest
from nextitem.encoders import AnyEncoder, SASRec
from nextitem.errors import ConfigurationError, StorageError
from nextitem.evaluation import METRICS
from nextitem.losses import AnyLoss, BPRMax, CrossEntropy, TOP1Max
from nextitem.negatives import AnyNegatives, InBatch
from nextitem.objectives import AnyObjective, NextItem
from nextitem.overrides import COMMAND_LINE, Resolved, leaves, load_toml, parse_override, resolve
from nextitem.preparing import Preparation
from nextitem.reading import Columns
from nextitem.search_space import Search, SearchSpace
from nextitem.training import Training


class Recipe(Configuration):
    """One choice from each shelf, with the data and the training that go with it."""

    name: str = Field("unnamed", pattern=r"^[^/\\\x00-\x1f]{1,100}$")
    """What the run is called; part of its folder's name, so without slashes."""
    data: str = "synthetic"
    """A dataset's name (`synthetic`, `ml-1m`, `beauty`, `ml-20m`, `steam`, `yelp`), the path of a file of events, or a
    prepared folder."""
    columns: Columns = Columns()
    """Names of the columns of a file with a header."""
    preparation: Preparation = Preparation()
    """Filters applied before the split."""
    baseline: AnyBaseline | None = None
    """A model that reads no history, or counts; then encoder and objective are not used, and of what follows only what
    it is trained with."""
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
        """The settings that matter, as JSON: a baseline uses no encoder and objective, and few are trained by `fit`."""
        unused = set() if self.baseline is None else {"encoder", "objective"}
        if not self.is_fitted:
            unused |= {"loss", "negatives", "training"}
        return self.model_dump(mode="json", exclude=unused)

    @property
    def is_fitted(self) -> bool:
        """Whether the model is trained by `fit`, with loss, negatives and training of the recipe."""
        return self.baseline is None or self.baseline.made_by == "fit"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        monitor = self.training.monitor
        if monitor not in METRICS:
            raise ValueError(f"training.monitor='{monitor}' is no validation metric; {suggest(monitor, METRICS)}")
        if self.baseline is not None:
            return self._fits_baseline(self.baseline)
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
        window = getattr(self.encoder, "window", 0)  # of places that are always there
        if window > self.objective.maximum_length:
            raise ValueError(
                f"encoder.window={window} reads more places than objective.maximum_length="
                f"{self.objective.maximum_length} fills; raise objective.maximum_length or lower encoder.window"
            )
        if self.loss.needs_negatives and self.negatives is None:
            raise ValueError(f"loss {self.loss.name} needs negatives; add negatives=uniform (and negatives.count=…)")
        if not self.loss.needs_negatives and self.negatives is not None:
            raise ValueError(f"loss {self.loss.name} uses the whole catalogue and no negatives; add negatives=none")
        self._have_something_to_compare()
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

    def _have_something_to_compare(self) -> None:
        """Raises ValueError where the loss could not learn from the negatives."""
        if self.negatives is None:
            return
        if isinstance(self.loss, BPRMax | TOP1Max) and self.negatives.set_size(2) == 1:
            raise ValueError(
                f"loss {self.loss.name} weighs negatives against each other, and one alone (negatives.count=1) has "
                f"nothing to be weighed against; raise negatives.count, or use loss=bpr"
            )
        is_alone = self.training.batch_size == 1 and self.negatives.exclude != "target"
        if isinstance(self.negatives, InBatch) and is_alone:
            raise ValueError(
                f"negatives in_batch are the other targets of a step, and training.batch_size=1 leaves those of one "
                f"window, all of which negatives.exclude={self.negatives.exclude} leaves out; "
                f"raise training.batch_size, or set negatives.exclude=target"
            )

    def _fits_baseline(self, baseline: AnyBaseline) -> Self:
        if baseline.made_by != "fit":
            return self
        if not self.loss.needs_negatives:
            raise ValueError(
                f"loss {self.loss.name} multiplies with the whole item table, and {baseline.name} scores by a network; "
                f"use loss=binary_cross_entropy negatives=uniform"
            )
        if self.negatives is None or self.negatives.sharing != "position":
            raise ValueError(
                f"baseline {baseline.name} is trained on single events, each with negatives of its own; "
                f"add negatives=uniform negatives.sharing=position"
            )
        self._have_something_to_compare()
        return self


class _About(Configuration):
    summary: str = ""
    source: str = ""


class _Surroundings(Configuration):
    """What a recipe file says beside its settings."""

    about: _About = _About()
    same_as: str = ""
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict)
    published: dict[str, dict[str, int | float]] = Field(default_factory=dict)
    search: dict[str, Search] = Field(default_factory=dict)


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
    search: SearchSpace
    """What `nextitem tune` varies: dotted key to values."""


def preset_names() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in files("nextitem.recipes").iterdir() if _is_toml(entry))


def _is_toml(entry: Any) -> bool:
    return str(entry.name).endswith(".toml")


def load_preset(recipe: str, others: tuple[str, ...] = ()) -> Preset:
    """A recipe by name, or from a TOML file; `others` are the same as it. Raises ConfigurationError for none."""
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
        name, said.about.summary, said.about.source, {"name": name, **settings}, said.profiles, said.published,
        said.search,
    )  # fmt: skip


def _same(name: str, said: _Surroundings, settings: Mapping[str, object], others: tuple[str, ...]) -> Preset:
    """Another name for a recipe."""
    if settings or said.profiles or said.published or said.search:
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


def as_toml(recipe: Recipe) -> str:
    """The recipe as a file that `load_preset` reads: every setting in use, as `key = value`."""
    settings = dict(leaves(recipe.in_use()))
    # What JSON writes of text, numbers and lists of them is TOML too.
    lines = {key: json.dumps(value, ensure_ascii=False) for key, value in settings.items() if value is not None}
    said = load_toml(_as_lines(lines), "the recipe")
    loaded = dict(leaves(resolve(Recipe, [("the recipe", said)]).value.in_use()))
    # TOML has no word for nothing, and a text would take ours for a text: it is said only where it must be.
    nothing = [key for key, value in settings.items() if value is None and loaded.get(key) is not None]
    return _as_lines(lines | dict.fromkeys(nothing, '"none"'))


def _as_lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in settings.items() if key != "name")
