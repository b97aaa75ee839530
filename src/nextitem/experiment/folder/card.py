"""README.md of a run folder: what the model is, what it was measured on, how to use it."""

from collections.abc import Mapping
from typing import Any

from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome
from nextitem.words import filled


def model_card(recipe: Recipe, outcome: Outcome, metrics: Mapping[str, Any]) -> str:
    """The model card as Markdown."""
    prepared, test = outcome.prepared, outcome.test
    content = {
        "name": recipe.name,
        "data": prepared.source.name,
        "kind": recipe.baseline.name if recipe.baseline else f"{recipe.encoder.name}, {recipe.loss.name}",
        "is_counted": recipe.baseline is not None and recipe.baseline.made_by == "counts",
        "epochs": metrics["epochs"],
        "best_epoch": metrics["best_epoch"],
        "users": len(prepared.log.users),
        "items": len(prepared.log.items),
        "validation": outcome.validation.means,
        "test": test.means,
        "intervals": test.intervals,
        "ceiling": test.ceiling,
        "split": recipe.split.describe(),
        "cases": len(prepared.split.test),
        "notes": prepared.notes,
        "made": metrics["provenance"],
    }
    return filled("experiment/folder/templates/card.md", content)
