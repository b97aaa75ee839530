"""A recipe with narrower vectors, for what a plan would else have to build at its full width; and what differs by that.

A model of wide vectors takes long to draw weights for, and may not fit at all: its weights are counted without being
allocated, and what is measured is measured at a width that takes no time, in proportion to its operations.
"""

from collections.abc import Iterator

from nextitem.errors import ConfigurationError
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.weights import shapes_alone

MOST_WIDTH = 512
"""Vectors of more numbers are not measured as they are."""


def weights_of(recipe: SequenceRecipe, number_of_items: int, number_of_users: int) -> int:
    """How many numbers a model has; none of them is allocated.

    Raises ConfigurationError for one of more than can be counted.
    """
    try:
        with shapes_alone():
            model = recipe.build(number_of_items, 0, number_of_users)
    except (RuntimeError, TypeError, OverflowError) as error:
        raise ConfigurationError(
            f"a model of encoder {recipe.encoder.name} with dim={recipe.encoder.dim:,} and these other sizes has more "
            f"numbers than can be counted ({str(error).splitlines()[0]}); lower encoder.dim or what else is large"
        ) from error
    return sum(weight.numel() for weight in model.parameters())


def narrower(recipe: SequenceRecipe) -> SequenceRecipe:
    """The recipe with vectors of at most 512 numbers, as many as go with its other settings.

    The same where its own are no wider, or where no others go.
    """
    if recipe.encoder.dim <= MOST_WIDTH:
        return recipe
    for encoder in _encoders(recipe.encoder, range(MOST_WIDTH, 0, -1)):
        try:
            return SequenceRecipe(**{**dict(recipe), "encoder": encoder})
        except ConfigurationError:  # such as items whose network has one width
            continue
    return recipe


def two_widths(encoder: Encoder) -> tuple[Encoder, Encoder] | None:
    """The encoder in two narrow widths, the larger about twice the other; None where no two go."""
    low = next(_encoders(encoder, range(64, MOST_WIDTH)), None)
    high = None if low is None else next(_encoders(encoder, range(2 * low.dim, 2 * MOST_WIDTH)), None)
    return None if low is None or high is None else (low, high)


def _encoders(encoder: Encoder, widths: range) -> Iterator[Encoder]:
    """The encoder in each of these widths that goes with its other settings."""
    for width in widths:
        try:
            yield type(encoder)(**{**dict(encoder), "dim": width})
        except ConfigurationError:  # such as heads that do not divide it
            continue


def growth(recipe: SequenceRecipe, narrow: SequenceRecipe, number_of_items: int, users: int) -> dict[str, float]:
    """By which factor each part of an epoch's seconds grows from the narrow recipe to the other."""
    length = recipe.objective.maximum_length
    encoders = [parts.encoder.flops(length) for parts in (recipe, narrow)]
    scores = [parts.items.flops(parts.encoder.dim) for parts in (recipe, narrow)]
    weights = [weights_of(parts, number_of_items, users) for parts in (recipe, narrow)]
    cases = [length * e + number_of_items * s for e, s in zip(encoders, scores, strict=True)]
    return {
        part: wide / less if less else 1.0  # an encoder may have no weights but its users'
        for part, (wide, less) in {
            "encoder": encoders, "loss": scores, "optimiser": weights, "negatives": (1, 1), "validation": cases
        }.items()
    }  # fmt: skip
