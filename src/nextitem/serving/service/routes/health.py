"""Whether the process lives, and whether it takes questions."""

from fastapi import APIRouter

from nextitem.serving.service.bodies import Live, ModelNamed, Ready
from nextitem.serving.service.refusals import RefusedError, documented
from nextitem.serving.service.service import Service
from nextitem.serving.service.strict_route import StrictRoute


def router(service: Service) -> APIRouter:
    """The routes of /health."""
    routes = APIRouter(prefix="/health", tags=["health"], route_class=StrictRoute)

    @routes.get("/live", summary="Whether the process answers")
    async def live() -> Live:
        return Live()

    @routes.get("/ready", summary="Whether questions are taken", responses=documented("not_ready"))
    async def ready() -> Ready:
        if not service.is_ready:
            raise RefusedError("not_ready", "the service is ending", "ask another instance")
        return Ready(models=[ModelNamed(name=one.name, version=one.version) for one in service.models.current.values()])

    return routes
