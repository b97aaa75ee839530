"""A run and what happened since, before anything is learnt of it."""

from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from nextitem.data.features.table import ItemFeatures
from nextitem.data.interactions import Interactions
from nextitem.experiment.folder.reading import Run
from nextitem.serving.catalogue.additions import of_values
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.catalogue.living import with_title
from nextitem.serving.catalogue.told import together as stacked
from nextitem.serving.laying import laid_on, trained_of
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.together import Together, together
from nextitem.serving.store.untold import Untold


@dataclass(frozen=True)
class Grown:
    """What a run is to be learnt on with."""

    recommender: Recommender
    """The run as it answers, with what changed in the catalogue."""
    both: Together
    holds: dict[str, int] | None
    """What the run will have learnt of services' databases, as its metrics say it."""
    added: ItemFeatures | None = None
    """Items that a service was told of and the model has no rows for."""
    notes: tuple[str, ...] = ()
    """What was assumed of the new events."""

    @classmethod
    def of(cls, run: Run, events: Interactions | Untold) -> Self:
        """The run with new events. Raises DataError as `together` and as the changes do."""
        recommender, holds = Recommender.from_run(run), run.metrics.holds
        if isinstance(events, Interactions):
            return cls(recommender, together(run, events), holds)
        recommender = laid_on(recommender, events.changes)
        are_later = events.store in (holds or {})
        both = together(run, Interactions(events.events), without=events.forgotten, are_later=are_later)
        known, features = {*recommender.known.raw_items}, trained_of(recommender).features
        # A model that only counts was never asked whether it has these columns.
        there = {"title", *features.names}
        rows = [
            {"item": item, **{name: value for name, value in told.items() if name in there}}
            for item, told in events.changes.added.items()
            if item not in known
        ]
        added = of_values(rows, features) if rows else None
        return cls(recommender, both, {**(holds or {}), events.store: events.latest}, added, _assumed(run, events))

    def features(self, items: ItemFeatures | None = None) -> ItemFeatures:
        """What is known of the items of the log, row i of item i; `items` are what is known of new ones."""
        table, ids = trained_of(self.recommender).features, self.both.log.items.ids
        for more in (self.recommender.changes.added, self.added, items):
            if more is not None:
                fresh = ~more.table["item"].is_in(table.table["item"].implode())
                table = stacked(with_title(table), ItemFeatures(more.table.filter(fresh)))
        aligned = ids.alias("item").to_frame().join(table.table, on="item", how="left", maintain_order="left")
        return ItemFeatures(aligned)

    def user_features(self, run: Run) -> ItemFeatures | None:
        """What the run knows of the users of the log, row u of user u, nothing of new ones; None where of nobody."""
        if (known := run.user_features) is None:
            return None
        ids = self.both.log.users.ids.alias("user").to_frame()
        return ItemFeatures(ids.join(known.table, on="user", how="left", maintain_order="left"), "user")

    def changes(self) -> CatalogueChanges:
        """What of the changes of the catalogue is left when the log is learnt: added items with events are trained."""
        changes, trained = self.recommender.changes, {*self.both.log.items.ids.to_list()}
        added = changes.added
        if added is not None:
            rest = added.table.filter(~pl.col("item").is_in([raw for raw in changes.added_ids if raw in trained]))
            added = ItemFeatures(rest) if rest.height else None
        there = trained.union([] if added is None else added.table["item"])
        titles = {item: title for item, title in changes.titles.items() if item in there}
        return replace(changes, retired=changes.retired & there, titles=titles, added=added, rows=None)


def _assumed(run: Run, events: Untold) -> tuple[str, ...]:
    """What is taken to be so of a database's events, and nobody can prove."""
    notes = []
    if events.is_first:
        has_times = run.users is not None and "times" in run.users.columns
        same = "those of the same user, item and time as its own are left out" if has_times else (
            "where a user's begin with all that it has of them they are taken for an export of everything, and those "
            "are left out"
        )  # fmt: skip
        notes.append(f"the run has learnt nothing of this database before, so all its events are taken as new; {same}")
    if events.in_doubt:
        is_are = "event counts" if events.in_doubt == 1 else "events count"
        notes.append(
            f"{events.in_doubt:,} {is_are} as learnt by number and happened after the run was made: either their times "
            f"lay ahead, or the database was put back to an earlier copy and told of other events since, which are "
            f"not learnt; train anew with an export of all events if so"
        )
    return tuple(notes)
