"""The catalogue as it is now: items found by title, retired, renamed and added without a training."""

from typing import Annotated

from fastapi import APIRouter, Query

from nextitem.serving.ids import RawId
from nextitem.serving.laying import can_grow, knows, with_added, with_item
from nextitem.serving.recommender import Recommender
from nextitem.serving.service.models import ids_of
from nextitem.serving.service.refusals import OF_BODIES, RefusedError, documented
from nextitem.serving.service.service import Service
from nextitem.serving.service.stored_bodies import ItemBody, ItemChange, ItemReply, ItemsReply
from nextitem.serving.service.storing import OF_STORE, as_refusals, id_of, store_of
from nextitem.serving.service.strict_route import StrictRoute

_Text = Annotated[str, Query(alias="search", max_length=200, description="Words of a title, or an id.")]
_Limit = Annotated[int, Query(ge=1, le=1000, description="How many items are listed at most.")]


def router(service: Service) -> APIRouter:
    """The routes of /v1/items."""
    routes = APIRouter(prefix="/v1/items", tags=["items"], route_class=StrictRoute)

    @routes.get("", summary="Items whose title or id has all words", responses=documented("invalid"))
    async def search(text: _Text = "", limit: _Limit = 20) -> ItemsReply:
        return ItemsReply(items=[_reply(service, one.item) for one in service.search(text, limit)])

    @routes.get("/{item:path}", summary="An item", responses=documented("not_found", "invalid"))
    async def get(item: str) -> ItemReply:
        return _reply(service, _id(service, item))

    @routes.patch(
        "/{item:path}",
        summary="Retire an item, bring it back or rename it; the next answer knows of it",
        responses=documented(*OF_BODIES, *OF_STORE, "not_found"),
    )
    async def change(item: str, body: ItemChange) -> ItemReply:
        store, raw = store_of(service), _id(service, item)
        _reply(service, raw)  # refuses one that is not there

        def keep() -> None:
            if body.title is not None:
                store.catalogue.rename({raw: body.title})
            if body.is_retired is not None:
                (store.catalogue.retire if body.is_retired else store.catalogue.bring_back)([raw])

        with as_refusals():
            await service.change_catalogue(
                lambda one: with_item(one, raw, title=body.title, is_retired=body.is_retired), keep
            )
        return _reply(service, raw)

    @routes.post(
        "",
        status_code=201,
        summary="Add an item by what is known of it; the next answer may list it",
        description="Models that only count have nothing to foretell of a new item, and do not list it.",
        responses=documented(*OF_BODIES, *OF_STORE),
    )
    async def add(body: ItemBody) -> ItemReply:
        store = store_of(service)
        store.rules.check_id("item", body.item, "body")
        if not any(can_grow(model.recommender) for model in service.models.current.values()):
            raise RefusedError(
                "invalid",
                "the models only count, and have nothing to foretell of a new item",
                "serve a model that has vectors of items, or train this one anew when the item has events",
            )
        told = {**body.features, **({} if body.title is None else {"title": body.title})}

        def grown(recommender: Recommender) -> Recommender:
            return with_added(recommender, {body.item: told}) if can_grow(recommender) else recommender

        with as_refusals():
            await service.change_catalogue(grown, lambda: store.catalogue.add({body.item: told}))
        return _reply(service, body.item)

    return routes


def _id(service: Service, item: str) -> RawId:
    return id_of(item, "item", ids_of(service.models.first.recommender))


def _reply(service: Service, item: RawId) -> ItemReply:
    """The item as it is now. Raises RefusedError where no model knows it."""
    known = {n: m.recommender for n, m in service.models.current.items() if knows(m.recommender, item)}
    if not known:
        raise RefusedError("not_found", f"item {str(item)[:60]!r} is in no catalogue", "POST /v1/items adds one")
    first = next(iter(known.values()))
    return ItemReply(
        item=item,
        title=first.known.item_titles[first.known.item_places.of(item, "item", 0)],
        is_retired=any(item in one.changes.retired for one in known.values()),
        is_cold=any(item in one.changes.added_ids for one in known.values()),
        models=[*known],
    )
