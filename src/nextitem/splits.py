"""Which events a model may learn from, and which it is asked to foresee. C cases, U users, N items."""

import hashlib
from dataclasses import dataclass, replace
from itertools import chain

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
        events = (part.flatten()[1] for part in histories.parts())
        for part in chain((histories.users_U, histories.lengths_U), events, (targets_C,)):
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

    def with_validation(self) -> "Split":
        """The validation events in the training part as well; the validation cases then ask for what may be learnt."""
        is_asked_U = torch.isin(self.train.users_U, self.validation.histories.users_U)
        train = replace(self.train, stops_U=self.train.stops_U + is_asked_U, known_counts_N=None)
        train = replace(train, known_counts_N=train.counts())
        trained_N = train.counts() > 0
        validation, test = (replace(cases, trained_N=trained_N) for cases in (self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test)


@dataclass(frozen=True)
class SplitFacts:
    """What takes a reading of all events to find out about a split, so that it may be stored with them."""

    train_counts_N: Tensor
    validation_sha256: str
    test_sha256: str

    @classmethod
    def of(cls, split: Split) -> "SplitFacts":
        """The facts of a split."""
        return cls(split.train.counts(), split.validation.sha256, split.test.sha256)


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
