"""Raw ids -> numbers, some at a time, and in the end a catalogue. Memory holds each id once."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nextitem.data.log import Catalog
from nextitem.data.reading.checks import integers_if_canonical
from nextitem.errors import DataError


class Numbering:
    """Numbers ids as they come; only when all have been seen can they be sorted, as a catalogue is.

    `is_text`: ids come from text, and stand for integers if every one of them is canonical.
    """

    def __init__(self, role: str, *, is_text: bool) -> None:
        self._role, self._is_text = role, is_text
        self._categories = pl.Categories.random()
        # Polars forgets the categories as soon as no column refers to them.
        self._anchor = pl.Series([], dtype=pl.Categorical(self._categories))
        self._type: pl.DataType | None = None
        self.counts = np.zeros(0, dtype=np.int64)
        """How often each number was given."""

    def numbers(self, ids: pl.Series) -> NDArray[np.uint32]:
        """A number per id. Raises DataError where ids are strings now and were integers before, or the reverse."""
        self._type = self._type or ids.dtype
        if ids.dtype != self._type:
            raise DataError(
                f"{self._role} ids are {self._type} in one file and {ids.dtype} in another; give all files one type"
            )
        numbers = ids.cast(pl.String).cast(self._anchor.dtype).to_physical().to_numpy()
        self._count(numbers)
        return numbers.astype(np.uint32, copy=False)

    def _count(self, numbers: NDArray[np.uint32]) -> None:
        counts = np.bincount(numbers, minlength=len(self.counts))
        counts[: len(self.counts)] += self.counts
        self.counts = counts

    def catalog(self) -> tuple[Catalog, NDArray[np.int32]]:
        """The ids in sorted order, and for each number the index of its id there."""
        ids = self._categories.to_series().cast(pl.String)
        if self._is_text:
            ids = integers_if_canonical(ids)
        elif self._type is not None and self._type != pl.String:
            ids = ids.cast(self._type)
        order = ids.arg_sort().to_numpy()
        ranks = np.empty(len(order), dtype=np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        return Catalog(ids.gather(order).alias("id")), ranks
