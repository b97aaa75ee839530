"""A user as the service has them: all that is stored, and its end."""

import asyncio

import torch
from fastapi import APIRouter

from nextitem.serving.ids import RawId
from nextitem.serving.recommender import Recommender
from nextitem.serving.service.refusals import RefusedError, documented
from nextitem.serving.service.service import Service
from nextitem.serving.service.stored_bodies import DeletedReply, LearntHistory, StoredEventReply, UserReply
from nextitem.serving.service.storing import OF_STORE, as_refusals, id_of, store_of
from nextitem.serving.service.strict_route import StrictRoute


def router(service: Service) -> APIRouter:
    """The routes of /v1/users."""
    routes = APIRouter(prefix="/v1/users", tags=["users"], route_class=StrictRoute)

    @routes.get(
        "/{user:path}",
        summary="All that is stored of a user: events, and what the runs hold",
        responses=documented("no_store", "not_found", "invalid", "storage"),
    )
    async def export(user: str) -> UserReply:
        store = store_of(service)
        raw = id_of(user, "user", store.rules.ids)
        with as_refusals():
            found = await asyncio.to_thread(store.export, raw)
        learnt = _learnt(service, raw)
        if not (found.events or found.is_forgotten or learnt):
            raise RefusedError("not_found", f"nothing is stored of user {user[:60]!r}", "ask for a user that is known")
        events = [StoredEventReply(item=one.item, time=one.time or 0.0, kind=one.kind) for one in found.events]
        return UserReply(user=raw, is_forgotten=found.is_forgotten, events=events, learnt=learnt)

    @routes.delete(
        "/{user:path}",
        summary="Delete a user for good",
        description=(
            "Their events are deleted and overwritten, and what a run holds of them is not used any more. What they do "
            "afterwards is new. Deleting somebody who is not known is no error: they stay deleted as well."
        ),
        responses=documented(*OF_STORE, "invalid"),
    )
    async def delete(user: str) -> DeletedReply:
        store = store_of(service)
        raw = id_of(user, "user", store.rules.ids)
        with as_refusals():
            deleted = await asyncio.to_thread(store.forget, raw)
        return DeletedReply(user=raw, deleted=deleted, held_by=[one.model for one in _learnt(service, raw)])

    return routes


def _learnt(service: Service, user: RawId) -> list[LearntHistory]:
    """What the runs hold of a user, model by model."""
    found = (_held(name, model.recommender, user) for name, model in service.models.current.items())
    return [one for one in found if one is not None]


def _held(name: str, recommender: Recommender, user: RawId) -> LearntHistory | None:
    known = recommender.known
    if known.users is None or (place := known.user_places.of(user, "user", 0)) < 0:
        return None
    histories, raw = known.stored()[1], known.raw_items
    own = histories.select(torch.tensor([place]))
    disliked = own.disliked()
    return LearntHistory(
        model=name,
        history=[raw[item] for item in own.tolist()[0]],
        times=own.times().tolist() if histories.has_times else None,
        disliked=[] if disliked is None else [raw[item] for item in disliked.tolist()[0]],
    )
