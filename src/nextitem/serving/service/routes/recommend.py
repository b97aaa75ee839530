"""What comes next: for one, and for many at a time."""

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from nextitem.serving.question import Question, Terms
from nextitem.serving.service.bodies import BatchBody, BatchReply, QuestionBody, RecommendBody, RecommendReply
from nextitem.serving.service.gate import TOLD
from nextitem.serving.service.refusals import OF_BODIES, documented
from nextitem.serving.service.service import Answered, Service
from nextitem.serving.service.strict_route import StrictRoute


def router(service: Service) -> APIRouter:
    """The routes of /v1/recommend."""
    routes = APIRouter(prefix="/v1/recommend", tags=["recommend"], route_class=StrictRoute)

    @routes.post(
        "",
        summary="The k best next items for a history or a user",
        response_model=RecommendReply,
        responses=documented(*OF_BODIES, "no_model", "over_capacity"),
    )
    async def recommend(body: RecommendBody, request: Request) -> Response:
        answered = await service.answer(question_of(body), body.model)
        request.scope[TOLD] |= told_of(answered)
        return Response(to_json(reply_of(answered)), media_type="application/json")

    @routes.post(
        "/batch",
        summary="The next items for several at once",
        description="Either all are answered, or the whole is refused.",
        response_model=BatchReply,
        responses=documented(*OF_BODIES, "no_model", "over_capacity"),
    )
    async def recommend_batch(body: BatchBody, request: Request) -> Response:
        answers = await service.answer_all([question_of(one) for one in body.questions], body.model)
        request.scope[TOLD] |= {"answers": [told_of(one) for one in answers]}
        return Response(to_json({"answers": [reply_of(one) for one in answers]}), media_type="application/json")

    return routes


def question_of(body: QuestionBody) -> Question:
    """The body as what a recommender is asked."""
    terms = Terms(
        candidates=body.candidates,
        exclude=body.exclude,
        hide=body.hide,
        histories_only=body.histories_only,
        unknown=body.unknown,
    )
    return Question(body.history, body.times, None, body.user, body.k, terms)


def told_of(answered: Answered) -> dict[str, object]:
    """What the log says of an answer: which model it came from and how, and nobody's ids."""
    model, answer = answered.model, answered.answer
    told = {"model": model.name, "version": model.version, "source": answer.source, "items": len(answer)}
    return told if answered.fallback is None else {**told, "fallback": answered.fallback}


def reply_of(answered: Answered) -> dict[str, object]:
    """The answer with the keys of `RecommendReply`, which is not made: it would cost more than it proves."""
    answer, model = answered.answer, answered.model
    return {
        "items": [
            {"item": one.item, "score": one.score, "title": one.title, "source": one.source, "is_cold": one.is_cold}
            for one in answer.items
        ],
        "source": answer.source,
        "fallback": answered.fallback,
        "model": {"name": model.name, "version": model.version},
        "cursor": None,
        "filtered": answer.filtered,
        "unknown": answer.unknown,
        "continued": answer.continued,
    }
