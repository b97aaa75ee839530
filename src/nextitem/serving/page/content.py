"""What the templates are filled with."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nextitem.serving.ids import RawId
from nextitem.serving.page.answers import AnswerList, Found, filtered_of, rows_of
from nextitem.serving.page.asking import Counter
from nextitem.serving.page.runs import curves_of, table_of
from nextitem.serving.page.shelf import Card, Shelf, ordinal
from nextitem.serving.page.state import MOST_PAGES, View
from nextitem.words import NOTHING, counted, percent, time_taken

_FOUND, _STARTERS, _EXAMPLES, _LATEST = 12, 12, 6, 12


@dataclass(frozen=True)
class Offered:
    """An item and where picking it leads."""

    card: Card
    address: str


@dataclass(frozen=True)
class Picked:
    """An item of the history and what can be done with it."""

    card: Card
    is_left_out: bool
    is_unknown: bool
    otherwise: str
    earlier: str
    later: str
    removed: str


@dataclass(frozen=True)
class LookedUp:
    """A user, and what is stored of them."""

    user: str
    cards: Sequence[Card]
    """Of the latest items."""
    older: int
    count: str
    trouble: str
    away: str


@dataclass(frozen=True)
class Example:
    """A history to begin with."""

    name: str
    contents: str
    address: str


@dataclass(frozen=True)
class Figure:
    """A number about the service."""

    name: str
    value: str
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Neighbour:
    """An item that is like another."""

    card: Card
    address: str
    width: float
    """How alike, from 0 to 100."""
    told: str


@dataclass(frozen=True)
class NearList:
    """What one model places near an item."""

    side: str
    label: str
    by: str
    cards: Sequence[Neighbour]
    trouble: str


@dataclass(frozen=True)
class Near:
    """An item and its neighbours."""

    card: Card
    lists: Sequence[NearList]


async def page_content(counter: Counter, view: View, asked: str, is_part: bool) -> dict[str, object]:
    """What the page or, of a page that is there already, its changing part is filled with."""
    chosen = counter.chosen(view)
    shelf = counter.shelf(chosen[0])
    lists = lists_of(counter, view, await counter.found(view))
    content: dict[str, object] = {
        **found_content(counter, view, asked),
        "shown": _picked(shelf, view),
        "looked": _looked(counter, shelf, view),
        "examples": _examples(shelf, view),
        "cleared": view.cleared().address(),
        "unfiltered": view.unfiltered().address(),
        "newest_away": view.without_place(len(view.history) - 1).address() if view.history else "",
        "lists": lists,
        "models": [(name, counter.label(name)) for name in counter.names],
        "chosen": chosen,
        "near": await _near(counter, view, chosen),
        "near_starts": [_offered(shelf, item, view.exploring(str(item))) for item in shelf.popular(3)],
        "is_part": is_part,
        "said": _said(shelf, view, lists),
    }
    if is_part:
        return content
    measured = counter.measured(chosen)
    return {**content, **(await service_content(counter)), "runs": table_of(measured), "curves": curves_of(measured)}


def found_content(counter: Counter, view: View, asked: str) -> dict[str, object]:
    """What was found by the words of a search; popular items where there are none."""
    shelf = counter.shelf(counter.chosen(view)[0])
    items, count = shelf.found(asked, _FOUND) if asked.strip() else (shelf.popular(_STARTERS), 0)
    told = f"{count:,} found" if count <= len(items) else f"{count:,} found, the first {len(items)} shown"
    return {
        "root": "",
        "view": view,
        "shelf": shelf,
        "asked": asked.strip(),
        "found": [_offered(shelf, item, view.with_item(str(item))) for item in items],
        "found_count": told if count else f"No title or id of {shelf.size} items has “{asked.strip()}” in it",
    }


async def service_content(counter: Counter) -> dict[str, object]:
    """What the service is doing."""
    service = counter.service
    measures = service.measures
    latency = measures.percentiles()
    figures = [
        Figure("Requests", f"{measures.requests:,}", note=f"{measures.rate():.1f} a second of late"),
        Figure("Half are answered in", f"{latency['p50']:.1f}" if latency else NOTHING, "ms" if latency else ""),
        Figure(
            "99 of 100 in",
            f"{latency['p99']:.1f}" if latency else NOTHING,
            "ms" if latency else "",
            "of the latest 2,048",
        ),
        Figure("Waiting", f"{service.thread.waiting:,}", note=f"{service.settings.queue:,} may wait at a time"),
    ]
    if service.events is not None:
        waiting = f"{counted(service.events.waiting, 'request')} being written"
        figures.append(Figure("Events", f"{service.events.count():,}", "stored", waiting))
    for name in counter.names:
        model = service.models.current[name]
        share = f", {percent(model.share)} of the users" if len(counter.names) > 1 else ""
        age = time_taken(max(0.0, time.time() - model.loaded))
        figures.append(Figure(counter.label(name), age, "old", f"version {model.version}{share}"))
    return {"root": "", "figures": figures, "is_still": False}


async def _near(counter: Counter, view: View, chosen: Sequence[str]) -> Near | None:
    if not view.near:
        return None
    found = await asyncio.gather(*(counter.similar(name, view.near) for name in chosen))
    lists = []
    for side, name, (items, trouble) in zip("ab", chosen, found, strict=False):
        shelf = counter.shelf(name)
        neighbours = [
            Neighbour(
                shelf.card(one.item, one.title),
                view.exploring(str(one.item)).address(),
                round(100 * max(0.0, min(1.0, one.score)), 1),
                f"{one.score:.2f}",
            )
            for one in items
        ]
        by = {"vectors": "by the vectors it learnt", "histories": "by who had both"}
        told = by.get(items[0].by, "") if items else ""
        lists.append(NearList(side, counter.label(name), told, neighbours, trouble))
    return Near(counter.shelf(chosen[0]).card(view.near), lists)


def lists_of(counter: Counter, view: View, found: Sequence[Found]) -> list[AnswerList]:
    """The lists of the models beside each other."""
    places: list[Mapping[RawId | None, int]] = [
        {one.item: place for place, one in enumerate(each.answer.items, 1)} if each.answer else {} for each in found
    ]
    lists = []
    for side, each, others in zip("ab", found, reversed(places) if len(found) == 2 else [{}], strict=False):
        lists.append(_list(counter, view, side, each, others))
    return lists


def _list(counter: Counter, view: View, side: str, found: Found, others: Mapping[RawId | None, int]) -> AnswerList:
    shelf = counter.shelf(found.name)
    rows = []
    for row in rows_of(found, shelf, view):
        place = others.get(shelf.raw(row.card.id)) if found.answer and found.answer.source == "model" else None
        rows.append(
            replace(row, also="" if place is None else f"{ordinal(place)} on the {'right' if side == 'a' else 'left'}")
        )
    answer = found.answer
    told = counter.about(found.name)
    if answer is not None and answer.source == "popularity":
        told = (
            "The most popular items: there is no history to go by"
            if not (view.told or view.user)
            else "The most popular items: the model knows nothing of the history"
        )
    if found.fallback == "deadline":
        told = "The most popular items: the model did not answer in time"
    return AnswerList(
        side,
        found.name,
        counter.label(found.name),
        told,
        rows,
        more=replace(view, page=view.page + 1).address() if answer and answer.cursor and view.page < MOST_PAGES else "",
        filtered=filtered_of(answer) if answer else "",
        trouble=found.trouble,
        why_empty="Nothing is left to show with these filters.",
    )


def _looked(counter: Counter, shelf: Shelf, view: View) -> LookedUp | None:
    found = counter.looked_up(view)
    if found is None:
        return None
    cards = [shelf.card(item) for item in found.items[:_LATEST]]
    count = "" if found.trouble else f"{counted(len(found.items), 'stored event')}, newest first"
    return LookedUp(found.user, cards, len(found.items) - len(cards), count, found.trouble, view.of_user().address())


def _picked(shelf: Shelf, view: View) -> list[Picked]:
    last = len(view.history) - 1
    return [
        Picked(
            shelf.card(item),
            item in view.left_out,
            shelf.raw(item) is None,
            view.told_otherwise(item).address(),
            view.moved(place, -1).address() if place else "",
            view.moved(place, 1).address() if place < last else "",
            view.without_place(place).address(),
        )
        for place, item in enumerate(view.history)
    ]


def _examples(shelf: Shelf, view: View) -> list[Example]:
    found = []
    for name, items in shelf.examples:
        titles = ", ".join(shelf.card(item).title for item in items)
        found.append(Example(name, titles, view.of_history(str(item) for item in items).address()))
    return found


def _offered(shelf: Shelf, item: object, view: View) -> Offered:
    return Offered(shelf.card(str(item)), view.address())


def _said(shelf: Shelf, view: View, lists: Sequence[AnswerList]) -> str:
    """What changed, for who hears the page."""
    newest = (
        f"{len(view.history)} in the history, the newest {shelf.card(view.history[-1]).title}"
        if view.history
        else "The history is empty"
    )
    firsts = [f"{one.label}: {one.rows[0].card.title} first" for one in lists if one.rows]
    return f"{newest}. {'; '.join(firsts)}."
