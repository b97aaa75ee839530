"""A model from the choices of a recipe."""

from typing import Any

from nextitem.model.items.separate import SeparateItems
from nextitem.model.items.tied import TiedItems
from nextitem.model.model import SequenceModel
from nextitem.model.objectives.objective import Objective


def assemble(
    encoder: Any, objective: Objective, number_of_items: int, number_of_users: int, *, in_bfloat16: bool = False
) -> SequenceModel:
    """The model of an encoder's settings and an objective, with fresh weights from torch's global generator."""
    width = getattr(encoder, "output_width", None)  # an encoder need not ask for a table of its own to score items by,
    has_users = getattr(encoder, "user_vectors", False)  # nor know of users
    has_mask, has_bias = objective.needs_mask, getattr(encoder, "output_bias", False)  # or of biases
    items: TiedItems | SeparateItems
    if width is None:
        items = TiedItems(number_of_items, encoder.dim, has_mask=has_mask, has_bias=has_bias)
    else:
        items = SeparateItems(number_of_items, encoder.dim, width, has_mask=has_mask, has_bias=has_bias)
    body = encoder.build(number_of_users) if has_users else encoder.build()
    known = number_of_users if has_users else None
    return SequenceModel(items, body, objective, in_bfloat16=in_bfloat16, number_of_users=known)
