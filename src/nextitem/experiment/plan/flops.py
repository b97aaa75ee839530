"""Operations of an epoch."""

from nextitem.experiment.plan.memory import Work
from nextitem.experiment.sequence import SequenceRecipe


def flops_per_epoch(recipe: SequenceRecipe, work: Work, number_of_items: int, encoded: int) -> float:
    """Floating-point operations of an epoch's forward and backward passes over `encoded` positions.

    The scores take 6 for each target, candidate and number of a vector: three products.
    """
    set_size = None if recipe.negatives is None else recipe.negatives.set_size(work.positions // max(1, work.steps))
    candidates = number_of_items if set_size is None else 1 + set_size
    scores = 6 * work.positions * candidates * recipe.encoder.dim
    return float(scores + encoded * recipe.encoder.flops(recipe.objective.maximum_length))
