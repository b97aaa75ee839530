"""A scorer that keeps what it is asked about."""

from nextitem.data.sequences import Sequences
from nextitem.evaluation.scoring import Query, Scorer


class Overheard:
    """Answers as another scorer does, and has the histories of every query in `asked`."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.asked = scorer, list[Sequences]()

    def query(self, histories: Sequences) -> Query:
        self.asked.append(histories)
        return self.scorer.query(histories)
