"""What a target is ranked against. C cases, K negatives of a case."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.evaluation.candidates import Candidates
from nextitem.evaluation.hiding import Seen, checked, hidden
from nextitem.settings.given import must_be, word_of


@dataclass(frozen=True)
class Ranking:
    """What each target is ranked against: all items but those of its history, where nothing else is said.

    `Ranking.among("popularity:100")` ranks it among drawn items, as older papers do: such numbers compare with no
    full ones, and carry a label.
    """

    hidden: str = "history"
    """Which items are left out of the ranking: those of the `history`, `nothing`, or with `last:n` those of its latest
    n events. A target that is one of them counts as missed."""
    ties: Literal["expectation"] = "expectation"
    """How items of equal score are ordered: `expectation` over a random order."""
    candidates: Candidates | None = None
    """The negatives that a target is ranked among; none: the whole catalogue."""

    def __post_init__(self) -> None:
        checked(self.hidden)
        word_of(self.ties, "ties", ("expectation",))
        if self.candidates is not None:
            must_be(self.candidates, Candidates, "candidates", "Ranking.among('popularity:100') draws some")

    @classmethod
    def among(cls, candidates: str, seed: int = 0, *, hidden: str = "history") -> "Ranking":
        """The ranking among drawn negatives such as `popularity:100`. Raises ConfigurationError for another form."""
        return cls(hidden, candidates=Candidates.parse(candidates, seed))

    @property
    def label(self) -> str:
        """What is written behind the name of a metric: "" of a full ranking, `[pop100]` among candidates."""
        return "" if self.candidates is None else f"[{self.candidates.label}]"

    def __str__(self) -> str:
        return "full" if self.candidates is None else str(self.candidates)

    def size(self, number_of_items: int) -> int:
        """How many items a target is one of."""
        return number_of_items if self.candidates is None else self.candidates.count + 1

    def draw(self, cases: Cases) -> Tensor | None:
        """The negatives of every case, shape (C, K); None where the whole catalogue is ranked.

        Raises ConfigurationError where a case has fewer than K items to draw.
        """
        return None if self.candidates is None else self.candidates.draw(cases, self.hidden)

    def seen(self, histories: Sequences) -> Seen | None:
        """The items that are hidden from each case's ranking."""
        return hidden(self.hidden, histories)


FULL = Ranking()
"""The whole catalogue, histories hidden."""
