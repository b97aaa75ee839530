"""An index made of the items of a run, and measured against exact lists after its users' histories. Q queries."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

import torch
from torch import Tensor

from nextitem.compute.threads import by_threads
from nextitem.compute.waiting import Say, silent
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.hiding import hidden
from nextitem.evaluation.scoring import ProductQuery, ProductScorer
from nextitem.experiment.folder.reading import Run
from nextitem.serving.answering.by_index import found_by
from nextitem.serving.answering.listing import Listed, ranked, views
from nextitem.serving.indexed.cells import Cells, coded
from nextitem.serving.indexed.coded import Coded
from nextitem.serving.indexed.index import WEIGHTS, IndexFacts, ItemIndex
from nextitem.serving.known import Known
from nextitem.serving.narrowing.allowed import ALL
from nextitem.settings.given import real_number, whole_number

BREADTHS = tuple(times * 2**power for power in range(9) for times in (1.0, 1.5))
"""How many items are looked at for each of a list, the fewest first."""
SHARES = tuple(2 ** (power / 4) for power in range(-20, 1))
"""How many of the cells are entered for it, the fewest first."""
_ROUNDING = 1e-6  # of a score that another kernel computed
_TIMED = 50  # lists that are timed by themselves
_CHECKED = 100  # lists that are made both ways before an index is relied on


@dataclass(frozen=True)
class Indexed:
    """An index that finds as much as was asked for."""

    facts: IndexFacts
    coded: Coded


def indexed(
    run: Run,
    asked: float = 0.99,
    k: int = 10,
    queries: int = 1_000,
    *,
    threads: int = 0,
    say: Say = silent,
) -> Indexed:
    """The index of a run's items that enters the fewest cells and still finds the share `asked` of exact lists.

    Both are made after the stored histories of so many users, with what the run hides left out. Every other one
    chooses how many are looked at and entered, and the others measure what is told. Raises ConfigurationError for a
    model whose scores are no products, where no breadth suffices, and without faiss; DataError for a run without
    histories.
    """
    whole_number(k, "k", "the length of the lists", least=1)
    if not 0 < real_number(asked, "recall", "a share") <= 1:
        raise ConfigurationError(f"recall={asked:g} is no share of exact lists; give one above 0 and up to 1")
    whole_number(queries, "queries", "how many histories it is measured by", least=2)
    known = Known.of_run(run)
    trials = Trials.of(known, k, queries)
    table_Ne = product_table(known)
    began = time.perf_counter()
    made = coded(table_Ne, threads=threads, say=say)
    facts = IndexFacts(
        weights=run.sealed.manifest.files[WEIGHTS].sha256 if run.sealed is not None else "0" * 64,
        items=len(made),
        width=table_Ne.shape[1],
        cells=len(made.sizes_G),
        k=k,
        asked=asked,
        recall=0.0,
        breadth=k,
        entered=1,
        queries=len(trials.query),
        build_seconds=time.perf_counter() - began,
        exact_ms=0.0,
        index_ms=0.0,
    )
    return Indexed(trials.measured(facts, Cells(made)), made)


def falls_short(known: Known) -> str | None:
    """That an index finds less than was asked of it, in words; None where it does not, as far as some lists can tell.

    It may where others made lists of it: another processor or faiss, or a catalogue that changed since. Exact lists
    after the histories of some users say so, where their mean is below by more than three standard errors.
    """
    if known.index is None or known.histories is None:
        return None
    facts, trials = known.index.facts, Trials.of(known, known.index.facts.k, _CHECKED)
    shares = trials.shares(known.index, torch.arange(len(trials.query)))
    if len(shares) < 2 or fmean(shares) + 3 * stdev(shares) / len(shares) ** 0.5 >= facts.asked:
        return None
    return (
        f"its index finds {fmean(shares):.4f} of {len(shares)} exact lists of {facts.k}, and {facts.asked:g} was asked"
    )


def product_table(known: Known) -> Tensor:
    """The matrix whose products are a model's scores. Raises ConfigurationError where there is none."""
    table_Ne = known.scorer.product_table() if isinstance(known.scorer, ProductScorer) else None
    if table_Ne is None:
        raise ConfigurationError(
            "an index finds the largest products of vectors, and this model's scores are none: it counts, is made of "
            "several models, or scores pairs by a network; its lists are exact as they are, and a single model with "
            "items tied, separate or featured can have an index"
        )
    return table_Ne


