"""Which events may be learnt from, and which are asked for: one file per split; this union is the table of contents.

A split is a configuration with `split(sequences, facts=None) -> Split` and `describe() -> str`, and nothing else knows
how it divides a log: what it leaves out it says itself, in `Split.notes`.
"""

from nextitem.data.splits.leave_one_out import LeaveOneOut

# With a second split: Annotated[LeaveOneOut | …, Field(discriminator="name")], which pydantic refuses of one alone.
AnySplit = LeaveOneOut

__all__ = ["AnySplit", "LeaveOneOut"]
