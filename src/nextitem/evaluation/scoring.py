"""The seam between whatever produces scores and whatever ranks them. C cases, K candidates, N items."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ScoreError


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
class SparseQuery(Query, Protocol):
    """A query that has few scores of its own for each history: all other items score as `common_N` says.

    An optional ability: what is ranked by it gets the very ranks that its `scores` give, without a score of all items.
    """

    common_N: Tensor
    """Of each item the score after every history that says nothing else, shape (N,)."""

    def own(self) -> tuple[Tensor, Tensor, Tensor]:
        """(rows_E, items_E, scores_E): the scores that are a history's own, by row and item, each pair once.

        Of all histories of the query: whoever has many selects some of them before.
        """

    def select(self, rows: Tensor) -> "SparseQuery":
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


@runtime_checkable
class VectorScorer(Scorer, Protocol):
    """A scorer that has a vector for each item, by which it is scored.

    An optional ability: items are as alike as the cosine of their vectors says.
    """

    def item_vectors(self) -> Tensor:
        """The vectors, shape (N, e), without gradients; what is added to every score of an item is not in them."""


@runtime_checkable
class ProductQuery(Query, Protocol):
    """A query whose scores are products of a vector of each history with one of each item.

    An optional ability: whoever has the items' vectors in an index finds most of the best without a score of all.
    """

    def vectors(self) -> Tensor:
        """Those of the histories, shape (C, e)."""

    def select(self, rows: Tensor) -> "ProductQuery":
        """The query for some of the histories."""


@runtime_checkable
class ProductScorer(Scorer, Protocol):
    """A scorer that may have a table of vectors, so that its scores are products and its queries `ProductQuery`."""

    def product_table(self) -> Tensor | None:
        """The matrix (N, e) whose product with a query's vector is a score, biases included, without gradients.

        None where scores are no products.
        """


def refuse_nan(scores: Tensor) -> None:
    """Raises ScoreError where a score is NaN."""
    # NaN compares false with everything: unguarded, every target of a diverged model would rank first.
    if not bool(scores.sum().isfinite()) and bool(scores.isnan().any()):
        raise ScoreError("the model's scores contain NaN, so nothing can be ranked; training diverged")
