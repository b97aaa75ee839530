"""The page's addresses: `/`, the parts of it that change, and the files it is made with."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from nextitem.serving.page.asking import Counter
from nextitem.serving.page.content import found_content, page_content, service_content
from nextitem.serving.page.files import FILES
from nextitem.serving.page.rendering import rendered
from nextitem.serving.page.state import View
from nextitem.serving.service.service import Service

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # One address gives the page or a part of it, by who asks; neither is to be taken for the other later.
    "cache-control": "no-store",
    "vary": "HX-Request",
}

# Where a part goes is said with it: the link that asked may be gone when it comes, and with it what stood on the link.
_PART = {"hx-retarget": "#studio", "hx-reswap": "outerHTML show:none"}


def router(service: Service) -> APIRouter:
    """The routes of the page; it is no part of the service's interface for programs."""
    routes = APIRouter(include_in_schema=False)
    counter = Counter(service)

    @routes.get("/")
    async def page(request: Request) -> Response:
        view = View.of(request.query_params.multi_items())
        headers = request.headers
        is_part = "hx-request" in headers and "hx-history-restore-request" not in headers
        asked = "" if is_part else request.query_params.get("q", "")[:200]
        content = await page_content(counter, view, asked, is_part)
        return _html("studio.html.j2", content, _PART) if is_part else _html("page.html.j2", content)

    @routes.get("/page/search")
    async def search(request: Request) -> Response:
        view = View.of(request.query_params.multi_items())
        return _html("found.html.j2", found_content(counter, view, request.query_params.get("q", "")[:200]))

    @routes.get("/page/service")
    async def figures() -> Response:
        return _html("service.html.j2", await service_content(counter))

    @routes.get("/page/static/{name}")
    async def static(name: str) -> Response:
        found = FILES.get(name)
        if found is None:
            return Response(status_code=404)
        return Response(
            found.content, media_type=found.kind, headers=HEADERS | {"cache-control": "no-cache", "etag": found.tag}
        )

    return routes


def with_page(app: FastAPI, service: Service) -> FastAPI:
    """The application with the page beside its routes."""
    app.include_router(router(service))
    return app


def _html(template: str, content: dict[str, object], more: Mapping[str, str] = MappingProxyType({})) -> Response:
    return HTMLResponse(rendered(template, content), headers={**HEADERS, **more})
