"""Why parts of a sequence model do not go together, in words, with what to do about it; None where they do."""

from typing import Literal

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items.table import Items
from nextitem.model.losses.loss import LossConfiguration
from nextitem.model.negatives.negatives import Negatives
from nextitem.model.prefix import UserPrefix


def against_items(items: Items, encoder: Encoder, loss: LossConfiguration, negatives: Negatives | None) -> str | None:
    """Why the items do not go with the encoder's states or with the loss."""
    if reason := items.reason_against(encoder.dim, encoder.output_width):
        return reason
    if not items.is_product and (reason := loss.reason_against_pairs()):
        return reason
    if not items.needs_own_negatives:
        return None
    if not loss.needs_negatives:
        return (
            f"loss {loss.name} multiplies with the whole item table, and items {items.name} score by a network; use "
            f"loss=binary_cross_entropy negatives=uniform"
        )
    if negatives is not None and negatives.sharing != "position":
        return (
            f"items {items.name} score pair by pair, so each position needs negatives of its own; set "
            f"negatives.sharing=position, or negatives=uniform"
        )
    return None


def against_prefix(encoder: Encoder, prefix: UserPrefix | None) -> str | None:
    """Why the encoder cannot read a user's vector before a history."""
    if prefix is None or encoder.takes_prefix:
        return None
    return (
        f"encoder {encoder.name} reads no place before the oldest item, and prefix={prefix.name} is one; use "
        f"encoder=sasrec (or bert4rec, gru4rec, gpt2, ligr, hstu), or prefix=none"
    )


def against_negatives(loss: LossConfiguration, negatives: Negatives | None, batch_size: int) -> str | None:
    """Why the loss could not learn from the negatives."""
    if negatives is None:
        return None
    return loss.reason_against(negatives.set_size(2)) or negatives.reason_against(batch_size)


def against_rows(
    items: Items, loss: LossConfiguration, rows: Literal["all", "touched", "sharded"], *, is_taught: bool
) -> str | None:
    """Why a step cannot leave rows of the item table alone, or to other processes."""
    if rows == "sharded" and is_taught:
        return (
            "a teacher's items may lie in any row, and training.item_rows=sharded has some of them in this process "
            "alone; set training.item_rows=all"
        )
    if rows == "sharded" and not items.can_shard:
        return (
            f"items {items.name} are more than one table of vectors (a bias, cosines, popularity, features, a second "
            f"table), and training.item_rows=sharded shares out one; set training.item_rows=all"
        )
    if rows != "touched":
        return None
    if not items.can_narrow:
        return (
            f"items {items.name} are scored by a table of their own, which training.item_rows=touched cannot narrow; "
            f"set training.item_rows=all"
        )
    if not loss.needs_negatives:
        return (
            f"loss {loss.name} moves every row of the item table, so training.item_rows=touched has nothing to leave "
            f"out; set training.item_rows=all, or choose a loss with negatives"
        )
    return None
