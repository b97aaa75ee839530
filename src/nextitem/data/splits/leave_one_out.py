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
    all of them are training, and `Split.notes` counts such users. Where events are of several kinds, the last two that
    may be targets are held out. A history has every event before its target; training has those before the first of
    the two, of which there must be one.
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
        targets_U2 = sequences.last_targets(2)
        is_long_U = targets_U2[:, 0] > sequences.starts_U  # one that is missing is at −1
        if not bool(is_long_U.any()):
            if sequences.has_weights:
                raise DataError(
                    f"of {counted(len(sequences), 'user')} none has two targets with an event before them, so nothing "
                    f"can be held out; leave-one-out needs one target each for test and validation"
                )
            raise DataError(
                f"of {counted(len(sequences), 'user')} none has {self.least_events} events, so nothing can be held "
                f"out; leave-one-out needs one event each for test, validation and training"
            )
        train, train_and_validation = (
            replace(sequences, stops_U=torch.where(is_long_U, places_U, sequences.stops_U), known_counts_N=None)
            for places_U in targets_U2.unbind(1)
        )
        long = sequences.select(is_long_U)
        validation, test = (
            (replace(long, stops_U=places_U), long.at(places_U)) for places_U in targets_U2[is_long_U].unbind(1)
        )
        short = len(sequences) - len(long)
        fewer = f"with fewer than {self.least_events} events"
        if sequences.has_weights:
            fewer = "without two targets and an event before them"
        note = f"{counted(short, f'user {fewer} is', f'users {fewer} are')} trained on but not evaluated"
        notes = (note,) if short else ()
        return Split.of(Views(train, train_and_validation, validation, test, self.rule, notes), facts)

    def describe(self) -> str:
        """What it is called at the beginning of a sentence."""
        return "Leave-one-out"
