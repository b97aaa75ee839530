"""The tables that items are read from and scored by: one file per kind; this union is the table of contents."""

from typing import Annotated

from pydantic import Field

from nextitem.model.items.featured import Featured
from nextitem.model.items.mixture import Mixture
from nextitem.model.items.neural import Neural
from nextitem.model.items.separate import Separate
from nextitem.model.items.tied import Tied

AnyItems = Annotated[Tied | Separate | Mixture | Neural | Featured, Field(discriminator="name")]

__all__ = ["AnyItems", "Featured", "Mixture", "Neural", "Separate", "Tied"]
