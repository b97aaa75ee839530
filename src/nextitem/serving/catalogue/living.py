"""What answers rest on, with a changed catalogue. N trained items, M added ones."""

from dataclasses import replace

import polars as pl
import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import DataError
from nextitem.model.growing import Growing
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.catalogue.cold import ColdMap
from nextitem.serving.catalogue.told import together
from nextitem.serving.known import Known


def changed(known: Known, changes: CatalogueChanges) -> tuple[Known, CatalogueChanges]:
    """What is known with the changes of the catalogue, and these, with what was foretold of added items.

    `known` is of trained items alone. Added items are N…N + M − 1, have no training events, and are marked as cold.
    Raises DataError where changes and items do not go together, and where items are added to a model that has no rows
    of items.
    """
    changes = changes.checked(known.items)
    known, changes = _grown(known, changes)
    if changes.retired:
        is_retired_N = torch.zeros(len(known.items), dtype=torch.bool)
        is_retired_N[known.items.lookup(pl.Series([*changes.retired], dtype=known.items.ids.dtype))] = True
        known = replace(known, is_retired_N=is_retired_N)
    if changes.titles:
        titles = known.features.titles
        new = changes.titles
        listed = [new.get(item, titles.get(item)) for item in known.items.ids.to_list()]
        named = pl.Series("title", listed, dtype=pl.String)
        known = replace(known, features=known.features.with_titles(named))
    return known, changes


def _grown(known: Known, changes: CatalogueChanges) -> tuple[Known, CatalogueChanges]:
    """The same with added items, and the changes with their rows."""
    if changes.added is None:
        return known, changes
    scorer, added = known.scorer, changes.added
    if not isinstance(scorer, Growing):
        raise DataError(
            "the model counts events of items and has no vectors of them, so nothing can be foretold of items without "
            "events; train a recipe with vectors of items (such as sasrec-ce) to add items from features, or add these "
            "by `nextitem update` once they have events"
        )
    rows = changes.rows
    if rows is None:
        rows = scorer.rows_of(known.features, known.counts_N, added)
    if rows is None:
        rows = ColdMap.learnt(scorer, known.features, known.counts_N, known.histories).rows(added)
    features = together(with_title(known.features), added)
    counts_N = torch.cat([known.counts_N, known.counts_N.new_zeros(len(added))])
    histories = known.histories
    if histories is not None:
        histories = replace(histories, events=replace(histories.events, number_of_items=len(counts_N)))
    known = replace(
        known,
        scorer=scorer.grown(rows),
        features=features,
        counts_N=counts_N,
        histories=histories,
        is_cold_N=torch.arange(len(counts_N)) >= len(known.items),
    )
    return known, replace(changes, rows=rows)


def with_title(features: ItemFeatures) -> ItemFeatures:
    """The same with a column of titles, also where nobody has one: added items may."""
    if "title" in features.table.columns:
        return features
    none = pl.Series("title", [None] * len(features), dtype=pl.String)
    return ItemFeatures(features.table.insert_column(1, none))
