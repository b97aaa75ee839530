"""What the service did so far, for Prometheus."""

from fastapi import APIRouter, Response

from nextitem.serving.service.metrics import CONTENT_TYPE
from nextitem.serving.service.refusals import documented
from nextitem.serving.service.service import Service
from nextitem.serving.service.strict_route import StrictRoute


def router(service: Service) -> APIRouter:
    """The route /metrics."""
    routes = APIRouter(tags=["metrics"], route_class=StrictRoute)

    @routes.get(
        "/metrics",
        summary="Counters and clocks in Prometheus' text format",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented()},
    )
    async def metrics() -> Response:
        return Response(service.exposition(), headers={"content-type": CONTENT_TYPE})

    return routes
