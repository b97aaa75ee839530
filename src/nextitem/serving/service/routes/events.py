"""What users did: stored before it is acknowledged, and seen by the next answer."""

from typing import Annotated

from fastapi import APIRouter, Header, Request

from nextitem.serving.service.gate import TOLD
from nextitem.serving.service.refusals import OF_BODIES, documented
from nextitem.serving.service.service import Service
from nextitem.serving.service.stored_bodies import EventsBody, EventsReply
from nextitem.serving.service.storing import OF_STORE, as_refusals, store_of
from nextitem.serving.service.strict_route import StrictRoute
from nextitem.serving.store.events import StoredEvent

_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A text of the caller's own for this request: sent again with it, the same events are stored once.",
    ),
]


def router(service: Service) -> APIRouter:
    """The routes of /v1/events."""
    routes = APIRouter(prefix="/v1/events", tags=["events"], route_class=StrictRoute)

    @routes.post(
        "",
        status_code=201,
        summary="Store an event, or several as a whole",
        description="The answer comes when they are on disk. A key that came before with other events is refused: 409.",
        responses=documented(*OF_BODIES, *OF_STORE, "conflict"),
    )
    async def events(body: EventsBody, request: Request, key: _Key = None) -> EventsReply:
        store, told = store_of(service), body if isinstance(body, list) else [body]
        given = [StoredEvent(one.user, one.item, one.time, one.kind) for one in told]
        with as_refusals():
            receipt = await store.add_async(given, key)
        request.scope[TOLD] |= {"accepted": receipt.accepted, "is_repeat": receipt.is_repeat}
        known = [model.recommender.known.item_places for model in service.models.current.values()]
        items = dict.fromkeys(event.item for event in given)
        unknown = [item for item in items if all(places.of(item, "item", 0) < 0 for places in known)]
        return EventsReply(accepted=receipt.accepted, is_repeat=receipt.is_repeat, unknown_items=unknown)

    return routes
