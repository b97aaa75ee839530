"""What is known of items beside their ids, as tables that are made of it read it: each item a row of numbers.

Users, whose features a prefix reads, are such rows as well. N items, K categories of the item with the most, V
categories, F numbers: columns of numbers and of given vectors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.layout import Bags, category_bags, item_vectors, standardised
from nextitem.data.features.table import ItemFeatures
from nextitem.errors import DataError
from nextitem.model.weights import stored

_MOST_DEVIATIONS = 4.0  # beyond the numbers that were seen a straight line goes on for ever, and a typing error with it


@dataclass(frozen=True)
class Content:
    """Rows of N items, and by which measure their numbers were taken.

    Whatever is counted, is so of items with training events alone: categories are those that one of them has, numbers
    are in standard deviations from their mean, and vectors in units of their mean length.
    """

    has_id_N: Tensor
    """1 of an item with training events, whose id may mean something; 0 of any other, which is its content alone."""
    categories_NK: Tensor
    """int64: the categories of each item, 0 where there are no more."""
    shares_NK: Tensor
    """What each of them counts: 1 by how many of its column the item has; 0 where there is none."""
    numbers_NF: Tensor
    """Columns of numbers, none beyond ±4, and then of vectors; 0 where there is no value."""
    centres_F: Tensor
    """What was subtracted from each column, and by what it was then divided."""
    scales_F: Tensor
    categories: int = 0
    """V."""

    @classmethod
    def nothing(cls, number_of_items: int) -> "Content":
        """Of items that are known by their ids alone."""
        none = torch.zeros(number_of_items, 0)
        return cls(torch.ones(number_of_items), none.long(), none, none, torch.zeros(0), torch.zeros(0))

    @classmethod
    def of(cls, features: ItemFeatures, counts_N: Tensor) -> "Content":
        """All categories, numbers and vectors of the items, of which `counts_N` say how often each occurs in training.

        Titles and texts are not read. Raises DataError where nothing else is known.
        """
        refuse_featureless(features)
        is_trained_N = (counts_N > 0).cpu()
        numbers = standardised(features, is_trained_N.long())
        centres, scales = [numbers.means_F], [numbers.deviations_F]
        for name in features.vectors:
            found = item_vectors(features, name)
            lengths = found.values_Nd[is_trained_N & ~found.is_missing_N].double().norm(dim=1)
            length = float(lengths.mean()) if len(lengths) else 0.0
            centres.append(torch.zeros(found.values_Nd.shape[1], dtype=torch.float64))
            scales.append(torch.full_like(centres[-1], length or 1.0))
        words = _vocabulary(features, is_trained_N)
        measures = cls.nothing(0)
        measures = replace(measures, centres_F=torch.cat(centres).float(), scales_F=torch.cat(scales).float())
        return replace(measures._rows(features, words), has_id_N=is_trained_N.float(), categories=words.height)

    def more(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> "Content":
        """Rows of items that were `added` to those of `features`, of which this is; none of them has an id.

        Categories that these did not have are left out. Raises ValueError for features and counts of others.
        """
        words = _vocabulary(features, (counts_N > 0).cpu())
        columns = len(features.numbers) + sum(_width(features, name) for name in features.vectors)
        if (words.height, columns) != (self.categories, len(self.centres_F)):
            raise ValueError(
                f"the features have {words.height:,} categories and {columns:,} numbers, and the model learnt of "
                f"{self.categories:,} and {len(self.centres_F):,}"
            )
        return self._rows(ItemFeatures(added.table.select(added.of, *features.names), added.of), words)

    def words(self, features: ItemFeatures) -> pl.DataFrame:
        """Row v is category v, `feature` and `category`: found again in the `features` of the items that this is of.

        Items all of whose categories count say which is which. Raises ValueError where they do not tell all of them.
        """
        bags = category_bags(features)
        sizes_N, is_held_NK = bags.offsets.diff(), self.shares_NK > 0
        if len(sizes_N) != len(is_held_NK):
            raise ValueError(f"the features are of {len(sizes_N):,} rows, and the model's of {len(is_held_NK):,}")
        is_whole_N = is_held_NK.sum(1) == sizes_N
        words_P = bags.categories_P[torch.repeat_interleave(is_whole_N, sizes_N)]
        numbers_P = self.categories_NK[is_whole_N][is_held_NK[is_whole_N]]
        number_V = torch.full((bags.vocabulary.height,), -1)
        number_V[words_P] = numbers_P
        told = number_V[number_V >= 0]
        if not torch.equal(number_V[words_P], numbers_P) or not torch.equal(told, torch.arange(self.categories)):
            raise ValueError(f"the features do not tell which are the model's {self.categories:,} categories")
        return bags.vocabulary.filter(pl.Series((number_V >= 0).numpy()))

    def told(self, features: ItemFeatures, words: pl.DataFrame) -> "Content":
        """Rows of others, of whom `features` tell and whose categories are `words`; any other of theirs is left out."""
        return self._rows(features, words)

    def _rows(self, features: ItemFeatures, words: pl.DataFrame) -> "Content":
        """These measures with the rows of other items, none of which has an id."""
        raw = [_column(features, name)[:, None] for name in features.numbers]
        raw_NF = torch.cat([torch.zeros(len(features), 0, dtype=torch.float64), *raw], 1)
        numbers = raw_NF.shape[1]
        centres_F, scales_F = self.centres_F.cpu().double(), self.scales_F.cpu().double()
        scaled = ((raw_NF - centres_F[:numbers]) / scales_F[:numbers]).nan_to_num(0.0)
        vectors = [item_vectors(features, name).values_Nd.double() for name in features.vectors]
        given = torch.cat([raw_NF[:, :0], *vectors], 1) / scales_F[numbers:]
        categories_NK, shares_NK = _padded(category_bags(features), words)
        return replace(
            self,
            has_id_N=torch.zeros(len(features)),
            categories_NK=categories_NK,
            shares_NK=shares_NK,
            numbers_NF=torch.cat([scaled.clamp(-_MOST_DEVIATIONS, _MOST_DEVIATIONS), given], 1).float(),
        )

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All of it by name."""
        return {name: getattr(self, name) for name in NAMES}

    @classmethod
    def among(cls, tensors: Mapping[str, Tensor], number_of_items: int, categories: int) -> "Content":
        """That of `tensors`, as it was stored. Raises ValueError for what can be none."""
        like = cls.nothing(0).tensors
        found = {name: stored(tensors, name, like=tensor) for name, tensor in like.items()}
        content = cls(**found, categories=categories)
        wanted = {name: (number_of_items,) for name in NAMES if "_N" in name} | {"centres_F": (), "scales_F": ()}
        for name, tensor in found.items():
            if tensor.shape[: len(wanted[name])] != wanted[name]:
                raise ValueError(f"{name} has {len(tensor):,} rows, and there are {number_of_items:,} items")
        if found["categories_NK"].shape != found["shares_NK"].shape:
            raise ValueError("categories_NK and shares_NK are of different shapes")
        if not len(found["centres_F"]) == len(found["scales_F"]) == found["numbers_NF"].shape[1]:
            raise ValueError("numbers_NF, centres_F and scales_F have different numbers of columns")
        ids = found["categories_NK"]
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < categories:
            raise ValueError(f"categories_NK holds what is none of {categories:,} categories")
        return content


