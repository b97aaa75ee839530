"""What changed in a catalogue since its model was trained: items retired, renamed, added."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import polars as pl
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog
from nextitem.errors import DataError
from nextitem.serving.catalogue.told import together
from nextitem.serving.ids import RawId, column_of
from nextitem.words import counted


@dataclass(frozen=True)
class CatalogueChanges:
    """What a recommender is to know of its items that no training told it. It does not change: methods make others."""

    retired: frozenset[RawId] = frozenset()
    """Items that are never recommended, whatever is asked; in histories they are read like any other."""
    titles: Mapping[RawId, str] = field(default_factory=dict)
    """What items are called now."""
    added: ItemFeatures | None = None
    """Items that the model was not trained on, and what is known of them; None: there are none."""
    rows: Mapping[str, Tensor] | None = None
    """What a model has of each added item, where that was foretold once; None: it is to be."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return not (self.retired or self.titles or self.added)

    @property
    def added_ids(self) -> list[RawId]:
        """The raw ids of added items, in their order."""
        return [] if self.added is None else self.added.table["item"].to_list()

    def retire(self, items: Iterable[RawId]) -> "CatalogueChanges":
        """The changes with these items retired; those that are retired already stay so."""
        return replace(self, retired=self.retired | {*items})

    def restore(self, items: Iterable[RawId]) -> "CatalogueChanges":
        """The changes with these items recommended again."""
        return replace(self, retired=self.retired - {*items})

    def rename(self, titles: Mapping[RawId, str]) -> "CatalogueChanges":
        """The changes with other titles."""
        return replace(self, titles={**self.titles, **titles})

    def add(self, items: ItemFeatures) -> "CatalogueChanges":
        """The changes with more items, whose columns are those of the ones before them.

        Raises DataError for an item that was added before.
        """
        if self.added is None:
            return replace(self, added=items, rows=None)
        is_twice = items.table["item"].is_in(self.added.table["item"].implode())
        if is_twice.any():
            first = items.table["item"].filter(is_twice)[0]
            raise DataError(
                f"item {first!r} was added before ({counted(int(is_twice.sum()), 'such item')}); leave it out, or "
                f"rename it"
            )
        return replace(self, added=together(self.added, items), rows=None)

    def checked(self, trained: Catalog) -> "CatalogueChanges":
        """The same, with ids of the catalogue's own type, once they go with the items that a model was trained on.

        Raises DataError for a change of an item that is not there, and for an added one that is.
        """
        added = pl.Series("item", [], trained.ids.dtype) if self.added is None else self.added.table["item"]
        if added.dtype != trained.ids.dtype:
            raise DataError(
                f"the ids of added items are {_in_words(added)}, and those of trained ones {_in_words(trained.ids)}: "
                f"give ids of the same kind"
            )
        known = trained.lookup(added)
        if len(known) and int(known.max()) >= 0:
            first = added[int((known >= 0).nonzero()[0, 0])]
            raise DataError(
                f"item {first!r} is among the {len(trained):,} items that the model was trained on, and cannot be "
                f"added; rename it, or restore it where it was retired"
            )
        everything = Catalog(pl.concat([trained.ids.alias("item"), added.alias("item")]))
        retired = everything.raw(everything.index(column_of([*self.retired]))).to_list()
        renamed = everything.raw(everything.index(column_of([*self.titles]))).to_list()
        titles = dict(zip(renamed, self.titles.values(), strict=True))
        return replace(self, retired=frozenset(retired), titles=titles)


def _in_words(ids: pl.Series) -> str:
    return "texts" if ids.dtype == pl.String else "whole numbers"
