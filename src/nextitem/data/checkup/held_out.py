"""What each split would hold: what is learnt from, what is asked, and what cannot be answered. C cases."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.sequences import Sequences
from nextitem.data.splits import AnySplit, LeaveOneOut, Temporal, Users
from nextitem.data.splits.split import Cases, Split, mean_of_users
from nextitem.errors import DataError
from nextitem.words import counted, percent

_MANY_COLD = 0.05
FEWEST_CASES = 100
"""Test cases from which on an interval says anything."""


@dataclass(frozen=True)
class Hiding:
    """What may not be recommended again, and so counts as missed where it is a target."""

    word: str = "history"
    """As a setting says it."""
    latest: int | None = None
    """Of how many events at the end of a history; None: of all."""


@dataclass(frozen=True)
class HeldOut:
    """What one split makes of a log; shares are of its test targets, and 0 where there are none."""

    split: str
    """Its name and what is not as by default."""
    settings: Mapping[str, str]
    """The same as settings that are typed: key -> value."""
    training: int = 0
    """Events to learn from."""
    validation: int = 0
    """Cases, as of test."""
    test: int = 0
    users: int = 0
    """Users with a test case."""
    new: float = 0.0
    """Share of these users of whom nothing is learnt."""
    cold: float = 0.0
    """Share that occurs in no training event: no model of ids alone can hit it."""
    repeated: float = 0.0
    """Share that repeats what is hidden of the history, and so counts as missed; of all of it under hide=history."""
    ceiling: float = 0.0
    """The highest hit rate of a model of ids alone, averaged over users; of one case each and under hide=nothing it is
    1 − cold."""
    hide: str = "history"
    """What is hidden."""
    rule: str = ""
    """How it divides a log, in words."""
    refusal: str = ""
    """Why the log cannot be split so; "" where it can."""

    @classmethod
    def of(cls, asked: AnySplit, split: Split, hiding: Hiding = Hiding()) -> "HeldOut":
        """Counts and shares of a split that was made."""
        cases = split.test
        is_cold_C = ~cases.is_trained_N[cases.targets_C]
        is_repeated_C = repeats_history(cases, hiding.latest)
        asked_about, learnt = cases.histories.users_U.unique(), split.train.users_U[split.train.sizes_U > 0]
        return cls(
            split=name_of(asked),
            settings=settings_of(asked),
            rule=asked.rule,
            training=int(split.train.sizes_U.sum()),
            validation=len(split.validation),
            test=len(cases),
            users=len(asked_about),
            new=_share(~torch.isin(asked_about, learnt)),
            cold=_share(is_cold_C),
            repeated=_share(is_repeated_C),
            ceiling=mean_of_users(~is_cold_C & ~is_repeated_C, cases),
            hide=hiding.word,
        )

    @property
    def is_by_time(self) -> bool:
        """Whether it parts the log by time, and holds enough test cases for a number."""
        return self.settings["split"] == Temporal().name and self.test >= FEWEST_CASES

    @property
    def finding(self) -> Finding:
        """What it holds; a warning where many targets are cold, and the reason where it can hold nothing."""
        if self.refusal:
            return Finding(self.refusal, Severity.WARNING)
        repeated = f" and {percent(self.repeated, 2)} repeat the history, which hide={self.hide} hides"
        sentence = (
            f"{self.training:,} events to learn from, {self.validation:,} validation and {self.test:,} test cases of "
            f"{counted(self.users, 'user')}{f', {percent(self.new)} of them new' if self.new else ''}; "
            f"{percent(self.cold, 2)} of the targets are cold{repeated if self.repeated else ''}, "
            f"so no hit rate exceeds {self.ceiling:.3f}"
        )
        return Finding(sentence, Severity.NOTE if self.cold > _MANY_COLD else Severity.FINE)


def held_out(asked: AnySplit, histories: Sequences, hiding: Hiding = Hiding()) -> tuple[HeldOut, Split | None]:
    """What a split of the shelf makes of a log, and the split itself; None where it refuses the log."""
    try:
        made = asked.split(histories)
    except DataError as refusal:
        return HeldOut(name_of(asked), settings_of(asked), rule=asked.rule, refusal=str(refusal)), None
    return HeldOut.of(asked, made, hiding), made


def compared(histories: Sequences) -> tuple[AnySplit, ...]:
    """The splits that a log is looked at by beside the one that was asked for; by time where it has times."""
    by_time = (Temporal(cut=0.8), Temporal(cut=0.9)) if histories.has_times else ()
    return (LeaveOneOut(), *by_time, Users())


def settings_of(split: AnySplit) -> dict[str, str]:
    """A split as settings that are typed; of those that have a default only what differs from it.

    >>> settings_of(Temporal(cut=0.8))
    {'split': 'temporal', 'split.cut': '0.8'}
    """
    changed = split.model_dump(mode="json", exclude_defaults=True)
    return {"split": split.name} | {f"split.{key}": str(value) for key, value in changed.items()}


def name_of(split: AnySplit) -> str:
    """The name of a split and, of one by time, its cut; then what else is not as by default.

    >>> name_of(Temporal()), name_of(LeaveOneOut())
    ('temporal cut=0.9', 'leave_one_out')
    """
    changed = split.model_dump(mode="json", exclude_defaults=True) | split.model_dump(mode="json", include={"cut"})
    return " ".join([split.name, *(f"{key}={value}" for key, value in changed.items())])


def _share(which_C: Tensor) -> float:
    return float(which_C.double().mean()) if len(which_C) else 0.0


def repeats_history(cases: Cases, latest: int | None = None) -> Tensor:
    """Which targets are items of their own history, or of its `latest` events, shape (C,)."""
    if latest == 0:
        return torch.zeros(len(cases), dtype=torch.bool)
    found, start = [], 0
    for part in (cases.histories if latest is None else cases.histories.last(latest)).parts():
        rows, items = part.flatten()
        is_same = items == cases.targets_C[start : start + len(part)][rows]
        found.append(torch.zeros(len(part), dtype=torch.bool).index_put((rows[is_same],), torch.tensor(True)))
        start += len(part)
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.bool)
