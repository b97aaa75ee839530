"""Rows that were left out of what a run was made of."""

from nextitem.data.reading.rejected import REJECTED, REJECTED_ITEMS, RejectedRows, read_rejected
from nextitem.experiment.folder.reading import Run


def left_out_of(run: Run) -> tuple[RejectedRows, RejectedRows]:
    """(rows of the events, rows of tables of items); of a run on a prepared folder their counts alone.

    Raises ArtefactError for a file of them that is not what was written.
    """
    made = run.metrics.provenance
    return _stored(run, REJECTED, made.rejected), _stored(run, REJECTED_ITEMS, made.rejected_items)


def _stored(run: Run, name: str, reasons: dict[str, int]) -> RejectedRows:
    table = run.optional(name, read_rejected)
    return RejectedRows(reasons) if table is None else RejectedRows.stored(table, reasons)
