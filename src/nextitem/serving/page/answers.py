"""Answers as the page shows them: rows with reasons, and what became of what is not shown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten

from nextitem.serving.ids import RawId
from nextitem.serving.page.shelf import Card, Shelf
from nextitem.serving.page.state import View
from nextitem.serving.question import Answer
from nextitem.words import counted

_YEAR = re.compile(r" \(\d{4}\)$")  # told beside the title a line above, and no part of a sentence
_NEARLY = 0.6  # of the largest share of a score: who has more is named beside it
_REASONS = {
    "seen": "in the history",
    "disliked": "disliked",
    "retired": "retired",
    "excluded": "excluded",
    "not a candidate": "not among the candidates",
    "where": "not of what was asked for",
    "limit": "beyond the limit of a category",
    "shown": "on earlier pages",
}


@dataclass(frozen=True)
class Moved:
    """How an item's place changed with the newest item of the history."""

    kind: str
    sign: str
    words: str


@dataclass(frozen=True)
class Reason:
    """An item of the history and what it does to a score."""

    card: Card
    weight: float
    told: str
    start: float
    """Where its bar begins and how wide it is, in per cent."""
    width: float


@dataclass(frozen=True)
class Row:
    """A recommended item."""

    place: int
    card: Card
    score: str
    added: str
    explored: str
    is_cold: bool = False
    also: str = ""
    """Where the other list has it."""
    moved: Moved | None = None
    reasons: Sequence[Reason] = ()
    zero: float = 0.0
    """Where bars of no change lie, in per cent: in the middle where some speak against it."""
    because: str = ""


@dataclass(frozen=True)
class AnswerList:
    """What one model answers."""

    side: str
    name: str
    label: str
    told: str
    rows: Sequence[Row] = ()
    more: str = ""
    filtered: str = ""
    trouble: str = ""
    why_empty: str = ""


@dataclass(frozen=True)
class Found:
    """What a model said to the questions of one view."""

    name: str
    version: str
    answer: Answer | None = None
    before: Answer | None = None
    """The answer without the newest item of the history; None where there is none to leave out."""
    reasons: Mapping[RawId, Sequence[tuple[RawId, float]]] = field(default_factory=dict)
    """By recommended item, what each item of the history carries of its score."""
    fallback: str = ""
    trouble: str = ""


def rows_of(found: Found, shelf: Shelf, view: View, start: int = 0) -> list[Row]:
    """The rows of a list, whose first one is at place `start` + 1."""
    if found.answer is None:
        return []
    before = {one.item: place for place, one in enumerate(found.before.items, 1)} if found.before else None
    is_alone = len(view.told) == 1 and found.answer.source == "model"
    alone = f"Because of {shelf.card(view.told[0]).title}" if is_alone else ""
    rows = []
    for place, one in enumerate(found.answer.items, start + 1):
        reasons = _reasons(found.reasons.get(one.item, ()), shelf)
        rows.append(
            Row(
                place,
                shelf.card(one.item, one.title),
                f"{one.score:.4g}",
                view.with_item(str(one.item)).address(),
                view.exploring(str(one.item)).address(),
                one.is_cold,
                moved=None if before is None or start else _moved(place, before.get(one.item)),
                reasons=reasons,
                zero=_zero(reason.weight for reason in reasons),
                because=_because(reasons, one.source) or alone,
            )
        )
    return rows


def _moved(place: int, earlier: int | None) -> Moved | None:
    if earlier is None:
        return Moved("new", "new", "new since the newest item")
    if earlier == place:
        return None
    by = abs(earlier - place)
    if earlier > place:
        return Moved("up", f"▲{by}", f"up {by} since the newest item")
    return Moved("down", f"▼{by}", f"down {by} since the newest item")


def _reasons(weights: Sequence[tuple[RawId, float]], shelf: Shelf) -> list[Reason]:
    known = [(item, weight) for item, weight in weights if weight == weight]
    largest = max((abs(weight) for _, weight in known), default=0.0) or 1.0
    ordered = sorted(known, key=lambda one: -one[1])
    shown = ordered if len(ordered) <= 6 else [*ordered[:5], ordered[-1]]
    reasons, zero = [], _zero(weight for _, weight in shown)
    for item, weight in shown:
        width = round((100 - zero) * abs(weight) / largest, 1)
        start = zero if weight > 0 else zero - width
        reasons.append(Reason(shelf.card(str(item)), weight, f"{weight:+.3g}", start, width))
    return reasons


def _zero(weights: Iterable[float]) -> float:
    """Where no change lies, in per cent of a bar's room."""
    return 50.0 if any(weight < 0 for weight in weights) else 0.0


def _because(reasons: Sequence[Reason], source: str) -> str:
    if source == "popularity":
        return ""
    speaking = [reason for reason in reasons if reason.weight > 0]
    if not speaking:
        return "No single item carries it" if reasons else ""
    first = speaking[0]
    carrying = [first, *(one for one in speaking[1:2] if one.weight > _NEARLY * first.weight)]
    titles = [shorten(_YEAR.sub("", one.card.title), 48, placeholder=" …") for one in carrying]
    return f"Because of {' and '.join(titles)}"


def filtered_of(answer: Answer) -> str:
    """What is not shown and why, in a sentence; empty where all may be shown."""
    parts = [
        f"{counted(count, 'item')} {_REASONS.get(reason, reason)}" for reason, count in answer.filtered.items() if count
    ]
    told = f"Not shown: {', '.join(parts)}." if parts else ""
    if answer.unknown:
        are = "is" if len(answer.unknown) == 1 else "are"
        told += f" {counted(len(answer.unknown), 'item')} of the history {are} unknown to this model."
    return told.strip()
