"""What a recipe has otherwise than the one that it was grown from, part by part: the rows of a study of parts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.found import deciding
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.settings.configuration import Configuration
from nextitem.settings.keys import is_within
from nextitem.studies.keys import Keys

WHOLE = "whole"
"""What the row is called that is the recipe as it is."""
_Settings = Mapping[str, object]


class Part(Configuration):
    """Settings that are one idea together, and are taken out together."""

    label: str = Field(min_length=1)
    """What it is called; the row without it is called `without …`."""
    settings: tuple[str, ...] = Field(min_length=1)
    """Its settings by dotted key; a table counts for all that is in it."""
    takes: tuple[str, ...] = ()
    """Settings that cannot stay without it, and go with it; they make no part of it."""

    def has(self, key: str) -> bool:
        """Whether a setting belongs to it."""
        return any(is_within(key, own) for own in self.settings)

    def takes_out(self, key: str) -> bool:
        """Whether a setting is as the base has it where this part is taken out."""
        return self.has(key) or any(is_within(key, other) for other in self.takes)


@dataclass(frozen=True)
class Grown:
    """A recipe on some data, beside the one that it was grown from, both with the same settings laid on them."""

    recipe: str
    base: str
    data: str
    overrides: tuple[str, ...] = ()

    def without_each(self, parts: Sequence[Part]) -> dict[str, tuple[str, tuple[str, ...]]]:
        """By label the recipe and the overrides of each row: the whole, it without each of its parts, and the base.

        A part is taken out by having its settings as the base has them. What both have alike, as after an override,
        is none; of the rest what no part claims is one by itself. Raises ConfigurationError where nothing can be
        taken out.
        """
        recipe, base = self._laid(self.recipe), self._laid(self.base)
        whole, plain = _settings(recipe), _settings(base)
        changed = sorted(key for key in whole.keys() | plain.keys() if whole.get(key) != plain.get(key))
        if recipe.model.name != base.model.name or not changed:
            fact = "have no parts in common" if changed else f"are the same on {self.data}"
            raise ConfigurationError(
                f"nothing can be taken out of {self.recipe} to come nearer to {self.base}, since they {fact}; name a "
                f"recipe that was grown from it, such as gold"
            )
        # What one of two kinds has no key for comes and goes with the kind.
        of_kind = {key for key in changed if (key in whole) is not (key in plain)}
        parts = [part for part in parts if any(part.has(_table(key) if key in of_kind else key) for key in changed)]
        parts += _alone([key for key in changed if not any(part.has(key) for part in parts)], whole, plain)
        left = {f"without {part.label}": self._without(part, whole, plain) for part in parts}
        rows = {label: (self.recipe, overrides) for label, (overrides, _) in left.items()}
        is_base = any(settings == plain for _, settings in left.values())  # as without its only part
        return {WHOLE: (self.recipe, ()), **rows, **({} if is_base else {self.base: (self.base, ())})}

    def _laid(self, recipe: str, *more: str) -> Recipe:
        """A recipe with those of the overrides that it has keys for."""
        known = Keys.of(load_recipe(recipe, f"data={self.data}", *more))
        return load_recipe(recipe, f"data={self.data}", *known.fitting(self.overrides), *more)

    def _without(self, part: Part, whole: _Settings, plain: _Settings) -> tuple[tuple[str, ...], _Settings]:
        """Overrides that make a part as the base has it and leave the rest, and the settings that there are then.

        Another kind of something is chosen first: whatever it has as the base has it by itself is not said.
        """
        taken = [key for key in plain if part.takes_out(key) and plain[key] != whole.get(key)]
        kinds = {_table(key) for key in taken if key.endswith(".name")}
        first = [_typed(key.removesuffix(".name"), plain[key]) for key in taken if key.endswith(".name")]
        first += [_typed(key, plain[key]) for key in taken if _table(key) not in kinds and key in whole]
        try:
            now = _settings(self._laid(self.recipe, *first))
        except ConfigurationError:  # what does not go together is refused where the row is asked for
            return tuple(first), {}
        wanted = {key: _first(key, *((plain, whole) if part.takes_out(key) else (whole, plain)), now) for key in now}
        return (*first, *(_typed(key, wanted[key]) for key in now if wanted[key] != now[key])), wanted


def _settings(recipe: Recipe) -> dict[str, object]:
    """What decides a result, but for what the model is asked."""
    return {key: value for key, value in deciding(recipe).items() if _table(key) in Recipe.short_keys}


def _first(key: str, *settings: _Settings) -> object:
    """What the first of these that has a key says there."""
    return next(one[key] for one in settings if key in one)


def _table(key: str) -> str:
    """Which table a setting is in."""
    return key.partition(".")[0]


def _alone(keys: Sequence[str], whole: _Settings, plain: _Settings) -> list[Part]:
    """A part of each setting; those of another kind go with the kind."""
    other = {table for table in map(_table, keys) if whole.get(f"{table}.name") != plain.get(f"{table}.name")}
    kinds = [Part(label=table, settings=(table,)) for table in sorted(other)]
    return [*kinds, *(Part(label=key, settings=(key,)) for key in keys if _table(key) not in other)]


def _typed(key: str, value: object) -> str:
    """A setting as it is typed."""
    written = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return f"{key}={written}"
