"""What may be learnt from, and the cases that ask. C cases, N items."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.questions import of_users, questions
from nextitem.errors import DataError
from nextitem.settings.given import listed, must_be, whole_number
from nextitem.words import counted, percent


@dataclass(frozen=True)
class Categories:
    """Which categories items have, where that is known."""

    columns: tuple[str, ...]
    """The columns of the items' table that they are from."""
    matrix: Callable[[], Tensor]
    """Makes (N, V) float32, sparse and coalesced: 1 where an item has a category."""


@dataclass(frozen=True)
class Cases:
    """C targets, each after a history: which item came next?

    A user may have several, after one history or after several; cases of a user are neighbours, and users ascend.
    Everything that a number on them depends on beside the ranking: a certificate is made of the two.
    """

    histories: Sequences
    targets_C: Tensor
    counts_N: Tensor
    """How often each item occurs in training."""
    sha256: str
    """Of histories and targets."""
    dataset: str = "unnamed"
    """What the data is called."""
    rule: str = ""
    """How cases were chosen, in words; "" where nobody said."""
    train: Sequences | None = None
    """What may be learnt from, which metrics of lists ask about; None of cases that are of no split."""
    categories: Categories | None = None
    """Those of items, which metrics of lists ask about as well; None where none are known."""

    @classmethod
    def of(
        cls, histories: Sequences, targets_C: Tensor, counts_N: Tensor, dataset: str = "unnamed", rule: str = ""
    ) -> "Cases":
        """Cases with their fingerprint. Raises ConfigurationError for histories that are none, or not one each."""
        histories = Sequences.required(histories)
        for name, tensor in (("targets_C", targets_C), ("counts_N", counts_N)):
            must_be(tensor, Tensor, name, "torch.tensor(…) makes one of a list")
        if len(targets_C) != len(histories):
            raise DataError(f"{len(histories):,} histories and {len(targets_C):,} targets; give each history one")
        digest = hashlib.sha256(str(histories.number_of_items).encode())
        events = (part.flatten()[1] for part in histories.parts())
        for part in chain((histories.users_U, histories.lengths_U), events, (targets_C,)):
            digest.update(part.to(torch.int64).contiguous().numpy().tobytes())
        return cls(histories, targets_C, counts_N, digest.hexdigest(), dataset, rule)

    def __len__(self) -> int:
        return len(self.targets_C)

    @cached_property
    def questions_C(self) -> Tensor:
        """Which question each case belongs to, numbered from 0: cases of one user after the same history are one."""
        return questions(self.histories)

    @property
    def is_trained_N(self) -> Tensor:
        """Which items occur in training: no model that knows items by id alone hits a target that does not."""
        return self.counts_N > 0

    def telling_times(self) -> "Cases":
        """The same cases, whose histories say which event is asked for, so that a model can be told when it happened.

        Raises DataError where that is not the event after the history, as where one history has several targets.
        """
        histories, places_C = self.histories, self.histories.stops_U
        is_next_C = places_C < len(histories.events)
        is_next_C &= histories.at(places_C.clamp(max=len(histories.events) - 1)) == self.targets_C
        if not bool(is_next_C.all()):
            raise DataError(
                f"{int((~is_next_C).sum()):,} of {len(self):,} targets are not the event after their history, so a "
                f"model cannot be told when they happened; take split.target=successive, or encoder.times=past"
            )
        return replace(self, histories=replace(histories, asked_U=places_C))

    def select(self, rows: Tensor) -> "Cases":
        """Some of the cases, by their places or a mask, as cases of their own (another fingerprint)."""
        rows = rows if isinstance(rows, Tensor | slice) else _places(rows)
        some = Cases.of(self.histories.select(rows), self.targets_C[rows], self.counts_N, self.dataset, self.rule)
        return replace(some, train=self.train, categories=self.categories)


def _places(rows: object) -> Tensor:
    numbers = [whole_number(row, f"rows[{n}]", "the place of a case") for n, row in enumerate(listed(rows, "rows"))]
    return torch.tensor(numbers, dtype=torch.int64)


def mean_of_users(values_C: Tensor, cases: Cases) -> float:
    """The mean over the users of what each one's cases have on average, as metrics are averaged; 0 of no cases."""
    return float(of_users(values_C.double(), cases.histories.users_U).mean()) if len(cases) else 0.0


