"""Which settings a recipe has: asked before a study lays one on it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nextitem.experiment.recipe import Recipe
from nextitem.settings.keys import is_within, settings_of, short_key
from nextitem.settings.overrides import parse_override


@dataclass(frozen=True)
class Keys:
    """The settings that a recipe uses, by dotted key."""

    names: frozenset[str]

    @classmethod
    def of(cls, recipe: Recipe) -> "Keys":
        """Those of this recipe."""
        return cls(frozenset(settings_of(recipe)))

    def has(self, text: str, beside: Iterable[str]) -> bool:
        """Whether the key of an override exists, or may exist since one `beside` it chooses another kind of part."""
        key = key_of(text)
        section = key.partition(".")[0]
        if {section, f"{section}.name"} & ({key_of(other) for other in beside} - {key}):
            return True
        return any(is_within(name, key) for name in self.names)

    def fitting(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Those of several overrides whose keys exist."""
        return tuple(text for text in overrides if self.has(text, overrides))


def key_of(text: str) -> str:
    """The key of an override, however it was written."""
    return short_key(Recipe, ".".join(parse_override(text)[0]))
