"""What features tell a map about items, as rows of numbers. M items, F columns, V words and categories, d width.

The columns are those that items with training events have: a word that only a new item has tells nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.layout import category_bags, item_vectors, standardised
from nextitem.data.features.table import ItemFeatures

MOST_WORDS = 3_000  # columns of words and categories: the map takes as many squared numbers, and their cube of seconds
LEAST_ITEMS = 2  # trained items that have a word: of one alone it would be the item's own name
_MOST_DEVIATIONS = 4.0  # beyond the numbers that were seen a straight line goes on for ever, and a typing error with it


@dataclass(frozen=True)
class Told:
    """Which columns are made of features, and how; learnt from the items that occur in training."""

    words: pl.DataFrame
    """Row v is column v: `feature` (the column it is from) and `category`, a category or a word of a title or text."""
    numbers: tuple[str, ...]
    means: Tensor
    """Per column of numbers, of trained items that have one; float64, as the next."""
    deviations: Tensor
    vectors: tuple[str, ...]
    scales: tuple[float, ...]
    """Per column of vectors, what one number of them is on average, without its sign."""

    @classmethod
    def by(cls, features: ItemFeatures, counts_N: Tensor) -> "Told":
        """What can be told of items by what is known of those that occur in training (`counts_N` > 0).

        Words and categories of fewer than two trained items are left out, and all but the 3,000 most frequent.
        """
        is_trained_N = counts_N > 0
        bags = category_bags(_worded(features))
        items_P = torch.repeat_interleave(torch.arange(len(bags)), bags.offsets.diff())
        trained_P = bags.categories_P[is_trained_N[items_P]]
        frequency_V = torch.bincount(trained_P, minlength=bags.vocabulary.height)
        chosen = frequency_V.argsort(descending=True, stable=True)[:MOST_WORDS]
        chosen = chosen[frequency_V[chosen] >= LEAST_ITEMS].sort().values
        numbers = standardised(features, counts_N)
        vectors = [item_vectors(features, name) for name in features.vectors]
        known = [one.values_Nd[is_trained_N & ~one.is_missing_N] for one in vectors]
        scales = tuple(float(values.square().mean().sqrt()) if values.numel() else 1.0 for values in known)
        return cls(
            bags.vocabulary[chosen.numpy()].cast(pl.String),  # without any column there is no type to be told by
            numbers.names,
            numbers.means_F,
            numbers.deviations_F,
            tuple(features.vectors),
            tuple(scale or 1.0 for scale in scales),
        )

    @classmethod
    def nothing(cls) -> "Told":
        """No columns: of whom nothing is known."""
        none = pl.DataFrame(schema={"feature": pl.String, "category": pl.String})
        return cls(none, (), torch.zeros(0), torch.zeros(0), (), ())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known that could tell one item from another."""
        return not (self.words.height or self.numbers or self.vectors)

    def of(self, features: ItemFeatures) -> Tensor:
        """The rows of these items, shape (M, F) float64; zero where nothing is known."""
        parts = [self._words_of(features), *self._numbers_of(features), *self._vectors_of(features)]
        return torch.cat([part.double() for part in parts], 1)

    def _words_of(self, features: ItemFeatures) -> Tensor:
        bags = category_bags(_worded(features))
        columns = bags.vocabulary.cast(pl.String).join(
            self.words.with_row_index("column"), on=["feature", "category"], how="left", maintain_order="left"
        )["column"]
        columns_V = torch.from_numpy(columns.cast(pl.Int64).fill_null(-1).to_numpy(writable=True))
        items_P = torch.repeat_interleave(torch.arange(len(bags)), bags.offsets.diff())
        columns_P = columns_V[bags.categories_P]
        rows_MV = torch.zeros(len(features), self.words.height)
        rows_MV[items_P[columns_P >= 0], columns_P[columns_P >= 0]] = 1.0
        return rows_MV

    def _numbers_of(self, features: ItemFeatures) -> list[Tensor]:
        """Each column in standard deviations, none beyond ±4, and whether there is one."""
        parts = []
        for name, mean, deviation in zip(self.numbers, self.means, self.deviations, strict=True):
            values = torch.from_numpy(features.table[name].to_numpy(writable=True)).double()  # NaN where none is
            scaled = ((values - mean) / deviation).clamp(-_MOST_DEVIATIONS, _MOST_DEVIATIONS)
            parts.append(torch.stack([scaled.nan_to_num(0.0), values.isnan().double()], 1))
        return parts

    def _vectors_of(self, features: ItemFeatures) -> list[Tensor]:
        """Each column's vectors at the scale of the others, and whether there is one."""
        parts = []
        for name, scale in zip(self.vectors, self.scales, strict=True):
            found = item_vectors(features, name)
            parts.append(torch.cat([found.values_Nd / scale, found.is_missing_N[:, None]], 1))
        return parts


def _worded(features: ItemFeatures) -> ItemFeatures:
    """The categories, and the words of titles and texts as categories of columns of their own."""
    texts = [name for name in ("title", *features.texts) if name in features.table.columns]
    words = [pl.col(name).str.to_lowercase().str.extract_all(r"\w+").alias(f"words of {name}") for name in texts]
    return ItemFeatures(features.table.select("item", *features.categories, *words))


def together(first: ItemFeatures, second: ItemFeatures) -> ItemFeatures:
    """The items of both, with the columns of the first; what the second has not is missing."""
    names: Sequence[str] = first.table.columns
    missing = [
        pl.lit(None, dtype=first.table.schema[name]).alias(name) for name in names if name not in second.table.columns
    ]
    return ItemFeatures(pl.concat([first.table, second.table.with_columns(missing).select(names)]))
