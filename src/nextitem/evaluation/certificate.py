"""What a number was measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

from nextitem.data.splits.split import Cases
from nextitem.evaluation.ranking import Ranking


@dataclass(frozen=True)
class Certificate:
    """What a number was measured on; two numbers may be compared only if their certificates are equal."""

    dataset: str
    split: str
    """sha256 over the histories and targets."""
    cases: int
    hidden: str
    """Which items are left out of the ranking: `history` or `nothing`."""
    ties: str
    """How items of equal score are ordered: `expectation` over a random order."""
    ranking: str
    """`full` catalogue, or how a case's negatives were drawn, such as `popularity:100, seed 0`."""
    candidates: int
    """Number of items that are ranked."""
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, cases: Cases, ranking: Ranking, metrics: Sequence[str]) -> "Certificate":
        """What says that `metrics` (with their labels) of these cases come from this ranking."""
        return cls(
            dataset=cases.dataset,
            split=cases.sha256,
            cases=len(cases),
            hidden=ranking.hidden,
            ties=ranking.ties,
            ranking=str(ranking),
            candidates=ranking.size(cases.histories.number_of_items),
            metrics=tuple(metrics),
        )
