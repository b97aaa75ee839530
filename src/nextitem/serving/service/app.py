"""The service over HTTP: FastAPI with its routes, behind the gate that every request passes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from nextitem.errors import NextitemError, StorageError
from nextitem.serving.service.gate import Gate
from nextitem.serving.service.logs import Log
from nextitem.serving.service.refusals import RefusedError
from nextitem.serving.service.routes import events, explained, health, items, models, observed, recommend, users
from nextitem.serving.service.security import Token
from nextitem.serving.service.service import Service
from nextitem.serving.service.stored_bodies import FORMS
from nextitem.serving.service.watching import Watching

_ABOUT = "What comes next, for a history or a user, from models that were trained by `nextitem train`."
_SEE = "see /openapi.json for what the route takes"
_BY_STATUS = {404: "not_found", 405: "method_not_allowed"}


def create_app(service: Service, token: Token | None = None, log: Log | None = None) -> FastAPI:
    """The application, an ASGI one; it starts and stops the service with itself.

    With a `token` every request but those of /health has to bring it. Log lines go to stderr where no `log` is given.
    """
    log = Log() if log is None else log

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.start()
        service.start()
        models = service.models.current.values()
        log.line("started", {"models": {one.name: one.version for one in models}})
        for one in models:
            if one.in_doubt:
                log.line("events in doubt", {"model": one.name, "count": one.in_doubt})
            for why in one.passed_over:
                log.line("version refused", {"model": one.name, "why": why})
            if one.why_exact:
                log.line("lists are exact", {"model": one.name, "why": one.why_exact})
        watching = Watching(service, log)
        watching.start()
        try:
            yield
        finally:  # also where the server was not given the time to end
            watching.stop()
            await service.stop()
            log.line("ended", {})
            log.stop()

    app = FastAPI(
        title="nextitem", version=version("nextitem"), description=_ABOUT, lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url="/openapi.json",  # their pages load scripts from elsewhere
    )  # fmt: skip
    for routes in (recommend, explained, events, items, users, models, health, observed):
        app.include_router(routes.router(service))
    app.add_middleware(Gate, service=service, token=token, log=log)
    for kind in (RequestValidationError, HTTPException, NextitemError):
        app.add_exception_handler(kind, _refused)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    return as_refusal(error).response()


def as_refusal(error: Exception) -> RefusedError:
    """An error as what a caller is told."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return _not_there(error)
    fact, _, remedy = str(error).rpartition("; ")
    if isinstance(error, StorageError):  # what is stored of a user cannot be read now
        return RefusedError("storage", fact or remedy, remedy, {"retry-after": "1"})
    return RefusedError("invalid", fact, remedy) if fact else RefusedError("invalid", remedy, _SEE)


def _invalid(error: RequestValidationError) -> RefusedError:
    found = error.errors()[0]
    place = _place(found["loc"])
    more = len(error.errors()) - 1
    others = f" (and {more:,} more)" if more else ""
    return RefusedError("invalid", f"{place}: {found['msg'].lower()}{others}", _SEE)


def _place(location: Sequence[int | str]) -> str:
    """Where in a request something is wrong, as `questions[0].k`; which form a body has is left out."""
    place = ""
    for part in location[1:]:
        if part not in FORMS:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place or "body"


def _not_there(error: HTTPException) -> RefusedError:
    code = _BY_STATUS.get(error.status_code, "invalid")
    remedy = "see /openapi.json for the routes and their methods"
    return RefusedError(code, f"{error.detail}".lower(), remedy, error.headers)
