"""What a model is asked in training: one file per objective; this union is the table of contents."""

from typing import Annotated

from pydantic import Field

from nextitem.model.objectives.masked_item import MaskedItem
from nextitem.model.objectives.next_few import NextFew
from nextitem.model.objectives.next_item import NextItem
from nextitem.model.objectives.user_item import UserItem

AnyObjective = Annotated[NextItem | MaskedItem | NextFew | UserItem, Field(discriminator="name")]

__all__ = ["AnyObjective", "MaskedItem", "NextFew", "NextItem", "UserItem"]
