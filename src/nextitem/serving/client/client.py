"""A running service in Python: the questions and answers of a recommender, over HTTP, with patience."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from nextitem.errors import ConfigurationError
from nextitem.serving.client.request import Request, check_header
from nextitem.serving.ids import Ids, RawId
from nextitem.serving.question import Question, Terms
from nextitem.serving.service.bodies import MOST_QUESTIONS, BatchReply, ModelState, Ready, RecommendReply
from nextitem.serving.service.explained_bodies import ExplainReply, NeighboursReply, SimilarReply
from nextitem.serving.service.stored_bodies import DeletedReply, EventsReply, ItemReply, ItemsReply, UserReply
from nextitem.settings.given import listed

if TYPE_CHECKING:  # the extra `client`
    import httpx


@dataclass(frozen=True)
class Event:
    """Something that a user did with an item."""

    user: RawId
    item: RawId
    time: float | None = None
    """When, in unix seconds; None: when it arrives."""
    kind: str | None = None
    """One of the kinds that the run learnt from; of a run without kinds None, or `retraction`."""


class Client:
    """A running service, asked over HTTP; any number of threads may share one.

    What is refused because the service is full or ending (503) is asked again after the seconds that it names, and what
    is lost on its way after a moment, where that cannot do anything twice: all but `add_item`. After `timeout` seconds,
    waits included, it is over. Every method raises ServiceError then, and for whatever the service refuses, with its
    `code`, `status` and `remedy`. Ids are of the type that the run has: `"7"` and `7` are two items.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 10.0,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        """The service at `url`, such as `http://127.0.0.1:8000`, with the token that it was started with.

        A `transport` of httpx is for certificates of one's own, proxies and tests. Raises ConfigurationError for an
        address that is none, a timeout that is not above 0, and where the extra `client` is not installed.
        """
        try:
            from nextitem.serving.client.attempts import Attempts
        except ImportError as error:
            raise ConfigurationError(
                f"a client needs a package that is not installed ({error}); run: pip install 'nextitem[client]'"
            ) from error
        if not timeout > 0:
            raise ConfigurationError(f"timeout={timeout!r} has to be above 0; give the seconds that a call may take")
        self._service, self._request, self._check_header = (
            Attempts(url, token, timeout, transport),
            Request,
            check_header,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections; `with Client(…) as client` does so at the end of its block."""
        self._service.close()

    def recommend(self, question: Question, *, model: str | None = None) -> RecommendReply:
        """The items that come next, best first, and which model said so: `model`, or the one the user was dealt to."""
        body = {**_asked(question), **_given(model=model)}
        return self._service.ask(Request("POST", "/v1/recommend", body), RecommendReply)

    def recommend_many(self, questions: Sequence[Question], *, model: str | None = None) -> list[RecommendReply]:
        """An answer for each question, in their order; 256 are asked at a time."""
        asked, answers = [_asked(question) for question in questions], list[RecommendReply]()
        for start in range(0, len(asked), MOST_QUESTIONS):
            body = {"questions": asked[start : start + MOST_QUESTIONS], **_given(model=model)}
            answers += self._service.ask(Request("POST", "/v1/recommend/batch", body), BatchReply).answers
        return answers

    def similar_items(
        self, items: Ids, k: int = 10, *, terms: Terms | None = None, model: str | None = None
    ) -> list[NeighboursReply]:
        """The k items that are most like each of these, 100 at most.

        The `terms` may be `candidates`, `exclude`, `where` and `unknown`; others are refused.
        """
        body = {"items": listed(items, "items"), "k": k, **_terms(terms or Terms()), **_given(model=model)}
        return self._service.ask(Request("POST", "/v1/similar", body), SimilarReply).items

    def rerank(self, question: Question, items: Ids, *, model: str | None = None) -> RecommendReply:
        """All of these items, 1,000 at most, by the model's scores after the question's history, best first.

        `diversity`, `limits` and a `cursor` among the terms are refused.
        """
        body = {**_asked(question), "items": listed(items, "items"), **_given(model=model)}
        del body["k"]  # all are given back
        return self._service.ask(Request("POST", "/v1/rerank", body), RecommendReply)

    def explain(
        self,
        question: Question,
        items: Ids | None = None,
        *,
        without: Ids = (),
        added: Ids = (),
        model: str | None = None,
    ) -> ExplainReply:
        """What carries each item of the answer to a question, or each of `items`, and what was left out and why.

        With `without` and `added`, the list after another history stands beside it. At most 100 items each.
        """
        what_if = {"without": listed(without, "without"), "added": listed(added, "added")}
        wanted = {} if items is None else {"items": listed(items, "items")}
        body = {**_asked(question), **wanted, **what_if, **_given(model=model)}
        return self._service.ask(Request("POST", "/v1/explain", body), ExplainReply)

    def send_events(self, events: Event | Sequence[Event], *, key: str | None = None) -> EventsReply:
        """Have an event, or 1 to 1,000 of them as a whole, on disk: they are when this returns, and the next answer
        sees them.

        Each call has a `key`, the same however often it is sent, by which it is stored once. Give one of your own, such
        as the number of an order, where your program itself may come again with the same events after a restart.
        """
        check_header("key", key)
        body = _as_event(events) if isinstance(events, Event) else [_as_event(one) for one in events]
        headers = {"idempotency-key": uuid.uuid4().hex if key is None else key}
        return self._service.ask(Request("POST", "/v1/events", body, headers=headers), EventsReply)

    def export_user(self, user: RawId) -> UserReply:
        """All that is stored of a user: events, and what the models' runs hold."""
        return self._service.ask(Request("GET", _path("users", user)), UserReply)

    def delete_user(self, user: RawId) -> DeletedReply:
        """Delete a user for good, also one that is not known; what they do afterwards is new."""
        return self._service.ask(Request("DELETE", _path("users", user)), DeletedReply)

    def search_items(self, text: str = "", limit: int = 20) -> list[ItemReply]:
        """Items whose title or id has all words of the text, the popular first."""
        asked = Request("GET", "/v1/items", parameters={"search": text, "limit": limit})
        return self._service.ask(asked, ItemsReply).items

    def item(self, item: RawId) -> ItemReply:
        """An item as it is now."""
        return self._service.ask(Request("GET", _path("items", item)), ItemReply)

    def retire_item(self, item: RawId) -> ItemReply:
        """Recommend an item no more; histories go on to be read with it."""
        return self._change(item, {"is_retired": True})

    def restore_item(self, item: RawId) -> ItemReply:
        """Recommend a retired item again."""
        return self._change(item, {"is_retired": False})

    def rename_item(self, item: RawId, title: str) -> ItemReply:
        """Call an item otherwise."""
        return self._change(item, {"title": title})

    def add_item(
        self, item: RawId, title: str | None = None, features: Mapping[str, object] | None = None
    ) -> ItemReply:
        """Add an item by what is known of it: `features` are columns of the table that the run was trained with.

        The next answer may list it. Where the connection is lost this is not tried again: `item` says whether it is in.
        """
        body = {"item": item, **_given(title=title, features=features)}
        return self._service.ask(Request("POST", "/v1/items", body, may_come_twice=False), ItemReply)

    def models(self) -> list[ModelState]:
        """The models, and the share of the users that each answers."""
        return self._service.ask(Request("GET", "/v1/models"), list[ModelState])

    def reload(self, model: str) -> ModelState:
        """Have a model loaded again from its folder; where that is not intact the one that is there goes on."""
        return self._service.ask(Request("POST", f"{_path('models', model)}/reload"), ModelState)

    def share_out(self, shares: Mapping[str, float]) -> list[ModelState]:
        """Deal the users out to the models anew; shares add up to 1, and a model that is not named gets none."""
        return self._service.ask(Request("PUT", "/v1/models/shares", {"shares": shares}), list[ModelState])

    def health(self) -> Ready:
        """The models that take questions. Raises ServiceError at once where none are taken: nothing is awaited."""
        return self._service.ask(Request("GET", "/health/ready", is_patient=False), Ready)

    def _change(self, item: RawId, change: dict[str, object]) -> ItemReply:
        return self._service.ask(Request("PATCH", _path("items", item), change), ItemReply)


def _path(room: str, name: RawId) -> str:
    """Of a thing by its id; a dot is written so that `..` is an id and no way up."""
    return f"/v1/{room}/{quote(str(name), safe='').replace('.', '%2E')}"


def _asked(question: Question) -> dict[str, object]:
    """A question as a body: what is as usual is left out, so that older services are asked what they know."""
    asked = {"history": _list(question.history, "history"), "k": question.k, **_given(user=question.user)}
    asked |= {} if question.features is None else {"features": {**question.features}}
    for name, value in (("times", question.times), ("kinds", question.kinds)):
        asked |= {} if value is None else {name: _list(value, name)}
    return asked | _terms(question.terms)


def _terms(terms: Terms) -> dict[str, object]:
    usual = Terms()
    given = {name: value for name, value in vars(terms).items() if value != getattr(usual, name)}
    return {name: _list(value, name) if name in ("candidates", "exclude") else value for name, value in given.items()}


def _list(values: Ids | Sequence[float] | Sequence[str | None], name: str) -> list[object]:
    return listed(values, name)


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _as_event(event: Event) -> dict[str, object]:
    return _given(**asdict(event))
