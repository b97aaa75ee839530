"""New events of users whose kinds mean something: what is in histories, and what changes what is known already."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from torch import Tensor

from nextitem.data.interactions import Interactions
from nextitem.data.kinds import OTHERS, carry_out, refuse_unknown, retracted_by, weight_of
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
    """Of earlier events than these: of each item the latest that has this `weight` is meant; null: of any."""
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
        if "kind" not in numbered.columns:
            nothing = numbered.head(0).select("user", "item", weight=pl.lit(None, pl.Float32))
            return cls(Interactions(numbered), users, nothing, nothing, nothing)
        if not kinds:
            raise ConfigurationError("the events have kinds, and the run learnt from events without; leave kinds out")
        column = numbered["kind"]
        counts = dict(column.value_counts().iter_rows())
        refuse_unknown(counts, kinds, lambda kind: [str(row_of(n)) for n in column.eq(kind).arg_true().head(5)])
        found = carry_out(numbered.rename({"event": "place"}), kinds)
        kept = found.kept.rename({"place": "event"}).drop("weight")
        # What takes back a kind that is disliked ends that; any other takes back an event.
        takes = {kind: retracted_by(kinds.get(kind, kinds.get(OTHERS, ""))) for kind in counts}
        ends = [kind for kind, of in takes.items() if of and kinds[of] == "disliked"]
        weights = {kind: weight_of(kinds[of]) if of else None for kind, of in takes.items()}
        is_end, pair = pl.col("kind").is_in(ends), ("user", "item")
        weight = pl.col("kind").replace_strict(weights, return_dtype=pl.Float32)
        return cls(
            Interactions(kept),
            users,
            found.disliked.select(pair),
            found.unmet.filter(~is_end).select(*pair, weight=weight),
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
        taken, weights = (_listed(self.users, self.taken_back, items, column) for column in ("item", "weight"))
        taken_back = [[*zip(*both, strict=True)] for both in zip(taken, weights, strict=True)]
        disliked, ended = (_listed(self.users, one, items, "item") for one in (self.disliked, self.no_longer_disliked))
        return Changes(taken_back, disliked, ended)


@dataclass(frozen=True)
class Changes:
    """Per history what is taken back of earlier events, and what is disliked from now on and no longer."""

    taken_back: list[list[tuple[int, float | None]]]
    """Item and weight of each: a run keeps what its events weigh, not of which kind they are. None: of any weight."""
    disliked: list[list[int]]
    no_longer: list[list[int]]


def _listed(users: pl.Series, frame: pl.DataFrame, items: Catalog, column: str) -> list[list[Any]]:
    """A column of each user's rows of known items, which are their indices."""
    positions: Tensor = items.lookup(frame["item"])
    known = frame.with_columns(item=pl.Series(positions.numpy())).filter(pl.col("item") >= 0)
    lists = known.group_by("user", maintain_order=True).agg(column)
    joined = users.to_frame("user").join(lists, on="user", how="left", maintain_order="left")
    return [[*(one or [])] for one in joined[column].to_list()]
