"""The models of the service: which there are, loading one again, and who is answered by which."""

from fastapi import APIRouter

from nextitem.serving.service.bodies import ModelState, SharesBody
from nextitem.serving.service.models import ModelVersion
from nextitem.serving.service.refusals import OF_BODIES, documented
from nextitem.serving.service.service import Service
from nextitem.serving.service.strict_route import StrictRoute


def router(service: Service) -> APIRouter:
    """The routes of /v1/models."""
    routes = APIRouter(prefix="/v1/models", tags=["models"], route_class=StrictRoute)

    @routes.get("", summary="The models, and the share of the users that each answers", responses=documented())
    async def models() -> list[ModelState]:
        return [_state(one) for one in service.models.current.values()]

    @routes.post(
        "/{name}/reload",
        summary="Load a model again from its folder or address; it takes over with no request lost",
        description="Where it is not intact the answer is 409, and the model that was there goes on.",
        responses=documented("no_model", "artefact", "invalid"),
    )
    async def reload(name: str) -> ModelState:
        return _state(await service.reload(name))

    @routes.put(
        "/shares",
        summary="Deal the users out to the models anew",
        description="Each user is always answered by the same model, as long as shares stay.",
        responses=documented(*OF_BODIES, "no_model"),
    )
    async def share_out(body: SharesBody) -> list[ModelState]:
        service.models.share_out(body.shares)
        return [_state(one) for one in service.models.current.values()]

    return routes


def _state(model: ModelVersion) -> ModelState:
    return ModelState(
        name=model.name,
        version=model.version,
        loaded=model.loaded,
        share=model.share,
        items=len(model.recommender.items),
        in_doubt=model.in_doubt,
        recall=model.recall,
    )
