"""Answers looked into: items that are like others, given items in order, and why an answer is what it is."""

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from nextitem.serving.explaining.similar import narrowed_to
from nextitem.serving.service.bodies import RecommendReply
from nextitem.serving.service.explained_bodies import ExplainBody, ExplainReply, RerankBody, SimilarBody, SimilarReply
from nextitem.serving.service.gate import TOLD
from nextitem.serving.service.refusals import OF_BODIES, documented
from nextitem.serving.service.replies import explanation_of, history_of, question_of, reply_of, told_of
from nextitem.serving.service.service import Service
from nextitem.serving.service.strict_route import StrictRoute

_REFUSED = documented(*OF_BODIES, "no_model", "over_capacity", "deadline")


def router(service: Service) -> APIRouter:
    """The routes /v1/similar, /v1/rerank and /v1/explain."""
    routes = APIRouter(prefix="/v1", tags=["explain"], route_class=StrictRoute)

    @routes.post(
        "/similar", summary="The k items that are most like each of these",
        description="10,000 items in all at most.",
        response_model=SimilarReply, responses=_REFUSED,
    )  # fmt: skip
    async def similar(body: SimilarBody, request: Request) -> Response:
        terms = narrowed_to(body.candidates, body.exclude, body.where, body.unknown)
        lists, model = await service.similar(body.items, body.k, terms, body.model)
        request.scope[TOLD] |= {"model": model.name, "version": model.version}
        known = model.recommender.known
        places = known.item_places.of_each(body.items, "items")
        told = [
            {"item": item, "title": known.item_titles[place] if place >= 0 else None, "similar": found}
            for item, place, found in zip(body.items, places, lists, strict=True)
        ]
        return _json({"items": told, "model": {"name": model.name, "version": model.version}})

    @routes.post(
        "/rerank", summary="All of these items in the model's order",
        description="Nothing is left out that the body does not name; `filtered` counts what it does.",
        response_model=RecommendReply, responses=_REFUSED,
    )  # fmt: skip
    async def rerank(body: RerankBody, request: Request) -> Response:
        answered = await service.rerank(history_of(body), body.items, body.model)
        request.scope[TOLD] |= told_of(service, body, answered)
        return _json(reply_of(answered))

    @routes.post(
        "/explain", summary="What carries each item of a list, what was left out, and what if",
        description=(
            "Each item of the history is left out in turn: what the score loses tells what it rests on. By `without` "
            "and `added` the list after another history stands beside it. Items that are explained times items that "
            "are left out may be 5,000."
        ),
        response_model=ExplainReply, responses=_REFUSED,
    )  # fmt: skip
    async def explain(body: ExplainBody, request: Request) -> Response:
        answered, found = await service.explain(
            question_of(body), body.items, without=body.without, added=body.added, latest=body.latest, model=body.model
        )
        request.scope[TOLD] |= told_of(service, body, answered)
        return _json(explanation_of(found, answered.model))

    return routes


def _json(reply: object) -> Response:
    return Response(to_json(reply, inf_nan_mode="null"), media_type="application/json")
