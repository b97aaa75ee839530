"""What a run has stored and what happened since, as one log."""

from dataclasses import dataclass

import polars as pl

from nextitem.data.interactions import Interactions
from nextitem.data.kinds import interpret
from nextitem.data.log import Log, index
from nextitem.errors import DataError
from nextitem.experiment.folder.reading import Run


@dataclass(frozen=True)
class Together:
    """Stored and new events of a run."""

    log: Log
    new: pl.DataFrame
    """`user`, `item` and `time` of those that the run had not."""
    users: int
    """New ones, as of the next."""
    items: int


def together(run: Run, events: Interactions) -> Together:
    """The log of a run with new events behind its own, each with its time.

    A run stores times only where its model reads them; without them its events are older than all new ones. New events
    that it has already are left out: those of equal user, item and time, or, without times, the whole stored history
    that a user's new events begin with. Raises DataError where new events have no times, or none is new; for a run that
    was stored without its users; and for one whose users said no to items, which is not carried on.
    """
    if run.users is None:
        raise DataError(f"{run.folder} was stored without its users, so there is nothing to go on from; train anew")
    kinds = run.metrics.provenance.kinds or {}
    if "disliked" in run.users.columns:
        raise DataError(f"{run.folder} knows what its users said no to, which update does not carry on; train anew")
    given = interpret(events, kinds).events.events if kinds else events.events
    if "time" not in given.columns:
        raise DataError("the new events have no times, and those say what is learnt and what is held out; name their "
                        "column by --columns time=NAME")  # fmt: skip
    new = _as_stored(given.sort("time", maintain_order=True), run)
    old = _stored(run, float(new["time"].min() or 0.0))  # type: ignore[arg-type]
    new = _unknown(old, new, has_times="times" in run.users.columns)
    if not new.height:
        raise DataError(f"{run.folder} has all of these events already; give newer ones")
    columns = ["user", "item", "time", *(["weight"] if {"weight"} & {*old.columns, *new.columns} else [])]
    both = pl.concat([_weighed(one).select(columns) for one in (old, new)])
    log = index(Interactions(both), kinds)
    users, items = (new[name].n_unique() - new[name].unique().is_in(old[name].unique().implode()).sum()
                    for name in ("user", "item"))  # fmt: skip
    return Together(log, new, int(users), int(items))


def _as_stored(events: pl.DataFrame, run: Run) -> pl.DataFrame:
    """The events with ids of the run's types. Raises DataError for an id that is none of them."""
    users = run.users if run.users is not None else events
    kinds = {"user": users.schema["user"], "item": run.items.schema["item"]}
    cast = events.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in kinds.items())
    for name in kinds:
        if cast[name].null_count():
            raw = events[name].filter(cast[name].is_null())[0]
            raise DataError(f"{name} {raw!r} of the new events is no number, as the run's {name}s are; give its ids")
    return cast.with_columns(pl.col("time").cast(pl.Float64))


def _stored(run: Run, earliest: float) -> pl.DataFrame:
    """A row for each event that the run has, oldest first of each user."""
    users = run.users if run.users is not None else pl.DataFrame()
    lists = {"history": "place", "times": "time", "weights": "weight"}
    kept = {name: column for name, column in lists.items() if name in users.columns}
    named = [pl.col(name).alias(column) for name, column in kept.items()]
    rows = users.select("user", *named).explode([*kept.values()], empty_as_null=False)
    rows = rows.with_columns(item=run.items["item"].gather(rows["place"]))
    if "time" not in rows.columns:
        rows = rows.with_columns(time=pl.lit(earliest - 1))
    return rows.with_columns(pl.col("time").cast(pl.Float64))


def _unknown(old: pl.DataFrame, new: pl.DataFrame, *, has_times: bool) -> pl.DataFrame:
    """The new events that are not among the old ones."""
    if has_times:
        return new.join(old, on=["user", "item", "time"], how="anti", maintain_order="left")
    histories = dict(old.group_by("user", maintain_order=True).agg("item").iter_rows())
    given = dict(new.group_by("user", maintain_order=True).agg("item").iter_rows())
    skipped = {
        user: len(histories[user])
        for user, items in given.items()
        if user in histories and items[: len(histories[user])] == histories[user]
    }
    number = pl.int_range(pl.len()).over("user")
    first = pl.col("user").replace_strict(skipped, default=0, return_dtype=pl.Int64) if skipped else pl.lit(0)
    return new.filter(number >= first)


def _weighed(events: pl.DataFrame) -> pl.DataFrame:
    weight = pl.col("weight") if "weight" in events.columns else pl.lit(1.0)
    return events.with_columns(weight=weight.cast(pl.Float32))
