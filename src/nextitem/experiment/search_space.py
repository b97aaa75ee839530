"""What a search may vary: a range or a list of values for a setting, by its dotted key."""

import math
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from nextitem.errors import ConfigurationError
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import listed, must_be, told
from nextitem.settings.overrides import parse_override, resolve

Value = bool | int | float | str
SearchSpace = Mapping[str, "Search"]


class Search(Configuration):
    """Either `choices`, or a range from `low` to `high`, both included; whole numbers if both of them are."""

    choices: tuple[Value, ...] | None = Field(None, min_length=1)
    """The values to choose from."""
    low: int | float | None = None
    """Smallest value."""
    high: int | float | None = None
    """Largest value."""
    log: bool = False
    """Whether all magnitudes of a range are alike probable, and not all values."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("choices and a range exclude each other; give choices, or low and high")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give choices, or low and high")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"low={self.low} and high={self.high} are no range; low must not exceed high")
        if self.log and self.low <= 0:
            raise ValueError(f"low={self.low} has no logarithm; raise it above 0, or leave log out")
        return self

    def some(self) -> list[Value]:
        """Values that stand for all: the ends of a range, or each choice."""
        return [end for end in (self.low, self.high) if end is not None] if self.choices is None else [*self.choices]


class _Varied(Configuration):
    search: dict[str, Search]


def parse_searches(texts: Sequence[str]) -> SearchSpace:
    """The space of `key={low=…, high=…}` or `key=[…]`, one text a key. Raises ConfigurationError.

    >>> parse_searches(["encoder.dim=[32, 64]"])["encoder.dim"].choices
    (32, 64)
    """
    tree: dict[str, object] = {}
    for text in texts:
        key, value = parse_override(text)
        if not isinstance(value, list | dict):
            raise ConfigurationError(
                f"{text!r} does not say what may vary: write key=[1, 2, 3] or key={{low=0.1, high=0.5}}, with log=true "
                f"where magnitudes count"
            )
        tree[".".join(key)] = {"choices": value} if isinstance(value, list) else value
    return resolve(_Varied, [("--vary", {"search": tree})]).value.search


def space_of(space: object) -> SearchSpace:
    """What a program says may vary: of each dotted key a list of choices, a range as a table, or a `Search`.

    Raises ConfigurationError for anything else.

    >>> space_of({"encoder.dim": range(32, 65, 32)})["encoder.dim"].choices
    (32, 64)
    """
    remedy = "give values by the dotted key of a setting: {'encoder.dim': [32, 64]}"
    found = {}
    if not isinstance(space, Mapping):
        raise ConfigurationError(f"space={told(space)} should be a table; {remedy}")
    for key, value in space.items():
        must_be(key, str, "a key of space", remedy)
        if isinstance(value, Search):
            found[key] = value
        else:
            found[key] = Search(**value) if isinstance(value, Mapping) else Search(choices=tuple(listed(value, key)))
    return found


def check_keys(space: SearchSpace, recipe: str, searched: Sequence[str]) -> None:
    """Raises ConfigurationError where a key does not begin with one of `searched`, or where there is none."""
    if not space:
        raise ConfigurationError(
            f"recipe {recipe} declares no search space; name what may vary, such as "
            "--vary 'training.learning_rate={low=1e-4, high=1e-2, log=true}'"
        )
    for key in space:
        if key.partition(".")[0] not in searched:
            raise ConfigurationError(f"{key} cannot be searched: a search varies {', '.join(searched)}, on fixed data")
