"""Which events of a log are kept before it is split."""

from pydantic import Field

from nextitem.data.interactions import Keep
from nextitem.settings.configuration import Configuration


class Preparation(Configuration):
    """What is done to the events before they are split."""

    repeats: Keep = "all"
    """Events that repeat a user's earlier item: keep `all`, the `first` or the `last` of them."""
    minimum_per_user: int = Field(1, ge=1)
    """Users with fewer events are left out."""
    minimum_per_item: int = Field(1, ge=1)
    """Items with fewer events are left out."""
    iterate: bool = True
    """Whether to apply both minima until nothing changes (k-core), or once, items first."""