@dataclass(frozen=True)
class Views:
    """What a split makes of a log, before anything is counted: of cases the histories and the targets."""

    train: Sequences
    train_and_validation: Sequences
    validation: tuple[Sequences, Tensor]
    test: tuple[Sequences, Tensor]
    rule: str
    """How all this was chosen, in words."""
    notes: tuple[str, ...] = ()
    """What could not be divided, in words."""
    cuts: tuple[float, ...] = ()
    """The moments that part the log, latest first, in unix seconds; none of a split that knows no time."""


@dataclass(frozen=True)
class Split:
    """What may be learnt from (`train`) and the cases that choose (`validation`) and report (`test`)."""

    train: Sequences
    validation: Cases
    test: Cases
    train_and_validation: Sequences
    """What may be learnt when nothing is to be chosen any more: all that is not held out for the test."""
    notes: tuple[str, ...] = ()
    """What could not be divided, in words."""
    cuts: tuple[float, ...] = ()
    """The moments that part the log, latest first, in unix seconds; none of a split that knows no time."""

    @classmethod
    def of(cls, views: Views, facts: "SplitFacts | None" = None) -> "Split":
        """The parts with counts and fingerprints; `facts` about this very split spare finding them."""
        counts_N = views.train.counts() if facts is None else facts.train_counts_N
        train = replace(views.train, known_counts_N=counts_N)
        if facts is None:
            validation, test = (Cases.of(*asked, counts_N, rule=views.rule) for asked in (views.validation, views.test))
        else:
            validation = Cases(*views.validation, counts_N, facts.validation_sha256, rule=views.rule)
            test = Cases(*views.test, counts_N, facts.test_sha256, rule=views.rule)
        validation, test = (replace(cases, train=train) for cases in (validation, test))
        return cls(train, validation, test, views.train_and_validation, views.notes, views.cuts)

    @property
    def told(self) -> tuple[str, ...]:
        """`notes`, and how many test targets nothing is learnt of, with the ceiling that they put on a hit rate."""
        is_trained_C = self.test.is_trained_N[self.test.targets_C]
        if not (cold := int((~is_trained_C).sum())):
            return self.notes
        share, all_of_them = cold / len(self.test), counted(len(self.test), "test target")
        occur, ceiling = "occurs" if cold == 1 else "occur", mean_of_users(is_trained_C, self.test)
        return (
            *self.notes,
            f"{cold:,} of {all_of_them} ({percent(share, 2)}) {occur} in no training event: except by chance no hit "
            f"rate of a model that knows items by their ids alone exceeds {ceiling:.3f}",
        )

    def with_validation(self) -> "Split":
        """The validation events in the training part as well; the validation cases then ask for what may be learnt."""
        counts_N = self.train_and_validation.counts()
        train = replace(self.train_and_validation, known_counts_N=counts_N)
        return replace(self._of_cases(counts_N=counts_N, train=train), train=train)

    def telling_times(self) -> "Split":
        """The same split, whose cases say when their targets happened; raises as `Cases.telling_times`."""
        return replace(self, validation=self.validation.telling_times(), test=self.test.telling_times())

    def named(self, dataset: str) -> "Split":
        """The same split, its cases with the name of the data that they are from."""
        return self._of_cases(dataset=dataset)

    def with_categories(self, categories: Categories | None) -> "Split":
        """The same split, its cases with what is known of the items' categories."""
        return self._of_cases(categories=categories)

    def _of_cases(self, **changes: Any) -> "Split":
        validation, test = (replace(cases, **changes) for cases in (self.validation, self.test))
        return replace(self, validation=validation, test=test)


@dataclass(frozen=True)
class SplitFacts:
    """What takes a reading of all events to find out about a split, so that it may be stored with them."""

    train_counts_N: Tensor
    validation_sha256: str
    test_sha256: str
    cuts: tuple[float, ...] = ()
    """As `Split.cuts`."""

    @classmethod
    def of(cls, split: Split) -> "SplitFacts":
        """The facts of a split."""
        return cls(split.train.counts(), split.validation.sha256, split.test.sha256, split.cuts)
