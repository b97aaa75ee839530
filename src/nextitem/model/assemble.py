"""A model from the choices of a recipe."""

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items.table import Items
from nextitem.model.model import SequenceModel
from nextitem.model.objectives.objective import Objective


def assemble(
    items: Items,
    encoder: Encoder,
    objective: Objective,
    number_of_items: int,
    number_of_users: int,
    *,
    in_bfloat16: bool = False,
) -> SequenceModel:
    """The model of an item table's and an encoder's settings and an objective, with fresh weights.

    They are drawn from torch's global generator, those of the items first. Users count where they have vectors.
    """
    table = items.build(number_of_items, encoder.dim, encoder.output_width, has_mask=objective.needs_mask)
    body, known = encoder.build(number_of_users), number_of_users if encoder.has_users else None
    return SequenceModel(
        table, body, objective, in_bfloat16=in_bfloat16, number_of_users=known, reads_times=encoder.reads_times
    )
