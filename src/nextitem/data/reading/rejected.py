"""Rows of files that cannot be used and are left out: counted, each with its reason and with what stood in it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import polars as pl
from polars import DataFrame

from nextitem.storage.cells import unguarded

REJECTED = "rejected.csv"
"""What the file of such rows is called in a run and in a prepared folder."""
REJECTED_ITEMS = "rejected_items.csv"
"""The same of the table of items."""
_SCHEMA = {"file": pl.String, "row": pl.Int64, "column": pl.String, "reason": pl.String, "content": pl.String}


class RejectedRows:
    """Rows that were left out as `columns.on_bad_rows=skip` asks, of one file after the other."""

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self.reasons: Counter[str] = Counter(known)
        """How many rows were left out for which reason."""
        self._frames: dict[str, list[DataFrame]] = {}
        self._before = DataFrame(schema=_SCHEMA)  # what was left out of what was read before

    @classmethod
    def stored(cls, table: DataFrame, reasons: Mapping[str, int]) -> Self:
        """Rows of a file that `read_rejected` gave, and how many there were for which reason."""
        found = cls(reasons)
        found._before = table
        return found

    def __len__(self) -> int:
        """All that were ever left out, those that were drained too."""
        return self.reasons.total()

    @property
    def table(self) -> DataFrame:
        """`file`, `row` (line or row of it, from 1), `column` ("" of a whole row), `reason` and `content`, in order."""
        files = [pl.concat(frames).sort("row", maintain_order=True) for frames in self._frames.values()]
        return pl.concat([self._before, *files])

    def drain(self) -> DataFrame:
        """The `table` of all since the last call, which is then forgotten: what is counted stays."""
        found, self._frames, self._before = self.table, {}, self._before.clear()
        return found

    def add(self, file: Path | str, rows: DataFrame, column: str, reason: str) -> None:
        """Take note of rows (`row` and `content`) of a file that are left out for one reason."""
        known = {"file": pl.lit(str(file)), "column": pl.lit(column), "reason": pl.lit(reason)}
        frame = rows.with_columns(**known).select(list(_SCHEMA)).cast(_SCHEMA)  # type: ignore[arg-type]
        self._frames.setdefault(str(file), []).append(frame)
        self.reasons[f"{column} {reason}".strip()] += rows.height

    def extend(self, more: "RejectedRows") -> None:
        """Take note of rows that were left out elsewhere, behind those that are known."""
        self._before, self._frames = pl.concat([self.table, more.table]), {}
        self.reasons.update(more.reasons)


def read_rejected(file: Path) -> DataFrame:
    """The rows that a file of this name has, as they were before they were guarded against spreadsheets.

    Raises what polars raises of a file that is none.
    """
    written = pl.read_csv(file, schema=pl.Schema(dict.fromkeys(_SCHEMA, pl.String))).fill_null("")
    return DataFrame([unguarded(column) for column in written]).cast(_SCHEMA)  # type: ignore[arg-type]
