"""Questions of any terms answered by one forward pass. R questions with something to read, N items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.evaluation.hiding import SeenOrDisliked, hidden
from nextitem.evaluation.ranks import top_k
from nextitem.evaluation.scoring import Query
from nextitem.serving.asked import Asked
from nextitem.serving.heard import Heard
from nextitem.serving.known import Known
from nextitem.serving.narrowing.allowed import Allowed, allowed
from nextitem.serving.question import Answer, Recommendation, Source


@dataclass(frozen=True)
class Understood:
    """A question that can be answered: all that may be wrong with it was looked for."""

    heard: Heard
    allowed: Allowed

    @property
    def source(self) -> Source:
        """What answers it."""
        return "model" if self.heard.items else "popularity"

    def reason_against(self, item: int) -> str | None:
        """Why an item is in no list, as `Answer.filtered` has it; None where it may be in one."""
        if reason := self.allowed.reason_against(item):
            return reason
        if item in self.heard.seen:
            return "seen"
        return "disliked" if item in self.heard.disliked else None


def answers(known: Known, questions: Sequence[Understood]) -> list[Answer]:
    """The answer to each of the questions. Raises ScoreError where the model's scores are no numbers."""
    found = dict[int, Answer]()
    for source in ("model", "popularity"):
        places = [place for place, one in enumerate(questions) if one.source == source]
        if places:
            asked = [questions[place] for place in places]
            found |= zip(places, _of_source(known, asked, source), strict=True)
    return [found[place] for place in range(len(questions))]


def _of_source(known: Known, asked: Sequence[Understood], source: Source) -> list[Answer]:
    scorer = known.scorer if source == "model" else known.popularity
    query = scorer.query(histories_of(known, asked))
    lists = [_Ranked([], [])] * len(asked)
    for rows in _alike(asked):
        for row, ranked in zip(rows, _ranked(known, query, rows, [asked[row] for row in rows]), strict=True):
            lists[row] = ranked
    return [_answer(known, one, ranked, source) for one, ranked in zip(asked, lists, strict=True)]


def histories_of(known: Known, asked: Sequence[Understood]) -> Sequences:
    """What the model reads."""
    heard = [one.heard for one in asked]
    times = [one.times or [] for one in heard] if known.reads_times else None
    views = Sequences.of([one.items for one in heard], len(known.items), times)
    return replace(views, users_U=torch.tensor([one.user for one in heard]))


def _alike(asked: Sequence[Understood]) -> list[list[int]]:
    """The places of those that may be answered with the same items, together."""
    groups = dict[int, list[int]]()
    for place, one in enumerate(asked):
        groups.setdefault(0 if one.allowed.is_allowed_N is None else id(one.allowed), []).append(place)
    return [*groups.values()]


@dataclass(frozen=True)
class _Ranked:
    items: list[int]
    scores: list[float]


def _ranked(known: Known, query: Query, rows: Sequence[int], asked: Sequence[Understood]) -> list[_Ranked]:
    """The best items for some rows of the query, all of which may be answered with the same items."""
    seen = Sequences.of([[*one.heard.seen, *one.heard.disliked] for one in asked], len(known.items))
    most = min(max(one.heard.question.k for one in asked), len(known.items))
    is_allowed_N = asked[0].allowed.is_allowed_N
    candidates: Tensor | None = None if is_allowed_N is None else is_allowed_N.nonzero()[:, 0]
    items_Rk, scores_Rk = top_k(query.select(torch.tensor([*rows])), most, seen, candidates)
    lists = []
    for one, items, scores in zip(asked, items_Rk.tolist(), scores_Rk.tolist(), strict=True):
        found = [item for item in items[: one.heard.question.k] if item >= 0]
        lists.append(_Ranked(found, scores[: len(found)]))
    return lists


def _answer(known: Known, one: Understood, ranked: _Ranked, source: Source) -> Answer:
    listed = zip(ranked.items, ranked.scores, strict=True)
    items = tuple(recommendation(known, item, score, source) for item, score in listed)
    heard = one.heard
    return Answer(
        items,
        source,
        one.allowed.filtered | _hidden(one),
        (*heard.unknown, *one.allowed.unknown),
        heard.is_stranger,
        heard.continued,
    )


def recommendation(known: Known, item: int, score: float, source: Source) -> Recommendation:
    """What is told of an item that is listed."""
    return Recommendation(known.raw_items[item], score, source, known.item_titles[item])


def _hidden(one: Understood) -> dict[str, int]:
    """How many items that might be listed otherwise are left out of this answer, by reason."""
    seen = set(one.heard.seen)
    found = {"seen": seen, "disliked": set(one.heard.disliked) - seen}
    is_allowed_N = one.allowed.is_allowed_N
    counts = {
        reason: len(items) if is_allowed_N is None else int(is_allowed_N[[*items]].sum())
        for reason, items in found.items()
        if items
    }
    return {reason: count for reason, count in counts.items() if count}


def understood(known: Known, heard: Heard) -> Understood:
    """A question that was heard, with what may be listed in its answer; raises as `allowed` does."""
    return Understood(heard, allowed(known, heard.question.terms))


def lists_of(known: Known, asked: Asked, k: int, allowed: Tensor | None, hide: str) -> list[list[Recommendation]]:
    """The lists of histories that all have the same terms; empty ones of users that are unknown."""
    k = min(k, len(known.items))  # room for k is made
    histories = asked.histories
    is_empty_C = histories.lengths_U == 0
    lists: list[list[Recommendation]] = [[] for _ in range(len(histories))]
    for rows, scorer in (
        (~is_empty_C, known.scorer),
        (is_empty_C & ~asked.is_unknown_C, known.popularity),
    ):
        part = histories.select(rows)
        if not len(part):
            continue
        seen = hidden(hide, part)
        if asked.disliked is not None:
            disliked = asked.disliked.select(rows)
            seen = disliked if seen is None else SeenOrDisliked(seen, disliked)
        items_Ck, scores_Ck = top_k(scorer.query(part), k, seen, allowed)
        source: Source = "model" if scorer is known.scorer else "popularity"
        for row, ids, scores in zip(rows.nonzero()[:, 0].tolist(), items_Ck, scores_Ck.tolist(), strict=True):
            found = known.items.raw(ids[ids >= 0]).to_list()
            titles = known.features.titles
            lists[row] = [
                Recommendation(item, score, source, titles.get(item))
                for item, score in zip(found, scores[: len(found)], strict=True)
            ]
    return lists