@dataclass(frozen=True)
class Trials:
    """Q histories, with the exact list after each."""

    query: ProductQuery
    left_out: Sequence[Sequence[int]]
    exact: Sequence[Listed]
    k: int

    @classmethod
    def of(cls, known: Known, k: int, queries: int) -> "Trials":
        """Those of users who are evenly spread over the run's. Raises DataError where it has no histories."""
        histories = known.stored()[1]
        asked_U = (histories.lengths_U > 0).nonzero()[:, 0]
        if len(asked_U) < 2:
            raise DataError("the run has no two users with a history, by which an index could be measured; train anew")
        spread = torch.linspace(0, len(asked_U) - 1, min(queries, len(asked_U))).round().long()
        return cls.after(known, histories.select(asked_U[spread]), k)

    @classmethod
    def after(cls, known: Known, histories: Sequences, k: int) -> "Trials":
        """Those of these histories."""
        product_table(known)
        query, seen = known.scorer.query(histories), hidden(known.hide, histories)
        if not isinstance(query, ProductQuery):
            raise TypeError("a scorer with a table of products has queries with vectors")
        left_out = [list[int]() for _ in range(len(query))]
        for row, item in () if seen is None else zip(*(part.tolist() for part in seen.flatten()), strict=True):
            left_out[row].append(item)
        return cls(query, left_out, ranked(query, k, seen, None), k)

    def measured(self, facts: IndexFacts, cells: Cells) -> IndexFacts:
        """The facts with the smallest breadth and fewest cells that suffice. Raises ConfigurationError where none do.

        Half of what may be missed may be missed by the breadth, and the rest by cells that are not entered.
        """
        sizes = (math.ceil(times * self.k) for times in BREADTHS)
        breadths = [size for size in sizes if _index(facts, cells, size, 1.0).fits(self.k)]
        best, halfway, places = 0.0, (1 + facts.asked) / 2, torch.arange(len(self.query))
        for breadth in breadths:
            best = self.recall(_index(facts, cells, breadth, 1.0), places[::2])
            if best < halfway and breadth != breadths[-1]:
                continue
            for share in SHARES:
                index = _index(facts, cells, breadth, share)
                best = self.recall(index, places[::2])
                if best >= facts.asked and (best := self.recall(index, places[1::2])) >= facts.asked:
                    exact_ms, index_ms = self.milliseconds(index)
                    told = {"recall": best, "exact_ms": exact_ms, "index_ms": index_ms}
                    return index.facts.model_copy(update=told)
        if not breadths:
            raise ConfigurationError(
                f"{facts.items:,} items are so few that an index would have to look at all of them for a list of "
                f"{self.k}; stay with exact lists. Nothing was stored"
            )
        raise ConfigurationError(
            f"the index finds {best:.4f} of exact lists of {self.k} where it looks at {breadths[-1]:,} items for each, "
            f"and {facts.asked:g} was asked for; ask for less by --recall, or stay with exact lists. Nothing was stored"
        )

    def recall(self, index: ItemIndex, rows: Tensor) -> float:
        """The share of the exact lists of these that it finds; 0 where none of them is for the index."""
        shares = self.shares(index, rows)
        return fmean(shares) if shares else 0.0

    def shares(self, index: ItemIndex, rows: Tensor) -> list[float]:
        """Of each of these lists that is for the index the share that it finds; what ties with the last is as good."""
        query = self.query.select(rows)
        lists = found_by(index, query, self.k, [self.left_out[row] for row in rows.tolist()], ALL)
        shares = list[float]()
        for mine, exact in zip(lists, (self.exact[row] for row in rows.tolist()), strict=True):
            if mine is None or not exact.items:
                continue
            tied = exact.scores[-1] * (1 - math.copysign(_ROUNDING, exact.scores[-1]))
            found = zip(mine.items, mine.scores, strict=True)
            shares.append(sum(item in exact.items or score >= tied for item, score in found) / len(exact.items))
        return shares

    def milliseconds(self, index: ItemIndex) -> tuple[float, float]:
        """(of an exact list, of one by the index): medians, one thread, taking turns."""
        exact, by_index = list[float](), list[float]()
        with by_threads(1):
            for row in range(min(_TIMED, len(self.query))):
                query, left_out = self.query.select(torch.tensor([row])), [self.left_out[row]]
                began = time.perf_counter()
                ranked(query, self.k, views(left_out, query.number_of_items, None), None)
                between = time.perf_counter()
                found_by(index, query, self.k, left_out, ALL)
                exact.append(between - began)
                by_index.append(time.perf_counter() - between)
        return 1000 * median(exact), 1000 * median(by_index)


def _index(facts: IndexFacts, cells: Cells, breadth: int, share: float) -> ItemIndex:
    """One that looks at so many items in such a share of the cells."""
    entered = max(1, round(share * facts.cells))
    return ItemIndex(facts.model_copy(update={"breadth": breadth, "entered": entered}), cells=cells)
