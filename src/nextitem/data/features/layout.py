"""Features as a model computes with them: bags of categories, standardised numbers, vectors; one row per item.

N items, F columns, V categories, P pairs of an item and a category, d the width of vectors. Rows are the indices of the
catalogue, 0…N−1. What is missing is said by a mask: no value stands for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.splits.split import Categories
from nextitem.errors import ConfigurationError, DataError
from nextitem.settings.suggestion import suggest


@dataclass(frozen=True)
class Bags:
    """Which categories each item has: item i has `categories_P[offsets[i]:offsets[i + 1]]`, ascending, each once."""

    vocabulary: pl.DataFrame
    """Row v is category v: `feature`, the column, and `category`; in the order of the columns, then of the texts."""
    offsets: Tensor
    """N + 1 places in the pairs, int64."""
    categories_P: Tensor
    """Rows of the vocabulary, int64."""
    is_missing_NF: Tensor
    """Where an item has no value in a column, which is not the same as having none of its categories."""

    def __len__(self) -> int:
        """N."""
        return len(self.offsets) - 1

    def matrix(self) -> Tensor:
        """1 where an item has a category, as a sparse matrix (N, V) of float32 (coordinates, coalesced)."""
        items_P = torch.repeat_interleave(torch.arange(len(self)), self.offsets.diff())
        places = torch.stack([items_P, self.categories_P])
        shape = (len(self), self.vocabulary.height)
        return torch.sparse_coo_tensor(
            places, torch.ones(len(items_P)), shape, is_coalesced=True, check_invariants=False
        )


def category_bags(features: ItemFeatures, names: Sequence[str] | None = None) -> Bags:
    """The categories of all columns of categories, or of those named; equal words of two columns are two categories.

    The vocabulary is that of the catalogue, held-out items included, as the catalogue itself is. Raises
    ConfigurationError for a column that is none of categories.

    >>> table = pl.DataFrame({"item": [7, 8, 9], "genre": [["war", "art"], None, ["art"]]})
    >>> bags = category_bags(ItemFeatures(table))
    >>> bags.vocabulary["category"].to_list(), bags.offsets.tolist(), bags.categories_P.tolist()
    (['art', 'war'], [0, 2, 2, 3], [0, 1, 0])
    """
    chosen = _chosen(features.categories, names, "categories")
    numbered = features.table.select(pl.int_range(pl.len()).alias("row"), *chosen)
    schema = {"row": pl.Int64, "place": pl.Int64, "category": pl.String}
    pairs = pl.concat(
        [
            pl.DataFrame(schema=schema),
            *(
                numbered.select("row", pl.lit(place, pl.Int64).alias("place"), category=name)
                .explode("category", empty_as_null=False)
                .drop_nulls()
                for place, name in enumerate(chosen)
            ),
        ]
    )
    words = pairs.select("place", "category").unique().sort("place", "category").with_row_index("number")
    ordered = pairs.join(words, on=["place", "category"]).select("row", pl.col("number").cast(pl.Int64))
    ordered = ordered.unique().sort("row", "number")
    counts_N = torch.bincount(torch.from_numpy(ordered["row"].to_numpy(writable=True)), minlength=len(features))
    named = words.select(feature=pl.col("place").replace_strict(dict(enumerate(chosen)), return_dtype=pl.String),
                         category="category")  # fmt: skip
    return Bags(
        named,
        torch.cat([torch.zeros(1, dtype=torch.int64), counts_N.cumsum(0)]),
        torch.from_numpy(ordered["number"].to_numpy(writable=True)),
        _missing(features, chosen),
    )


def category_matrix(features: ItemFeatures, names: Sequence[str] | None = None) -> Tensor:
    """1 where an item has a category, (N, V) float32, sparse (coordinates, coalesced); raises as `category_bags`.

    For measures of how alike items are: `matrix.index_select(0, items)` are the categories of some items, and the dot
    product of two rows is how many the two have in common. An item of which nothing is known has an empty row.

    >>> table = pl.DataFrame({"item": [7, 8], "genre": [["war", "art"], ["art"]]})
    >>> category_matrix(ItemFeatures(table)).to_dense().tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    """
    return category_bags(features, names).matrix()


def known_categories(features: ItemFeatures) -> Categories | None:
    """The categories of all columns, for measures of lists; None where there is no such column."""
    columns = tuple(features.categories)
    return Categories(columns, partial(category_matrix, features)) if columns else None


@dataclass(frozen=True)
class Numbers:
    """Standardised numbers, 0 where one is missing."""

    names: tuple[str, ...]
    values_NF: Tensor
    """float32: by how many standard deviations an item lies above the mean."""
    is_missing_NF: Tensor
    means_F: Tensor
    """float64, as the next: of the items that occur in training and have a value."""
    deviations_F: Tensor
    """Standard deviations (of those items as a whole population); 1 where they do not differ."""


def standardised(features: ItemFeatures, counts_N: Tensor, names: Sequence[str] | None = None) -> Numbers:
    """All columns of numbers, or those named, in standard deviations from the mean.

    Both are of items with training events (`counts_N` > 0), each item once however popular: an item that occurs only in
    held-out events shapes neither. Raises ConfigurationError for a column that is none of numbers, and DataError for
    one in which they are not finite then.

    >>> table = pl.DataFrame({"item": [1, 2, 3, 4], "year": [1990.0, 2010.0, None, 5000.0]})
    >>> standardised(ItemFeatures(table), torch.tensor([1, 5, 2, 0])).values_NF[:, 0].tolist()
    [-1.0, 1.0, 0.0, 300.0]
    """
    chosen = _chosen(features.numbers, names, "numbers")
    is_missing_NF = _missing(features, chosen)
    columns = [torch.from_numpy(features.table[name].fill_null(0).to_numpy(writable=True)) for name in chosen]
    values_NF = torch.stack(columns, 1) if columns else torch.zeros(len(features), 0, dtype=torch.float64)
    counted_NF = ((counts_N > 0)[:, None] & ~is_missing_NF).double()
    numbers_F = counted_NF.sum(0).clamp(min=1)
    means_F = (values_NF * counted_NF).sum(0) / numbers_F
    deviations_F = (((values_NF - means_F) ** 2 * counted_NF).sum(0) / numbers_F).sqrt()
    deviations_F[deviations_F == 0] = 1
    scaled_NF = ((values_NF - means_F) / deviations_F).masked_fill(is_missing_NF, 0).float()
    is_finite_F = scaled_NF.isfinite().all(0) & deviations_F.isfinite()
    for place in (~is_finite_F).nonzero()[:, 0].tolist():
        low, high = values_NF[:, place].aminmax()
        raise DataError(
            f"the numbers in {chosen[place]!r} are too far apart to be standardised, from {float(low):g} to "
            f"{float(high):g}; correct them, or leave the column out"
        )
    return Numbers(tuple(chosen), scaled_NF, is_missing_NF, means_F, deviations_F)


@dataclass(frozen=True)
class Vectors:
    """The vectors of one column, 0 where one is missing."""

    values_Nd: Tensor
    """float32, as they were given."""
    is_missing_N: Tensor


def item_vectors(features: ItemFeatures, name: str) -> Vectors:
    """The vectors in a column. Raises ConfigurationError for one that holds none."""
    _chosen(features.vectors, [name], "vectors")
    column = features.table[name]
    width = column.dtype.size if isinstance(column.dtype, pl.Array) else 0
    values_Nd = torch.zeros(len(features), width)
    is_missing_N = _missing(features, [name])[:, 0]
    values_Nd[~is_missing_N] = torch.from_numpy(column.drop_nulls().to_numpy(writable=True))
    return Vectors(values_Nd, is_missing_N)


def _missing(features: ItemFeatures, names: Sequence[str]) -> Tensor:
    columns = [torch.from_numpy(features.table[name].is_null().to_numpy(writable=True)) for name in names]
    return torch.stack(columns, 1) if columns else torch.zeros(len(features), 0, dtype=torch.bool)


def _chosen(known: list[str], names: Sequence[str] | None, what: str) -> list[str]:
    """The columns named, or all. Raises ConfigurationError for one that is not there."""
    for name in names or ():
        if name not in known:
            raise ConfigurationError(
                f"there is no column of {what} {name!r} among the items' features; {suggest(name, known)}"
            )
    return known if names is None else [*names]
