"""A run as tools for assistants: recommend, similar and explain over the Model Context Protocol. Needs the extra `mcp`.

Whoever talks knows titles rather than ids, so that an item may be named by either.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from nextitem.errors import DataError, NextitemError
from nextitem.serving.explaining.explanation import Explained
from nextitem.serving.ids import RawId
from nextitem.serving.question import Answer, Question, Terms
from nextitem.serving.recommender import Recommender

P = ParamSpec("P")
R = TypeVar("R")
_NEAREST = 5  # items that are named where a title fits none or several
_CARRIERS = 5  # items of the history that are told of an explained one
_ABOUT = (
    "Recommendations of what comes next after a history of items, items that are like others, and why an item is "
    "recommended. Items are named by id or by title; histories have the oldest item first."
)


def server(recommender: Recommender, version: str) -> MCPServer:
    """The three tools around a recommender; `run("stdio")` serves whoever is at the other end of stdin and stdout."""
    tools, made = Tools(recommender), MCPServer("nextitem", instructions=_ABOUT, version=version)
    for tool in (tools.recommend, tools.similar, tools.explain):
        made.add_tool(_telling(tool), structured_output=True)
    return made


def _telling(tool: Callable[P, R]) -> Callable[P, R]:
    """The tool, whose refusals reach the assistant in their own words."""

    @wraps(tool)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return tool(*args, **kwargs)
        except NextitemError as error:
            raise ToolError(str(error)) from error

    return told


class Tools:
    """What an assistant can ask; the docstrings are what it reads."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        self._by_title: dict[str, list[RawId]] = {}
        for item, title in zip(recommender.items.ids, recommender.known.item_titles, strict=True):
            if title is not None:
                self._by_title.setdefault(title.casefold(), []).append(item)

    def recommend(
        self,
        history: list[str | int] | None = None,
        user: str | int | None = None,
        exclude: list[str | int] | None = None,
        k: int = 10,
    ) -> dict[str, Any]:
        """The k items that come next after a history of items (oldest first), or for a known user, best first.

        With both, the history goes on from what is stored of the user. Items are ids or titles. `source` is
        `popularity` where nothing of the history is known: then these are the most popular items.
        """
        excluded = None if exclude is None else [self.item(one) for one in exclude]
        (answer,) = self.recommender.answer([self._question(history, user, k, excluded)])
        return _answer(answer)

    def similar(self, item: str | int, k: int = 10) -> dict[str, Any]:
        """The k items that are most like one item (an id or a title), best first; scores are cosines, 1 is equal."""
        wanted = self.item(item)
        (found,) = self.recommender.similar_items([wanted], k)
        return {"item": wanted, "title": self.recommender.titles.get(wanted), "similar": [asdict(one) for one in found]}

    def explain(
        self,
        history: list[str | int] | None = None,
        user: str | int | None = None,
        item: str | int | None = None,
        without: list[str | int] | None = None,
        added: list[str | int] | None = None,
        k: int = 5,
    ) -> dict[str, Any]:
        """Why the k items are recommended after a history, or why one `item` is or is not; and what if.

        `carriers` are the items of the history that speak most for an item: `change` is how much of its score is gone
        without each, `rank` the place that is left then. `filtered` says why an item may not be listed. `without` and
        `added` give the list after another history: without some of its items, with others at its end.
        """
        found = self.recommender.explain(
            self._question(history, user, k, None),
            None if item is None else [self.item(item)],
            without=[self.item(one) for one in without or []],
            added=[self.item(one) for one in added or []],
        )
        return {
            "is_fallback": found.is_fallback,
            "goes_by_history": found.goes_by_history,
            "items": [_explained(one) for one in found.items],
            "filtered": [asdict(one) for one in found.filtered],
            "what_if": None if found.what_if is None else _answer(found.what_if.answer),
        }

    def item(self, named: str | int) -> RawId:
        """The id of an item that is named by id or by title.

        Raises DataError where that is no item or several, with those that come nearest.
        """
        if self.recommender.known.item_places.of(named, "item", 0) >= 0:
            return named
        text = str(named).casefold()
        fitting = self._by_title.get(text, [])
        if len(fitting) == 1:
            return fitting[0]
        near = fitting or [item for title, items in self._by_title.items() if text in title for item in items]
        names = ", ".join(f"{self.recommender.titles[item]!r} (id {item!r})" for item in near[:_NEAREST])
        raise DataError(
            f"{named!r} is {'the title of several items' if fitting else 'no id and no title of an item'}"
            f"{f'; did you mean {names}?' if near else ''}"
        )

    def _question(
        self, history: list[str | int] | None, user: str | int | None, k: int, exclude: list[RawId] | None
    ) -> Question:
        items = [self.item(one) for one in history or []]
        return Question(items, user=user, k=k, terms=Terms(exclude=exclude))


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "items": [asdict(one) for one in answer.items],
        "source": answer.source,
        "filtered": dict(answer.filtered),
        "is_stranger": answer.is_stranger,
    }


def _explained(one: Explained) -> dict[str, Any]:
    told = asdict(one)
    return {**told, "carriers": told["carriers"][:_CARRIERS]}
