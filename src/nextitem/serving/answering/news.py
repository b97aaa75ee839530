"""New events of users whose kinds mean something: what is in histories, and what changes what is known already."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from torch import Tensor

from nextitem.data.interactions import Interactions
from nextitem.data.kinds import OTHERS, carry_out, refuse_unknown, retracted_by, weight_of
from nextitem.data.log import Catalog
from nextitem.errors import ConfigurationError
from nextitem.serving.answering.joined import Happened, Retraction


@dataclass(frozen=True)
class News:
    """New events, with their number in the file as `event`, and what else there was: `user` and `item`."""

    events: Interactions
    """What is in histories after all of it."""
    users: pl.Series
    """All users, as they first appear."""
    disliked: pl.DataFrame
    """With `event`, and `time` where that is known."""
    taken_back: pl.DataFrame
    """Of earlier events than these: of each item the latest that has this `weight` is meant; null: of any. With `time`,
    where that is known: what is later than the retraction stays."""
    no_longer_disliked: pl.DataFrame
    """Of earlier dislikes, and those among the new ones that ended: an event that is sent again is the stored one."""
    happened: pl.DataFrame
    """All that was in a history once, of users some of whose events were taken back by another one of these: with its
    `moment`, which counts all events in order, and `until`, when it was taken back, null where it never was."""

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
            return cls(Interactions(numbered), users, *[nothing] * 4)
        if not kinds:
            raise ConfigurationError("the events have kinds, and the run learnt from events without; leave kinds out")
        column = numbered["kind"]
        counts = dict(column.value_counts().iter_rows())
        refuse_unknown(counts, kinds, lambda kind: [str(row_of(n)) for n in column.eq(kind).arg_true().head(5)])
        found = carry_out(numbered.rename({"event": "place"}), kinds)
        kept = found.kept.rename({"place": "event"}).drop("weight")
        meaning = {kind: kinds.get(kind, kinds.get(OTHERS, "ignored")) for kind in counts}
        # What takes back a kind that is disliked ends that; any other takes back an event.
        takes = {kind: retracted_by(meant) for kind, meant in meaning.items()}
        ends = [kind for kind, of in takes.items() if of and kinds[of] == "disliked"]
        weights = {kind: weight_of(kinds[of]) if of else None for kind, of in takes.items()}
        is_end, pair = pl.col("kind").is_in(ends), ("user", "item")
        weight = pl.col("kind").replace_strict(weights, return_dtype=pl.Float32)
        was_disliked = pl.col("kind").is_in([kind for kind, meant in meaning.items() if meant == "disliked"])
        return cls(
            Interactions(kept),
            users,
            found.disliked.rename({"place": "event"}).select(*pair, "event", *_of_time(found.disliked)),
            found.unmet.filter(~is_end).select(*pair, weight, *_of_time(found.unmet)).rename({"kind": "weight"}),
            pl.concat([found.unmet.filter(is_end).select(pair), found.taken_back.filter(was_disliked).select(pair)]),
            _happened(numbered, kept, found.taken_back.filter(~was_disliked)),
        )

    def for_users(self, users: pl.Series) -> "News":
        """What is of these users alone."""
        is_theirs = pl.col("user").is_in(users.implode())
        frames = (self.disliked, self.taken_back, self.no_longer_disliked, self.happened)
        events = Interactions(self.events.events.filter(is_theirs))
        left = self.users.filter(self.users.is_in(users.implode()))
        return News(events, left, *(frame.filter(is_theirs) for frame in frames))

    def by_user(self) -> pl.DataFrame:
        """`user`, and as lists `item`, `event` and maybe `time`, oldest first; in the order of `users`."""
        histories = self.events.in_time_order().group_by("user", maintain_order=True).agg(pl.exclude("user"))
        joined = self.users.to_frame("user").join(histories, on="user", how="left", maintain_order="left")
        return joined.with_columns(pl.exclude("user").fill_null([]))

    def changes(self, items: Catalog) -> "Changes":
        """What is not an event, by user in order, as indices of items; items that are unknown change nothing."""
        disliked, ended = (_of_each(self.users, one, items) for one in (self.disliked, self.no_longer_disliked))
        taken_back, happened = (_of_each(self.users, one, items) for one in (self.taken_back, self.happened))
        return Changes(
            [[Retraction(row["item"], row["weight"], row.get("time")) for row in own] for own in taken_back],
            [[row["item"] for row in own] for own in disliked],
            [[row["item"] for row in own] for own in ended],
            [[Happened(row["item"], row.get("time"), row["moment"], row["until"]) for row in own] for own in happened],
        )


@dataclass(frozen=True)
class Changes:
    """What each history says beside its events: what it takes back of earlier ones, what is disliked or no longer."""

    taken_back: list[list[Retraction]]
    disliked: list[list[int]]
    no_longer: list[list[int]]
    happened: list[list[Happened]]
    """All events that were given, in order, where some of them were taken back by later ones; empty where none was."""


def _of_time(frame: pl.DataFrame) -> list[str]:
    return ["time"] if "time" in frame.columns else []


def _happened(numbered: pl.DataFrame, kept: pl.DataFrame, taken_back: pl.DataFrame) -> pl.DataFrame:
    """`user`, `item`, `moment`, `until` and maybe `time` of what was in histories, of users who took some back."""
    moments = Interactions(numbered).in_time_order().select("event", moment=pl.int_range(pl.len()))
    own = kept.join(taken_back.select("user").unique(), on="user", how="semi")
    columns = ["user", "item", "event", *_of_time(numbered)]
    gone = taken_back.rename({"place": "event"}).join(moments.rename({"event": "by", "moment": "until"}), on="by")
    both = pl.concat([own.select(columns), gone.select(*columns, "until")], how="diagonal")
    return both.join(moments, on="event").sort("moment").drop("event")


def _of_each(users: pl.Series, frame: pl.DataFrame, items: Catalog) -> list[list[dict[str, Any]]]:
    """Each user's rows of known items, which are their indices."""
    positions: Tensor = items.lookup(frame["item"])
    known = frame.with_columns(item=pl.Series(positions.numpy())).filter(pl.col("item") >= 0)
    rows = defaultdict[Any, list[dict[str, Any]]](list)
    for row in known.iter_rows(named=True):
        rows[row["user"]].append(row)
    return [rows[user] for user in users]
