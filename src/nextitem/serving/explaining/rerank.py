"""Given items in the order of the model. K items, N items of the catalogue."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from nextitem.errors import DataError
from nextitem.evaluation.scoring import refuse_nan
from nextitem.serving.answering.heard import hear
from nextitem.serving.answering.listing import recommendation
from nextitem.serving.answering.understood import Understood, query_of, understood
from nextitem.serving.ids import RawId
from nextitem.serving.known import Known
from nextitem.serving.question import Answer, Question, Recommendation


def reranked(known: Known, question: Question, items: Sequence[RawId]) -> Answer:
    """All of these items, each once, by their scores after the question's history, best first.

    Nothing is left out, unless the question's terms name it: what `hide` says with the items that are disliked, what is
    no candidate, excluded and so on. `k` has no say. Items of equal scores are in the order of the catalogue. Raises
    what the question raises, and DataError for an unknown item where its terms say so; else it is told as unknown.
    """
    hides = question.terms.hide is not None
    terms = question.terms if hides else replace(question.terms, hide="nothing")
    asked = understood(known, hear(known, replace(question, terms=terms)))
    places = {known.item_places.of(raw, "items", place): raw for place, raw in enumerate(items)}
    unknown = [raw for place, raw in enumerate(items) if known.item_places.of(raw, "items", place) < 0]
    if unknown and terms.unknown == "error":
        raise DataError(
            f"item {unknown[0]!r} is not among the {len(known.items):,} items that the model knows"
            f"{known.items.hint(unknown[0])}; refit with it, or leave unknown items out by unknown='drop'"
        )
    filtered, listed = dict[str, int](), list[int]()
    for item in sorted(places):
        reason = asked.reason_against(item) if item >= 0 else "unknown"
        if reason is None or (reason == "disliked" and not hides):
            listed.append(item)
        elif item >= 0:
            filtered[reason] = filtered.get(reason, 0) + 1
    return Answer(
        _in_order(known, asked, listed),
        asked.source,
        filtered,
        (*asked.heard.unknown, *unknown),
        asked.heard.is_stranger,
        asked.heard.continued,
    )


def _in_order(known: Known, asked: Understood, items: list[int]) -> tuple[Recommendation, ...]:
    """The items with their scores, best first; they are given in ascending order."""
    query = query_of(known, [asked], asked.source)
    scores_K = query.candidate_scores(torch.tensor([items], dtype=torch.int64))[0]
    refuse_nan(scores_K)
    return tuple(
        recommendation(known, items[place], float(scores_K[place]), asked.source)
        for place in scores_K.argsort(descending=True, stable=True).tolist()
    )
