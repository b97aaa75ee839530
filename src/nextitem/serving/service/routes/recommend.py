"""What comes next: for one, and for many at a time."""

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from nextitem.serving.service.bodies import BatchBody, BatchReply, RecommendBody, RecommendReply
from nextitem.serving.service.gate import TOLD
from nextitem.serving.service.refusals import OF_BODIES, documented
from nextitem.serving.service.replies import question_of, reply_of, told_of
from nextitem.serving.service.service import Service
from nextitem.serving.service.strict_route import StrictRoute


def router(service: Service) -> APIRouter:
    """The routes of /v1/recommend."""
    routes = APIRouter(prefix="/v1/recommend", tags=["recommend"], route_class=StrictRoute)

    @routes.post(
        "",
        summary="The k best next items for a history or a user",
        response_model=RecommendReply,
        responses=documented(*OF_BODIES, "no_model", "over_capacity", "storage"),
    )
    async def recommend(body: RecommendBody, request: Request) -> Response:
        answered = await service.answer(question_of(body), body.model)
        request.scope[TOLD] |= told_of(service, body, answered)
        return Response(to_json(reply_of(answered)), media_type="application/json")

    @routes.post(
        "/batch",
        summary="The next items for several at once",
        description="Either all are answered, or the whole is refused.",
        response_model=BatchReply,
        responses=documented(*OF_BODIES, "no_model", "over_capacity", "storage"),
    )
    async def recommend_batch(body: BatchBody, request: Request) -> Response:
        answers = await service.answer_all([question_of(one) for one in body.questions], body.model)
        request.scope[TOLD] |= {
            "answers": [told_of(service, *one) for one in zip(body.questions, answers, strict=True)]
        }
        return Response(to_json({"answers": [reply_of(one) for one in answers]}), media_type="application/json")

    return routes
