"""What each split would hold: what is learnt from, what is asked, and what cannot be answered. C cases."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.sequences import Sequences
from nextitem.data.splits import AnySplit
from nextitem.data.splits.split import Cases, Split
from nextitem.errors import DataError
from nextitem.words import counted, percent

_MANY_COLD = 0.05


@dataclass(frozen=True)
class HeldOut:
    """What one split makes of a log; shares are of its test targets, and 0 where there are none."""

    split: str
    """As it is written among settings."""
    training: int = 0
    """Events to learn from."""
    validation: int = 0
    """Cases, as of test."""
    test: int = 0
    users: int = 0
    """Users with a test case."""
    cold: float = 0.0
    """Share that occurs in no training event: no model of ids alone can hit it."""
    repeated: float = 0.0
    """Share that repeats the history: hide=history counts it as missed."""
    ceiling: float = 0.0
    """The highest hit rate of a model of ids alone under hide=history; under hide=nothing 1 − cold."""
    refusal: str = ""
    """Why the log cannot be split so; "" where it can."""

    @classmethod
    def of(cls, name: str, split: Split) -> "HeldOut":
        """Counts and shares of a split that was made."""
        cases = split.test
        is_cold_C = ~cases.is_trained_N[cases.targets_C]
        is_repeated_C = repeats_history(cases)
        return cls(
            split=name,
            training=int(split.train.sizes_U.sum()),
            validation=len(split.validation),
            test=len(cases),
            users=len(cases.histories.users_U.unique()),
            cold=_share(is_cold_C),
            repeated=_share(is_repeated_C),
            ceiling=_share(~is_cold_C & ~is_repeated_C),
        )

    @property
    def finding(self) -> Finding:
        """What it holds; a warning where many targets are cold, and the reason where it can hold nothing."""
        if self.refusal:
            return Finding(self.refusal, Severity.WARNING)
        sentence = (
            f"{self.training:,} events to learn from, {self.validation:,} validation and {self.test:,} test cases of "
            f"{counted(self.users, 'user')}; {percent(self.cold, 2)} of the targets are cold, "
            f"so no hit rate exceeds {self.ceiling:.3f}"
        )
        return Finding(sentence, Severity.NOTE if self.cold > _MANY_COLD else Severity.FINE)


def held_out(name: str, split: AnySplit, histories: Sequences) -> tuple[HeldOut, Split | None]:
    """What a split of the shelf makes of a log, and the split itself; None where it refuses the log."""
    try:
        made = split.split(histories)
    except DataError as refusal:
        return HeldOut(name, refusal=str(refusal)), None
    return HeldOut.of(name, made), made


def _share(which_C: Tensor) -> float:
    return float(which_C.double().mean()) if len(which_C) else 0.0


def repeats_history(cases: Cases) -> Tensor:
    """Which targets are items of their own history, shape (C,)."""
    found, start = [], 0
    for part in cases.histories.parts():
        rows, items = part.flatten()
        is_same = items == cases.targets_C[start : start + len(part)][rows]
        found.append(torch.zeros(len(part), dtype=torch.bool).index_put((rows[is_same],), torch.tensor(True)))
        start += len(part)
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.bool)
