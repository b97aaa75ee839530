"""Recipes of sequence models by their parts."""

from typing import Any

from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe


def sequence(**parts: Any) -> Recipe:
    """A recipe of these parts, and of defaults otherwise."""
    return Recipe(model=SequenceRecipe(**parts))


def with_parts(recipe: Recipe, **parts: Any) -> Recipe:
    """The recipe with other parts in place of its own."""
    model = recipe.sequence
    return Recipe(**{**dict(recipe), "model": type(model)(**{**dict(model), **parts})})
