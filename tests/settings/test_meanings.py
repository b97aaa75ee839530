"""The string under a field says what it means."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from nextitem.experiment.recipe import Recipe
from nextitem.settings.annotations import members
from nextitem.settings.configuration import Configuration
from nextitem.settings.meanings import meanings


class Parent(Configuration):
    """Not a field's."""

    width: int = 1
    """Width,
    in columns."""
    depth: int = 1
    """Depth."""
    silent: int = 1
    fact: ClassVar[int] = 1
    """No field."""


class Child(Parent):
    depth: int = 2
    """Depth of the child."""

    def method(self) -> None:
        """Not a field's either."""


@dataclass(frozen=True)
class Plain:
    count: int
    """How many."""


def test_a_meaning_is_one_line_and_the_childs_own_counts() -> None:
    assert meanings(Parent) == {"width": "Width, in columns.", "depth": "Depth."}
    assert meanings(Child) == {"width": "Width, in columns.", "depth": "Depth of the child."}


def test_classes_of_any_kind_have_meanings() -> None:
    assert meanings(Plain) == {"count": "How many."}


def test_a_class_without_source_has_none() -> None:
    assert meanings(type("Made", (), {"__annotations__": {"x": int}, "x": 1})) == {}


@pytest.mark.parametrize("key", [key for key in Recipe.model_fields if key != "model"])
def test_every_setting_of_every_choice_has_one(key: str) -> None:
    assert key in meanings(Recipe)
    for choice in members(Recipe.model_fields[key].annotation):
        if isinstance(choice, type) and issubclass(choice, Configuration):
            assert choice.model_fields.keys() - meanings(choice).keys() <= {"name"}