def refuse_featureless(features: ItemFeatures) -> None:
    """Raises DataError for items of which nothing is known that content is made of."""
    if not (features.categories or features.numbers or features.vectors):
        raise DataError(
            "items=featured reads categories, numbers and vectors of the items, and there are none; name a table of "
            "the items by features.file=movies.csv, and its columns by --item-columns"
        )


NAMES = tuple(field.name for field in fields(Content) if field.name != "categories")
"""What the tensors of content are called."""


def _vocabulary(features: ItemFeatures, is_trained_N: Tensor) -> pl.DataFrame:
    """Row v is category v, `feature` and `category`: those that an item with training events has."""
    bags = category_bags(features)
    items_P = torch.repeat_interleave(torch.arange(len(bags)), bags.offsets.diff())
    is_known_V = torch.zeros(bags.vocabulary.height, dtype=torch.bool)
    is_known_V[bags.categories_P[is_trained_N[items_P]]] = True
    return bags.vocabulary.filter(pl.Series(is_known_V.numpy()))


def _padded(bags: Bags, words: pl.DataFrame) -> tuple[Tensor, Tensor]:
    """(the categories of each item among `words`, what each counts), both (N, K); a word that is none is left out."""
    names = ["feature", "category"]
    known = words.cast(pl.String).with_columns(  # without any column there is no type
        number=pl.int_range(pl.len()), column=pl.col("feature").rle_id()
    )
    there = bags.vocabulary.cast(pl.String).join(known, on=names, how="left", maintain_order="left")
    numbers_V, columns_V = (
        torch.from_numpy(there[name].cast(pl.Int64).fill_null(-1).to_numpy(writable=True))
        for name in ("number", "column")
    )
    items_P = torch.repeat_interleave(torch.arange(len(bags)), bags.offsets.diff())
    is_known_P = numbers_V[bags.categories_P] >= 0
    items_P, words_P = items_P[is_known_P], bags.categories_P[is_known_P]
    counts_N = torch.bincount(items_P, minlength=len(bags))
    places_P = torch.arange(len(items_P)) - (counts_N.cumsum(0) - counts_N)[items_P]
    columns = int(columns_V.max()) + 1 if len(columns_V) else 0
    keys_P = items_P * columns + columns_V[words_P]
    shares_P = 1.0 / torch.bincount(keys_P, minlength=1)[keys_P] if len(keys_P) else torch.zeros(0)
    shape = (len(bags), int(counts_N.max()) if len(counts_N) else 0)
    categories_NK, shares_NK = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape)
    categories_NK[items_P, places_P], shares_NK[items_P, places_P] = numbers_V[words_P], shares_P.float()
    return categories_NK, shares_NK


def _width(features: ItemFeatures, name: str) -> int:
    kind = features.table.schema[name]
    return kind.size if isinstance(kind, pl.Array) else 0


def _column(features: ItemFeatures, name: str) -> Tensor:
    """A column of numbers, NaN where there is none; float64."""
    return torch.from_numpy(features.table[name].fill_null(float("nan")).to_numpy(writable=True)).double()
