"""What a training of a recipe would hold."""

import torch

from nextitem.data.prepare import Prepared
from nextitem.experiment.plan.memory import Work, needed
from nextitem.experiment.recipe import Recipe

CPU = torch.device("cpu")


def total(recipe: Recipe, prepared: Prepared, items: int) -> int:
    return sum(needed(recipe.sequence, Work.of(recipe.sequence, prepared, CPU, 0), items, CPU).values())
