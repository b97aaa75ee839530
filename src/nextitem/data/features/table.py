"""Features of the items of a catalogue, a row each: their types say what they are, in memory and in features.parquet.

    item      the raw id, as the catalogue has it; `user` where the rows are of users (user_features.parquet)
    title     a text; a column of this name is nothing else
    others    List(String): categories   Float64: a number   String: a text   Array(Float32, d): a vector

A missing value is null; an empty list of categories is known to be empty. Numbers and vectors are finite.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from nextitem.data.reading.tables import sized
from nextitem.storage import write_parquet

FILE, OF_USERS = "features.parquet", "user_features.parquet"
Of = Literal["item", "user"]
"""What a row is of, and so what the column of raw ids is called."""
CATEGORIES, NUMBER, TEXT = pl.List(pl.String), pl.Float64(), pl.String()


@dataclass(frozen=True)
class ItemFeatures:
    """What is known of N items, or of N users: `table` has a row for each, in the order of the catalogue."""

    table: pl.DataFrame
    of: Of = "item"

    @classmethod
    def none(cls, ids: pl.Series, of: Of = "item") -> "ItemFeatures":
        """Nothing but the raw ids of a catalogue."""
        return cls(ids.alias(of).to_frame(), of)

    def __len__(self) -> int:
        """N."""
        return self.table.height

    @property
    def names(self) -> list[str]:
        """All columns of features, without title."""
        return [name for name in self.table.columns if name not in reserved(self.of)]

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
        return replace(self, table=self.table.drop("title", strict=False))

    def with_titles(self, titles: pl.Series) -> "ItemFeatures":
        """The same with a title for each item, null where there is none."""
        rest = self.table.drop("title", strict=False)
        return ItemFeatures(rest.insert_column(1, titles.alias("title"))) if titles.count() else ItemFeatures(rest)

    def sha256(self) -> str:
        """Fingerprint of what models read of each row: its id, and columns of categories, numbers and vectors."""
        digest = hashlib.sha256()
        for name in (self.of, *self.categories, *self.numbers, *self.vectors):
            column = self.table[name]
            digest.update(json.dumps([name, str(column.dtype), column.to_list()], ensure_ascii=False).encode())
        return digest.hexdigest()

    def write(self, file: Path) -> None:
        """Write the table as parquet. Raises OSError."""
        write_parquet(file, self.table)


def read_features(file: Path, ids: pl.Series, of: Of = "item") -> ItemFeatures:
    """Features that were written of these. Raises ValueError where they are of others, or not what they must be."""
    table = sized(file).collect()
    if table.columns[:1] != [of] or not table[of].equals(ids.alias(of), check_dtypes=True):
        raise ValueError(f"its first column should hold the {len(ids):,} {of}s of the catalogue, in their order")
    for column in table.get_columns()[1:]:
        _check(column)
    return ItemFeatures(table, of)


def reserved(of: Of) -> tuple[str, str]:
    """What no column of features can be called: the ids' and the titles' column.

    >>> reserved("item")
    ('item', 'title')
    """
    return of, "title"


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
