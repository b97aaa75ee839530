"""A model from the choices of a recipe."""

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items.separate import SeparateItems
from nextitem.model.items.tied import TiedItems
from nextitem.model.model import SequenceModel
from nextitem.model.objectives.objective import Objective


def assemble(
    encoder: Encoder, objective: Objective, number_of_items: int, number_of_users: int, *, in_bfloat16: bool = False
) -> SequenceModel:
    """The model of an encoder's settings and an objective, with fresh weights from torch's global generator."""
    has_mask, has_bias = objective.needs_mask, getattr(encoder, "output_bias", False)
    items: TiedItems | SeparateItems
    if encoder.has_output_table:
        items = SeparateItems(number_of_items, encoder.dim, encoder.output_width, has_mask=has_mask, has_bias=has_bias)
    else:
        items = TiedItems(number_of_items, encoder.dim, has_mask=has_mask, has_bias=has_bias)
    body = encoder.build(number_of_users)
    known = number_of_users if encoder.has_users else None
    return SequenceModel(items, body, objective, in_bfloat16=in_bfloat16, number_of_users=known)
