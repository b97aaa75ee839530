"""Each user's last event is asked for, and the one before it chooses. U users."""

from dataclasses import replace
from typing import ClassVar, Literal

import torch

from nextitem.data.sequences import Sequences
from nextitem.data.splits.division import Division
from nextitem.data.splits.split import Split, SplitFacts, Views
from nextitem.errors import DataError
from nextitem.words import counted


class LeaveOneOut(Division):
    """Each user's last event is the test target, the one before it the validation target, the rest is training.

    The test history includes the validation item. A user with fewer than three events has nothing to be held out:
    all of them are training, and `Split.notes` counts such users.
    """

    name: Literal["leave_one_out"] = "leave_one_out"
    least_events: ClassVar[int] = 3
    """Events of a user that is evaluated: one each for test, validation and training."""

    @property
    def rule(self) -> str:
        """Which events are learnt from and which are asked for, in words."""
        return "leave-one-out: of each user the last event is the test target, and the one before it validates"

    def split(self, sequences: Sequences, facts: SplitFacts | None = None) -> Split:
        """Split by position within each user; `facts` about this very split spare reading all events.

        Raises DataError when no user has three events.
        """
        sequences = Sequences.required(sequences)
        is_long_U = sequences.lengths_U >= self.least_events
        if not bool(is_long_U.any()):
            raise DataError(
                f"of {counted(len(sequences), 'user')} none has {self.least_events} events, so nothing can be held "
                f"out; leave-one-out needs one event each for test, validation and training"
            )
        train, train_and_validation = (
            replace(sequences, stops_U=sequences.stops_U - torch.where(is_long_U, held_out, 0), known_counts_N=None)
            for held_out in (2, 1)
        )
        long = sequences.select(is_long_U)
        validation = (long.without_last(2), long.at(long.stops_U - 2))
        test = (long.without_last(1), long.at(long.stops_U - 1))
        short = len(sequences) - len(long)
        fewer = f"with fewer than {self.least_events} events"
        note = f"{counted(short, f'user {fewer} is', f'users {fewer} are')} trained on but not evaluated"
        notes = (note,) if short else ()
        return Split.of(Views(train, train_and_validation, validation, test, self.rule, notes), facts)

    def describe(self) -> str:
        """What it is called at the beginning of a sentence."""
        return "Leave-one-out"
