"""Routes that take strict JSON and no parameter that they do not know; otherwise FastAPI's own."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from nextitem.serving.service.refusals import RefusedError
from nextitem.serving.service.strict_json import parsed


class _StrictRequest(Request):
    async def json(self) -> Any:
        return parsed(await self.body())


class StrictRoute(APIRoute):
    """A route that takes `application/json` alone and reads it strictly; `APIRouter(route_class=StrictRoute)`.

    A parameter that it does not know is refused: one that is misspelt would be an answer to another question.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind these checks."""
        handle = super().get_route_handler()
        has_body = self.body_field is not None
        known = {parameter.alias for parameter in self.dependant.query_params}

        async def strictly(request: Request) -> Response:
            if unknown := sorted(request.query_params.keys() - known):
                there = f"it knows {', '.join(sorted(known))}" if known else "it takes none"
                raise RefusedError("invalid", f"{unknown[0][:60]!r} is no parameter of this route", there)
            if has_body:
                kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind != "application/json":
                    raise RefusedError(
                        "not_json",
                        f"the content type is {kind[:60]!r}" if kind else "there is no content type",
                        "send JSON with the header content-type: application/json",
                    )
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly
