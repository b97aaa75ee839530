"""New events of users whose kinds mean something: what is in histories, and what changes what is known already."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl
from torch import Tensor

from nextitem.data.interactions import Interactions
from nextitem.data.kinds import carry_out, refuse_unknown, retracted_by
from nextitem.data.log import Catalog
from nextitem.errors import ConfigurationError


@dataclass(frozen=True)
class News:
    """New events, with their number in the file as `event`, and what else there was: `user` and `item`."""

    events: Interactions
    users: pl.Series
    """All users, as they first appear."""
    disliked: pl.DataFrame
    taken_back: pl.DataFrame
    """Of earlier events than these: the latest of each item is meant."""
    no_longer_disliked: pl.DataFrame

    @classmethod
    def of(
        cls, events: Interactions, kinds: Mapping[str, float | str], row_of: Callable[[int], object] = "event {}".format
    ) -> "News":
        """What the events mean. Raises DataError for a kind without a meaning, ConfigurationError for kinds at all.

        Events without kinds are all in histories.
        """
        numbered = events.events.with_row_index("event")
        users = numbered["user"].unique(maintain_order=True)
        nothing = numbered.head(0).select("user", "item")
        if "kind" not in numbered.columns:
            return cls(Interactions(numbered), users, nothing, nothing, nothing)
        if not kinds:
            raise ConfigurationError("the events have kinds, and the run learnt from events without; leave kinds out")
        column = numbered["kind"]
        counts = dict(column.value_counts().iter_rows())
        refuse_unknown(counts, kinds, lambda kind: [str(row_of(n)) for n in column.eq(kind).arg_true().head(5)])
        found = carry_out(numbered.rename({"event": "place"}), kinds)
        kept = found.kept.rename({"place": "event"}).drop("weight")
        # What takes back a kind that is disliked ends that; any other takes back an event.
        ends = [kind for kind, meant in kinds.items() if (of := retracted_by(meant)) and kinds[of] == "disliked"]
        is_end, pair = pl.col("kind").is_in(ends), ("user", "item")
        return cls(
            Interactions(kept),
            users,
            found.disliked.select(pair),
            found.unmet.filter(~is_end).select(pair),
            found.unmet.filter(is_end).select(pair),
        )

    def for_users(self, users: pl.Series) -> "News":
        """What is of these users alone."""
        frames = (self.disliked, self.taken_back, self.no_longer_disliked)
        events = Interactions(self.events.events.filter(pl.col("user").is_in(users.implode())))
        left = self.users.filter(self.users.is_in(users.implode()))
        return News(events, left, *(frame.filter(pl.col("user").is_in(users.implode())) for frame in frames))

    def by_user(self) -> pl.DataFrame:
        """`user`, and as lists `item`, `event` and maybe `time`, oldest first; in the order of `users`."""
        histories = self.events.in_time_order().group_by("user", maintain_order=True).agg(pl.exclude("user"))
        joined = self.users.to_frame("user").join(histories, on="user", how="left", maintain_order="left")
        return joined.with_columns(pl.exclude("user").fill_null([]))

    def changes(self, items: Catalog) -> "Changes":
        """What is not an event, by user in order, as indices of items; items that are unknown change nothing."""
        return Changes(*(
            _listed(self.users, frame, items) for frame in (self.taken_back, self.disliked, self.no_longer_disliked)
        ))  # fmt: skip


@dataclass(frozen=True)
class Changes:
    """Per history the items of earlier events that are taken back, and what is disliked from now on and no longer."""

    taken_back: list[list[int]]
    disliked: list[list[int]]
    no_longer: list[list[int]]


def _listed(users: pl.Series, frame: pl.DataFrame, items: Catalog) -> list[list[int]]:
    positions: Tensor = items.lookup(frame["item"])
    known = frame.select("user", item=pl.Series(positions.numpy())).filter(pl.col("item") >= 0)
    lists = known.group_by("user", maintain_order=True).agg("item")
    joined = users.to_frame("user").join(lists, on="user", how="left", maintain_order="left")
    return [[*(one or [])] for one in joined["item"].to_list()]
