"""Which events a model may learn from, and which it is asked to foresee. C cases, U users, N items."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.errors import DataError
from nextitem.sequences import Sequences


@dataclass(frozen=True)
class Cases:
    """C questions: after this history, which item came next?

    `trained_N` tells which items occur in training: the share of targets among them is the ceiling of any model that
    knows items by id alone. `sha256` identifies histories and targets.
    """

    histories: Sequences
    targets_C: Tensor
    trained_N: Tensor
    sha256: str

    @classmethod
    def of(cls, histories: Sequences, targets_C: Tensor, trained_N: Tensor) -> "Cases":
        """Cases with their fingerprint."""
        digest = hashlib.sha256(str(histories.number_of_items).encode())
        for part in (histories.users_U, histories.lengths_U, histories.flatten()[1], targets_C):
            digest.update(part.to(torch.int64).contiguous().numpy().tobytes())
        return cls(histories, targets_C, trained_N, digest.hexdigest())

    def __len__(self) -> int:
        return len(self.targets_C)

    def select(self, rows: Tensor) -> "Cases":
        """Some of the cases, as cases of their own (another fingerprint)."""
        return Cases.of(self.histories.select(rows), self.targets_C[rows], self.trained_N)


@dataclass(frozen=True)
class Split:
    """What may be learnt from (`train`) and the cases that choose (`validation`) and report (`test`)."""

    train: Sequences
    validation: Cases
    test: Cases
    short_users: int  # users with too few events for a part; all their events are in train


@dataclass(frozen=True)
class LeaveOneOut:
    """Each user's last event is the test target, the one before it the validation target, the rest is training.

    The test history includes the validation item. A user with fewer than three events has nothing to be held out:
    all of them are training, and `Split.short_users` counts such users.
    """

    def split(self, sequences: Sequences) -> Split:
        """Split by position within each user. Raises DataError when no user has three events."""
        is_long_U = sequences.lengths_U >= 3
        if not bool(is_long_U.any()):
            raise DataError(
                f"none of the {len(sequences):,} users has 3 events, so nothing can be held out; leave-one-out needs "
                f"one event each for test, validation and training"
            )
        held_out_U = torch.where(is_long_U, 2, 0)
        train = Sequences(
            sequences.items,
            sequences.starts_U,
            sequences.stops_U - held_out_U,
            sequences.users_U,
            sequences.number_of_items,
        )
        trained_N = train.counts() > 0
        long = sequences.select(is_long_U)
        return Split(
            train,
            Cases.of(long.without_last(2), long.items[long.stops_U - 2], trained_N),
            Cases.of(long.without_last(1), long.items[long.stops_U - 1], trained_N),
            int((~is_long_U).sum()),
        )
