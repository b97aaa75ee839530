"""Rows of files that cannot be used and are left out: counted, each with its reason and with what stood in it."""

from collections import Counter
from pathlib import Path

import polars as pl
from polars import DataFrame

from nextitem.words import counted

REJECTED = "rejected.csv"
"""What the file of such rows is called in a run and in a prepared folder."""
_SCHEMA = {"file": pl.String, "row": pl.Int64, "column": pl.String, "reason": pl.String, "content": pl.String}
_REASONS_TOLD = 5


class RejectedRows:
    """Rows that were left out as `columns.on_bad_rows=skip` asks, of one file after the other."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
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

    def told(self) -> str:
        """How many were left out, and why.

        >>> rejected = RejectedRows()
        >>> rejected.add(Path("log.csv"), DataFrame({"row": [7], "content": [",x"]}), "user", "is blank")
        >>> rejected.told()
        '1 row left out: user is blank (1)'
        """
        most = [f"{reason} ({count:,})" for reason, count in self.reasons.most_common(_REASONS_TOLD)]
        more = len(self.reasons) - _REASONS_TOLD
        return f"{counted(len(self), 'row')} left out: {', '.join(most)}" + (f", and {more} more" if more > 0 else "")
