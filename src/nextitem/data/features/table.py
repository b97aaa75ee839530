"""Features of the items of a catalogue, a row each: their types say what they are, in memory and in features.parquet.

    item      the raw id, as the catalogue has it
    title     a text; a column of this name is nothing else
    others    List(String): categories   Float64: a number   String: a text   Array(Float32, d): a vector

A missing value is null; an empty list of categories is known to be empty. Numbers and vectors are finite.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from nextitem.data.reading.tables import sized
from nextitem.storage import write_parquet

FILE = "features.parquet"
RESERVED = ("item", "title")
CATEGORIES, NUMBER, TEXT = pl.List(pl.String), pl.Float64(), pl.String()


@dataclass(frozen=True)
class ItemFeatures:
    """What is known of N items: `table` has a row for each, in the order of the catalogue."""

    table: pl.DataFrame

    @classmethod
    def none(cls, items: pl.Series) -> "ItemFeatures":
        """Nothing but the raw ids of a catalogue."""
        return cls(items.alias("item").to_frame())

    def __len__(self) -> int:
        """N."""
        return self.table.height

    @property
    def names(self) -> list[str]:
        """All columns of features, without title."""
        return [name for name in self.table.columns if name not in RESERVED]

    @property
    def categories(self) -> list[str]:
        """The columns of categories."""
        return self._of(lambda kind: kind == CATEGORIES)

    @property
    def numbers(self) -> list[str]:
        """The columns of numbers."""
        return self._of(lambda kind: kind == NUMBER)

    @property
    def texts(self) -> list[str]:
        """The columns of texts, without title."""
        return self._of(lambda kind: kind == TEXT)

    @property
    def vectors(self) -> list[str]:
        """The columns of vectors."""
        return self._of(is_vector)

    def _of(self, is_wanted: Any) -> list[str]:
        return [name for name in self.names if is_wanted(self.table.schema[name])]

    @cached_property
    def titles(self) -> Mapping[object, str]:
        """Titles by raw id, of the items that have one."""
        if "title" not in self.table.columns:
            return {}
        return dict(self.table.select("item", "title").drop_nulls().iter_rows())

    def without_titles(self) -> "ItemFeatures":
        """The rest, where titles are kept elsewhere."""
        return ItemFeatures(self.table.drop("title", strict=False))

    def with_titles(self, titles: pl.Series) -> "ItemFeatures":
        """The same with a title for each item, null where there is none."""
        rest = self.table.drop("title", strict=False)
        return ItemFeatures(rest.insert_column(1, titles.alias("title"))) if titles.count() else ItemFeatures(rest)

    def sha256(self) -> str:
        """Fingerprint of what models read of the items: their ids, and columns of categories, numbers and vectors."""
        digest = hashlib.sha256()
        for name in ("item", *self.categories, *self.numbers, *self.vectors):
            column = self.table[name]
            digest.update(json.dumps([name, str(column.dtype), column.to_list()], ensure_ascii=False).encode())
        return digest.hexdigest()

    def write(self, file: Path) -> None:
        """Write the table as parquet. Raises OSError."""
        write_parquet(file, self.table)


def read_features(file: Path, items: pl.Series) -> ItemFeatures:
    """Features that were written of these items. Raises ValueError where they are others, or not what they must be."""
    table = sized(file).collect()
    if table.columns[:1] != ["item"] or not table["item"].equals(items.alias("item"), check_dtypes=True):
        raise ValueError(f"its first column should hold the {len(items):,} items of the catalogue, in their order")
    for column in table.get_columns()[1:]:
        _check(column)
    return ItemFeatures(table)


def is_vector(kind: pl.DataType) -> bool:
    """Whether a column of this type holds vectors."""
    return isinstance(kind, pl.Array) and kind.inner == pl.Float32 and len(kind.shape) == 1 and kind.size > 0


def _check(column: pl.Series) -> None:
    """Raise ValueError for a column that is none of features."""
    name, kind = column.name, column.dtype
    if not (kind in (CATEGORIES, NUMBER, TEXT) or is_vector(kind)) or (name == "title" and kind != TEXT):
        raise ValueError(f"column {name} holds {kind}, which is no feature")
    inner = column.drop_nulls()
    inner = inner.explode(empty_as_null=False) if kind.is_nested() else inner
    if inner.null_count():
        raise ValueError(f"column {name} has a list in which a value is missing")
    if inner.dtype.is_float() and not bool(inner.is_finite().all()):
        raise ValueError(f"column {name} holds numbers that are not finite")
