"""Which events a model may learn from, and which it is asked to foresee. C cases, U users, N items."""

from dataclasses import dataclass, replace

import torch

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases, Split, SplitFacts
from nextitem.errors import DataError


@dataclass(frozen=True)
class LeaveOneOut:
    """Each user's last event is the test target, the one before it the validation target, the rest is training.

    The test history includes the validation item. A user with fewer than three events has nothing to be held out:
    all of them are training, and `Split.short_users` counts such users.
    """

    def split(self, sequences: Sequences, facts: SplitFacts | None = None) -> Split:
        """Split by position within each user; `facts` about this very split spare reading all events.

        Raises DataError when no user has three events.
        """
        is_long_U = sequences.lengths_U >= 3
        if not bool(is_long_U.any()):
            raise DataError(
                f"none of the {len(sequences):,} users has 3 events, so nothing can be held out; leave-one-out needs "
                f"one event each for test, validation and training"
            )
        held_out_U = torch.where(is_long_U, 2, 0)
        train = replace(sequences, stops_U=sequences.stops_U - held_out_U, known_counts_N=None)
        train = replace(train, known_counts_N=train.counts() if facts is None else facts.train_counts_N)
        trained_N = train.counts() > 0
        long = sequences.select(is_long_U)
        validation = (long.without_last(2), long.at(long.stops_U - 2), trained_N)
        test = (long.without_last(1), long.at(long.stops_U - 1), trained_N)
        short_users = int((~is_long_U).sum())
        if facts is None:
            return Split(train, Cases.of(*validation), Cases.of(*test), short_users)
        return Split(train, Cases(*validation, facts.validation_sha256), Cases(*test, facts.test_sha256), short_users)
