"""What a run has stored and what happened since, as one log."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from nextitem.data.interactions import Interactions
from nextitem.data.kinds import OTHERS, PLAIN, RETRACTION, weight_of
from nextitem.data.log import Catalog, Log, index
from nextitem.errors import DataError
from nextitem.experiment.folder.reading import Run
from nextitem.serving.answering.joined import Stored, joined, still_disliked
from nextitem.serving.answering.news import Changes, News
from nextitem.serving.ids import RawId

Kinds = Mapping[str, float | str]


@dataclass(frozen=True)
class Together:
    """Stored and new events of a run."""

    log: Log
    new: pl.DataFrame
    """`user`, `item` and `time` of those that the run had not."""
    users: int
    """New ones, as of the next."""
    items: int


def together(run: Run, events: Interactions, *, without: Collection[RawId] = (), are_later: bool = False) -> Together:
    """The log of a run with new events behind its own, each with its time: what answers go by that are given these.

    Retractions are carried out, on stored events as well, and what users say no to is added to what they said before.
    Of the users `without` nothing that is stored is in it, only new events.

    A run stores times only where its model reads them; without them its events are older than all new ones. New events
    that it has already are left out: those of equal user, item and time, or, without times, the whole stored history
    that a user's new events begin with, unless they `are_later` than all of it. Raises DataError where new events have
    no times or kinds that mean nothing, and for a run that was stored without its users.
    """
    if run.users is None:
        raise DataError(f"{run.folder} was stored without its users, so there is nothing to go on from; train anew")
    if "time" not in events.events.columns:
        raise DataError("the new events have no times, and those say what is learnt and what is held out; name their "
                        "column by --columns time=NAME")  # fmt: skip
    users = run.users.filter(~pl.col("user").is_in(pl.Series([*without], dtype=run.users.schema["user"]).implode()))
    kinds = run.metrics.provenance.kinds or {}
    given = _as_stored(events.events.sort("time", maintain_order=True), users, run)
    news = News.of(Interactions(given), kinds or _plain(given))
    said = _said(run, users, given, news, are_later=are_later)
    earliest = float(given["time"][0]) if given.height else 0.0
    old = _stored(run, users, earliest).filter(~pl.col("place").is_in(said.gone))
    new = _weighed(given, kinds).filter(pl.col("place").is_in(said.fresh))
    log = _log(old, new, said, news, kinds, earliest)
    more = (new[name].n_unique() - new[name].unique().is_in(old[name].unique().implode()).sum()
            for name in ("user", "item"))  # fmt: skip
    return Together(log, new.select("user", "item", "time"), *map(int, more))


@dataclass
class _Said:
    """What new events say of stored ones and of each other."""

    gone: list[int] = field(default_factory=list)
    """Places of stored events that are in no history any more, user by user."""
    fresh: list[int] = field(default_factory=list)
    """Places of new events that are in histories and were not stored."""
    disliked: list[tuple[RawId, RawId]] = field(default_factory=list)
    """(user, item) of what users said no to before, and say still."""


def _said(run: Run, users: pl.DataFrame, given: pl.DataFrame, news: News, *, are_later: bool) -> _Said:
    """What the news say, user by user, as whoever answers hears it."""
    items = Catalog.of(pl.concat([run.items["item"], given["item"]]))
    raw = items.ids.to_list()
    place_of = {one: place for place, one in enumerate(raw)}
    numbers = [place_of[one] for one in run.items["item"]]
    starts = users.with_columns(start=pl.col("history").list.len().cast(pl.Int64).cum_sum().shift(1, fill_value=0))
    of_news = news.users.to_frame("user")
    stored = {row["user"]: row for row in starts.join(of_news, on="user", how="semi").iter_rows(named=True)}
    changes, found = news.changes(items), _Said()
    for number, row in enumerate(news.by_user().iter_rows(named=True)):
        own = stored.get(row["user"])
        if own is None:
            found.fresh += row["event"]
            continue
        new = [(second, place_of[item]) for second, item in zip(row["time"], row["item"], strict=True)]
        before = _Before(
            [numbers[item] for item in own["history"]], own.get("times"), own.get("weights"),
            [numbers[item] for item in own.get("disliked") or ()],
        )  # fmt: skip
        kept, fresh, left = _of_user(before, new, changes, number, are_later=are_later)
        found.gone += [own["start"] + place for place in {*range(len(before.items))}.difference(kept)]
        found.fresh += [row["event"][place] for place in fresh]
        found.disliked += [(row["user"], raw[item]) for item in left]
    if "disliked" in users.columns:
        others = users.join(of_news, on="user", how="anti").select("user", "disliked").explode("disliked").drop_nulls()
        found.disliked += [(user, raw[numbers[item]]) for user, item in others.iter_rows()]
    return found


@dataclass(frozen=True)
class _Before:
    """What is stored of a user."""

    items: list[int]
    times: list[float] | None
    weights: list[float] | None
    disliked: list[int]


def _of_user(
    before: _Before, new: list[tuple[float, int]], changes: Changes, number: int, *, are_later: bool
) -> tuple[Sequence[int], Sequence[int], list[int]]:
    """(places of the stored events that stand, of the new ones that were not stored, what is disliked still)."""
    if before.times is None:
        new = [(0.0, item) for _, item in new]
    events = [*zip(before.times or [0.0] * len(before.items), before.items, strict=True)]
    stored = Stored(events, before.weights or [1.0] * len(events), before.times is not None)
    left, taken_back = still_disliked(before.disliked, changes.taken_back[number], changes.no_longer[number])
    both = joined(stored, new, changes.happened[number], taken_back, are_later=are_later)
    if both.is_contained and new[: len(events)] == events:  # what is stored stays, for its weights
        return range(len(events)), range(len(events), len(new)), left
    return both.kept, both.fresh, left


def _plain(given: pl.DataFrame) -> Kinds:
    """What kinds mean where the run learnt from events without: some may be taken back. Raises DataError for others."""
    if "kind" not in given.columns:
        return {}
    if len(kinds := [kind for kind in given["kind"].unique(maintain_order=True) if kind != RETRACTION]) > 1:
        raise DataError(
            f"the new events are of the kinds {kinds[0]!r} and {kinds[1]!r}, and the run learnt from events without "
            f"kinds; leave their column out"
        )
    return PLAIN


def _as_stored(events: pl.DataFrame, users: pl.DataFrame, run: Run) -> pl.DataFrame:
    """The events with ids of the run's types. Raises DataError for an id that is none of them."""
    kinds = {"user": users.schema["user"], "item": run.items.schema["item"]}
    cast = events.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in kinds.items())
    for name in kinds:
        if cast[name].null_count():
            raw = events[name].filter(cast[name].is_null())[0]
            raise DataError(f"{name} {raw!r} of the new events is no number, as the run's {name}s are; give its ids")
    return cast.with_columns(pl.col("time").cast(pl.Float64))


