"""Questions of any terms answered by one forward pass. R questions with something to read, N items, P ranked items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from nextitem.data.sequences import Sequences
from nextitem.evaluation.scoring import ProductQuery, Query, Scorer
from nextitem.serving.answering.by_index import found_by
from nextitem.serving.answering.heard import Heard
from nextitem.serving.answering.listing import Listed, pick, ranked, recommendations, views
from nextitem.serving.known import Known
from nextitem.serving.narrowing.cursor import cursor_of
from nextitem.serving.narrowing.narrowed import Narrowed, narrow
from nextitem.serving.question import Answer, Source
from nextitem.serving.told import together


@dataclass(frozen=True)
class Understood:
    """A question that can be answered: all that may be wrong with it was looked for."""

    heard: Heard
    narrowed: Narrowed

    @property
    def source(self) -> Source:
        """What answers it."""
        return "model" if self.heard.items else "popularity"

    def reason_against(self, item: int) -> str | None:
        """Why an item is in no list, as `Answer.filtered` has it; None where it may be in one."""
        if reason := self.narrowed.allowed.reason_against(item):
            return reason
        places = (("seen", self.heard.seen), ("disliked", self.heard.disliked), ("shown", self.narrowed.shown))
        return next((reason for reason, items in places if item in items), None)

    @property
    def k(self) -> int:
        """How many items are listed at most."""
        return self.heard.question.k

    @property
    def pool(self) -> int:
        """How many of the best items the list is put together of."""
        return self.narrowed.picking.pool(self.k)


def understood(known: Known, heard: Heard) -> Understood:
    """A question that was heard, with what may be listed in its answer; raises as `narrow` does."""
    return Understood(heard, narrow(known, heard.question.terms))


def answers(known: Known, questions: Sequence[Understood]) -> list[Answer]:
    """The answer to each of the questions. Raises ScoreError where the model's scores are no numbers."""
    found = dict[int, Answer]()
    for source in _SOURCES:
        places = [place for place, one in enumerate(questions) if one.source == source]
        if places:
            asked = [questions[place] for place in places]
            found |= zip(places, _of_source(known, asked, source), strict=True)
    return [found[place] for place in range(len(questions))]


_SOURCES: tuple[Source, ...] = ("model", "popularity")


def _of_source(known: Known, asked: Sequence[Understood], source: Source) -> list[Answer]:
    query = query_of(known, asked, source)
    lists = dict[int, Listed]()
    for rows in _alike(asked):
        for row, listed in zip(rows, _lists(known, query, rows, asked), strict=True):
            lists[row] = listed
    return [answer_of(known, one, lists[row], source) for row, one in enumerate(asked)]


def query_of(known: Known, asked: Sequence[Understood], source: Source) -> Query:
    """The scores of what answers these questions."""
    scorer, histories = read_by(known, asked)
    return (scorer if source == "model" else known.popularity).query(histories)


def read_by(known: Known, asked: Sequence[Understood]) -> tuple[Scorer, Sequences]:
    """The model, told what the questions tell of their users, and the histories that it reads."""
    histories, rows = _histories(known, asked), [one.heard.told for one in asked]
    if not (told := [row for row in rows if row is not None]):
        return known.scorer, histories
    first = known.told.first
    places = {place: first + number for number, place in enumerate(n for n, row in enumerate(rows) if row is not None)}
    users = [places.get(place, user) for place, user in enumerate(histories.users_U.tolist())]
    return known.told.model(together(told)), replace(histories, users_U=torch.tensor(users))


def _histories(known: Known, asked: Sequence[Understood]) -> Sequences:
    heard = [one.heard for one in asked]
    times = [one.times or [] for one in heard] if known.reads_times else None
    histories = views([one.items for one in heard], len(known.items), times)
    return replace(histories, users_U=torch.tensor([one.user for one in heard]))


def _alike(asked: Sequence[Understood]) -> list[list[int]]:
    """The places of those whose lists are ranked together: of the same items, and equally many."""
    groups = dict[tuple[int, bool], list[int]]()
    for place, one in enumerate(asked):
        groups.setdefault((id(one.narrowed.allowed), one.narrowed.picking.takes_the_best), []).append(place)
    return [*groups.values()]


def _lists(known: Known, query: Query, rows: Sequence[int], asked: Sequence[Understood]) -> list[Listed]:
    """The lists of some rows of the query, all of which may hold the same items."""
    group = [asked[row] for row in rows]
    best = _ranked(known, query.select(torch.tensor([*rows])), group, max(one.pool for one in group))
    if group[0].narrowed.picking.takes_the_best:
        return [one.first(of.k) for one, of in zip(best, group, strict=True)]

    def more(row: int, of: Understood) -> Callable[[int], Listed]:
        return lambda most: _ranked(known, query.select(torch.tensor([row])), [of], most)[0]

    return [
        pick(known, of.narrowed.picking, of.k, one, more(row, of))
        for row, one, of in zip(rows, best, group, strict=True)
    ]


def _ranked(known: Known, query: Query, group: Sequence[Understood], most: int) -> list[Listed]:
    """The `most` best items of each question: by the index where there is one and it suffices, else by all scores."""
    left_out = [[*one.heard.seen, *one.heard.disliked, *one.narrowed.shown] for one in group]
    allowed, found = group[0].narrowed.allowed, dict[int, Listed]()
    if known.index is not None and group[0].source == "model" and isinstance(query, ProductQuery):
        lists = found_by(known.index, query, most, left_out, allowed)
        found = {row: one for row, one in enumerate(lists) if one is not None}
    if rows := [row for row in range(len(group)) if row not in found]:
        seen = views([left_out[row] for row in rows], len(known.items), None)
        may = None if allowed.is_allowed_N is None else allowed.is_allowed_N.nonzero()[:, 0]
        found |= zip(rows, ranked(query.select(torch.tensor(rows)), most, seen, may), strict=True)
    return [found[row] for row in range(len(group))]


def answer_of(known: Known, one: Understood, listed: Listed, source: Source) -> Answer:
    """The list as an answer: with what was left out of it, and how to go on."""
    items = tuple(recommendations(known, listed, source))
    heard, narrowed = one.heard, one.narrowed
    filtered = narrowed.allowed.filtered | _hidden(one)
    left = len(known.items) - sum(filtered.values()) - len(items)
    if listed.passed_over:
        filtered["limit"] = listed.passed_over
    return Answer(
        items,
        source,
        filtered,
        (*heard.unknown, *narrowed.allowed.unknown),
        heard.is_stranger,
        heard.continued,
        cursor_of(narrowed.before, [one.item for one in items]) if items and left else None,
    )


def _hidden(one: Understood) -> dict[str, int]:
    """How many items that might be listed otherwise are left out of this answer, by reason."""
    counts, before, is_allowed_N = dict[str, int](), set[int](), one.narrowed.allowed.is_allowed_N
    for reason, items in (
        ("seen", one.heard.seen),
        ("disliked", one.heard.disliked),
        ("shown", one.narrowed.shown),
    ):
        if items and (new := set(items) - before):
            counts[reason] = len(new) if is_allowed_N is None else int(is_allowed_N[[*new]].sum())
            before |= new
    return {reason: count for reason, count in counts.items() if count}
