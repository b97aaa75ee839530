"""A model from the choices of a recipe, where they go together."""

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items.content import Content
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
    content: Content | None = None,
) -> SequenceModel:
    """The model of an item table's and an encoder's settings and an objective, with fresh weights.

    They are drawn from torch's global generator, those of the items first. Users count where they have vectors, and
    the content of the items where their table reads it.
    """
    sizes, has_mask = (number_of_items, encoder.dim, encoder.output_width), objective.needs_mask
    table = items.build(*sizes, has_mask=has_mask, content=content)
    body, known = encoder.build(number_of_users), number_of_users if encoder.has_users else None
    model = SequenceModel(
        table,
        body,
        objective,
        in_bfloat16=in_bfloat16,
        number_of_users=known,
        reads_times=encoder.reads_times,
        reads_target_times=encoder.reads_target_times,
    )
    model.counts_from_newest = encoder.counts_from_newest
    return model


def reason_against(encoder: Encoder, objective: Objective) -> str | None:
    """Why the encoder cannot be asked what the objective asks, with what to do about it; None where it can."""
    return _shown_amiss(encoder, objective) or _too_long_or_short(encoder, objective)


def _shown_amiss(encoder: Encoder, objective: Objective) -> str | None:
    """Why the encoder would be shown too little, too much, or in vain."""
    if encoder.reads_items and not objective.shows_items:
        return (
            f"objective {objective.name} shows no item of a history, and encoder {encoder.name} reads nothing else; "
            f"use objective=next_item, or encoder=user_vectors"
        )
    if objective.shows_items and not encoder.reads_items:
        return (
            f"encoder {encoder.name} knows users and reads no history, which objective {objective.name} shows it in "
            f"vain; use objective=user_item"
        )
    if objective.needs_causal and not encoder.is_causal:
        return (
            f"objective {objective.name} needs an encoder that does not look ahead, and {encoder.name} sees the whole "
            f"window: the answer would be in the input; use objective=masked_item or encoder=sasrec"
        )
    if objective.needs_mask and encoder.sees_one_item:
        return (
            f"objective {objective.name} hides items, and {encoder.name} sees no item but the one at the position "
            f"itself; use objective=next_few, or another encoder"
        )
    if encoder.reads_target_times and not objective.says_when_asked:
        return (
            f"encoder.times=target_leaks reads when the next event happened, and objective {objective.name} asks for "
            f"others too; use objective=next_item with cloze_weight=0, or encoder.times=past"
        )
    return None


def _too_long_or_short(encoder: Encoder, objective: Objective) -> str | None:
    """Why the objective's windows are longer or shorter than the encoder reads."""
    if encoder.most_length is not None and objective.maximum_length > encoder.most_length:
        return (
            f"objective.maximum_length={objective.maximum_length} exceeds the {encoder.most_length} rows of the "
            f"position table; raise encoder.positions or shorten the windows"
        )
    if encoder.least_length > objective.maximum_length:
        return (
            f"encoder.window={encoder.least_length} reads more places than objective.maximum_length="
            f"{objective.maximum_length} fills; raise objective.maximum_length or lower encoder.window"
        )
    return None