def _stored(run: Run, users: pl.DataFrame, earliest: float) -> pl.DataFrame:
    """A row for each event that the run has of these users, oldest first of each, by its `place`."""
    lists = {"history": "number", "times": "time", "weights": "weight"}
    kept = {name: column for name, column in lists.items() if name in users.columns}
    named = [pl.col(name).alias(column) for name, column in kept.items()]
    rows = users.select("user", *named).explode([*kept.values()], empty_as_null=False).with_row_index("place")
    rows = rows.with_columns(item=run.items["item"].gather(rows["number"]))
    if "time" not in rows.columns:
        rows = rows.with_columns(time=pl.lit(earliest - 1))
    weight = pl.col("weight") if "weight" in rows.columns else pl.lit(1.0)
    rows = rows.with_columns(pl.col("time").cast(pl.Float64), weight=weight.cast(pl.Float32))
    return rows.select("place", "user", "item", "time", "weight")


def _weighed(given: pl.DataFrame, kinds: Kinds) -> pl.DataFrame:
    """The new events by their `place`, each with its weight as a target."""
    weight = pl.lit(1.0)
    if kinds:
        found = given["kind"].unique().to_list()
        weights = {kind: weight_of(kinds.get(kind, kinds.get(OTHERS, "ignored"))) for kind in found}
        weight = pl.col("kind").replace_strict(weights, return_dtype=pl.Float32)
    weighed = given.with_row_index("place").with_columns(weight=weight.cast(pl.Float32))
    return weighed.select("place", "user", "item", "time", "weight")


def _log(old: pl.DataFrame, new: pl.DataFrame, said: _Said, news: News, kinds: Kinds, earliest: float) -> Log:
    """Stored and new events, and what users say no to, which they said when their stored events had ended."""
    ids = {name: old.schema[name] for name in ("user", "item")}
    before = pl.DataFrame(said.disliked, ids, orient="row").with_columns(time=pl.lit(earliest - 1))
    first = old.height + before.height  # places: stored events, then what was said no to, then what is new
    events = pl.concat(
        [
            old.with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64)),
            new.with_columns(place=pl.col("place").cast(pl.Int64) + first),
        ]
    )
    if (events["weight"] == 1).all():
        events = events.drop("weight")
    disliked = before.with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64) + old.height)
    if news.disliked.height:
        after = news.disliked.select("user", "item", "time", place=pl.col("event").cast(pl.Int64) + first)
        disliked = pl.concat([disliked, after])
    if not disliked.height:
        return index(Interactions(events.drop("place")), kinds)
    return index(Interactions(events), kinds, Interactions(disliked))
