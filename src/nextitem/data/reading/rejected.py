"""Rows of files that cannot be used and are left out: counted, each with its reason and with what stood in it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from polars import DataFrame

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

    def __len__(self) -> int:
        """All that were ever left out, those that were drained too."""
        return self.reasons.total()

    @property
    def table(self) -> DataFrame:
        """`file`, `row` (line or row of it, from 1), `column` ("" of a whole row), `reason` and `content`, in order."""
        empty = DataFrame(schema=_SCHEMA)
        files = [pl.concat(frames).sort("row", maintain_order=True) for frames in self._frames.values()]
        return pl.concat([empty, *files])

    def drain(self) -> DataFrame:
        """The `table` of all since the last call, which is then forgotten: what is counted stays."""
        found, self._frames = self.table, {}
        return found

    def add(self, file: Path | str, rows: DataFrame, column: str, reason: str) -> None:
        """Take note of rows (`row` and `content`) of a file that are left out for one reason."""
        known = {"file": pl.lit(str(file)), "column": pl.lit(column), "reason": pl.lit(reason)}
        frame = rows.with_columns(**known).select(list(_SCHEMA)).cast(_SCHEMA)  # type: ignore[arg-type]
        self._frames.setdefault(str(file), []).append(frame)
        self.reasons[f"{column} {reason}".strip()] += rows.height
