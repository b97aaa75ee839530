"""What a finding says for people, beside its numbers."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol


class Severity(StrEnum):
    """How much a finding matters for the numbers that a training would report."""

    FINE = "fine"
    NOTE = "note"
    """Worth knowing."""
    WARNING = "warning"
    """Changes what a number means, or whether it means anything."""


@dataclass(frozen=True)
class Finding:
    """One sentence with its numbers, how much it matters, and what to do about it."""

    sentence: str
    severity: Severity = Severity.FINE
    remedy: str = ""
    """What to do, as an order; "" where nothing has to be done."""


class Numbers(Protocol):
    """What was counted: a frozen dataclass, one a file, whose fields are plain values."""

    @property
    def finding(self) -> Finding:
        """What the numbers say."""


def as_dict(numbers: Any) -> dict[str, Any]:
    """The numbers and what they say, as plain values."""
    said = numbers.finding
    return {
        **asdict(numbers),
        "sentence": said.sentence,
        "severity": said.severity.value,
        "remedy": said.remedy,
    }
