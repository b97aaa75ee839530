"""The seam between whatever produces scores and whatever ranks them. C cases, K candidates, N items."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from nextitem.data.sequences import Sequences


class Query(Protocol):
    """Scores of C histories, computed where asked: a slice of the catalogue or some candidates at a time.

    Several threads may ask at once.
    """

    number_of_items: int

    def __len__(self) -> int:
        """C, the number of histories."""

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start), floating point, higher is better.

        The tensor is fresh: the caller may overwrite it.
        """

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""

    def select(self, rows: Tensor) -> "Query":
        """The query for some of the histories."""


@runtime_checkable
class Scorer(Protocol):
    """Anything that can be evaluated and served: a neural model, a count, the true process of a generator."""

    def query(self, histories: Sequences) -> Query:
        """Prepare scores for these histories; those of one user and of equal content get scores equal up to rounding.

        A kernel may add in another order for another row, so that equal histories of one query can differ in the last
        bits; nothing rests on more. Equal items of one history have equal scores, to the bit, in every slice and among
        all candidates: whoever multiplies scores one of them for all, since a product's columns promise no such thing.
        """
