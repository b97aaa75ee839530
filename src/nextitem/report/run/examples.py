"""Example histories: what a user had, what came then, and what each model would have said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import polars as pl
import torch

from nextitem.compute.randomness import Purpose, generator
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.ranks import top_k
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.folder.histories import histories_of
from nextitem.report.run.bands import TOP, Band
from nextitem.report.run.evidence import Evidence

_EACH = 2  # users of each band
_LATEST = 10  # events that are shown of a history


@dataclass(frozen=True)
class Shown:
    """An item as a reader sees it."""

    item: Any
    title: str | None
    is_target: bool = False


@dataclass(frozen=True)
class Answer:
    """A model's list, and where the target ranked."""

    label: str
    items: tuple[Shown, ...]
    rank: float | None
    """Expected over the order of tied items; none where the target is hidden, as it repeats the history."""


@dataclass(frozen=True)
class Example:
    """One user of the test cases."""

    user: Any
    earlier: int
    """Events before those that are shown."""
    latest: tuple[Shown, ...]
    target: Shown
    is_next: bool
    """Whether the target came right after the history, and is not one of several that were asked after it."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Examples:
    """Users drawn at random, some from each band of the best rank that a model gave the target."""

    bands: tuple[tuple[Band, float, tuple[Example, ...]], ...]
    """(band, the share of all cases in it, its examples)."""


def examples(runs: Sequence[Evidence], scorers: Sequence[Scorer]) -> Examples:
    """The same users for every run; the draw is fixed and knows nothing but the bands."""
    best_C = torch.stack([run.rank_C for run in runs]).amin(0)
    catalogue = runs[0].catalogue
    ends = [0, *(end for end in (TOP, 10 * TOP) if end < catalogue), catalogue]
    found = []
    for number, (start, end) in enumerate(pairwise(ends)):
        rows = ((best_C > start) & (best_C <= end)).nonzero()[:, 0]
        drawn = rows[torch.randperm(len(rows), generator=generator(0, Purpose.EXAMPLES, number))[:_EACH]]
        found.append((Band(start + 1, end), len(rows) / len(best_C), _of_rows(runs, scorers, drawn.tolist())))
    return Examples(tuple(found))


def _of_rows(runs: Sequence[Evidence], scorers: Sequence[Scorer], rows: list[int]) -> tuple[Example, ...]:
    asked = [_histories(run, runs[0].cases[rows]) for run in runs]
    cases = runs[0].cases.with_columns(is_next=pl.len().over("user", "length") == 1)[rows]
    titles, ranks = runs[0].titles, [run.rank_C for run in runs]
    items = runs[0].run.items["item"]
    lists = [
        _lists(scorer, histories, Ranking(run.run.certificate.hidden))
        for run, scorer, histories in zip(runs, scorers, asked, strict=True)
    ]
    found = []
    for place, (row, case) in enumerate(zip(rows, cases.iter_rows(named=True), strict=True)):
        target = case["target"]
        shown = Shown(target, titles.get(target), is_target=True)
        past = [items[index] for index in asked[0].select(torch.tensor([place])).tolist()[0]]
        answers = tuple(
            Answer(
                run.label,
                tuple(Shown(items[index], titles.get(items[index]), items[index] == target) for index in best[place]),
                float(rank_C[row]) if bool(rank_C[row].isfinite()) else None,
            )
            for run, best, rank_C in zip(runs, lists, ranks, strict=True)
        )
        latest = tuple(Shown(item, titles.get(item)) for item in past[-_LATEST:])
        found.append(Example(case["user"], len(past) - len(latest), latest, shown, case["is_next"], answers))
    return tuple(found)


def _histories(run: Evidence, cases: pl.DataFrame) -> Sequences:
    """The histories before the targets, in the order of the cases, under the users' own numbers."""
    if not run.run.has_users:
        raise DataError(f"{run.folder} was stored without its users' histories; train anew")
    known = run.run.users_among(cases["user"])
    places = {user: place for place, user in enumerate(known["user"])}
    rows = torch.tensor([places[user] for user in cases["user"]], dtype=torch.int64)
    whole = histories_of(known, run.catalogue).select(rows)
    lengths_U = torch.tensor(cases["length"].to_list(), dtype=torch.int64)
    numbers_U = torch.from_numpy(known["number"].cast(pl.Int64).to_numpy(writable=True))[rows]
    stops_U = whole.starts_U + lengths_U
    # What is stored of a user goes on after the case: a model that is told when its targets happened finds that there.
    return replace(whole, stops_U=stops_U, users_U=numbers_U, asked_U=stops_U if run.run.certificate.told else None)


def _lists(scorer: Scorer, histories: Sequences, ranking: Ranking) -> list[list[int]]:
    if not len(histories):
        return []
    items_Ck, _ = top_k(scorer.query(histories), min(TOP, histories.number_of_items), ranking.seen(histories))
    return [[index for index in row if index >= 0] for row in items_Ck.tolist()]
