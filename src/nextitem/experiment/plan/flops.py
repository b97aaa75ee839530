"""Operations of an epoch."""

from nextitem.experiment.plan.memory import Work
from nextitem.experiment.sequence import SequenceRecipe


def flops_per_epoch(recipe: SequenceRecipe, work: Work, number_of_items: int, encoded: int) -> float:
    """Floating-point operations of an epoch's forward and backward passes; see the module."""
    model = recipe.build(1, seed=0)
    width, length = recipe.encoder.dim, recipe.objective.maximum_length
    weights = sum(weight.numel() for weight in model.encoder.parameters())
    set_size = None if recipe.negatives is None else recipe.negatives.set_size(work.positions // max(1, work.steps))
    candidates = number_of_items if set_size is None else 1 + set_size
    blocks = getattr(recipe.encoder, "blocks", 0)
    attention = 12 * blocks * length * width if hasattr(recipe.encoder, "heads") else 0
    return float(6 * work.positions * candidates * width + encoded * (6 * weights + attention))
