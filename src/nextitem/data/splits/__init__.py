"""Which events may be learnt from, and which are asked for: one file per split; this union is the table of contents.

A split is a configuration with `split(sequences, facts=None) -> Split`, `describe()` and `rule` in words, and nothing
else knows how it divides a log: what it leaves out it says itself, in `Split.notes`.
"""

from typing import Annotated

from pydantic import Field

from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.data.splits.temporal import Temporal
from nextitem.data.splits.users import Users

AnySplit = Annotated[LeaveOneOut | Temporal | Users, Field(discriminator="name")]

__all__ = ["AnySplit", "LeaveOneOut", "Temporal", "Users"]
