"""Which events of a log are kept before it is split."""

from typing import Literal

import polars as pl
from pydantic import Field

from nextitem.data.interactions import Interactions
from nextitem.errors import DataError
from nextitem.settings.configuration import Configuration
from nextitem.words import counted

Keep = Literal["all", "first", "last"]


class Filters(Configuration):
    """What is done to the events before they are split."""

    repeats: Keep = "all"
    """Events that repeat a user's earlier item: keep `all`, the `first` or the `last` of them."""
    minimum_per_user: int = Field(1, ge=1)
    """Users with fewer events are left out."""
    minimum_per_item: int = Field(1, ge=1)
    """Items with fewer events are left out."""
    iterate: bool = True
    """Whether to apply both minima until nothing changes (k-core), or once, items first."""

    def apply(self, interactions: Interactions) -> Interactions:
        """The events that are kept: first repeats are dropped, then users and items with too few of what is left.

        Raises DataError where there are some and none is kept.
        """
        kept = deduplicate(Interactions.required(interactions), self.repeats)
        if self.minimum_per_user == self.minimum_per_item == 1:
            return kept
        core = k_core(kept, self.minimum_per_user, self.minimum_per_item, iterate=self.iterate)
        if len(kept) and not len(core):
            raise self.refusal(len(interactions))
        return core

    def refusal(self, events: int) -> DataError:
        """What to say where nothing is left of so many events."""
        minima = f"minimum_per_user={self.minimum_per_user} and minimum_per_item={self.minimum_per_item}"
        how = "until nothing changes" if self.iterate else "once"
        return DataError(f"the filters leave none of {counted(events, 'event')}: {minima}, applied {how}; lower them")


def deduplicate(interactions: Interactions, keep: Keep) -> Interactions:
    """Events without repeats of a (user, item) pair: the first or the last of each in time, or `all` of them.

    >>> log = Interactions.from_columns(["ann"] * 3, ["x", "y", "x"])
    >>> deduplicate(log, "last").events["item"].to_list()
    ['y', 'x']
    """
    if keep == "all":
        return interactions
    ordered = interactions.in_time_order()
    return Interactions(ordered.unique(["user", "item"], keep=keep, maintain_order=True))


def k_core(interactions: Interactions, user_minimum: int, item_minimum: int, *, iterate: bool = True) -> Interactions:
    """Events of users and items that have at least that many events, in file order.

    With `iterate` users and items are dropped until nothing changes (the k-core). Without it there is one pass, items
    first and then users, after which an item may be left with fewer: many published files were made that way.
    """
    events = interactions.events
    while True:
        kept = events.filter(pl.len().over("item") >= item_minimum).filter(pl.len().over("user") >= user_minimum)
        if not iterate or kept.height == events.height:
            return Interactions(kept)
        events = kept
