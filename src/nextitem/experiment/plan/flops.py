"""Operations of an epoch."""

from nextitem.experiment.plan.memory import Work
from nextitem.experiment.sequence import SequenceRecipe


def flops_per_epoch(recipe: SequenceRecipe, work: Work, number_of_items: int, encoded: int) -> float:
    """Floating-point operations of an epoch's forward and backward passes over `encoded` positions."""
    set_size = None if recipe.negatives is None else recipe.negatives.set_size(work.positions // max(1, work.steps))
    candidates = number_of_items if set_size is None else 1 + set_size
    scores = work.positions * candidates * recipe.items.flops(recipe.encoder.dim)
    return float(scores + encoded * recipe.encoder.flops(recipe.objective.maximum_length))
