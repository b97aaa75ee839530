"""What every request passes before a route sees it: who asks, how much there is to do, how large a body is and how long
it takes; and what is told of each afterwards.
"""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import Response

from nextitem.serving.service.admission import Admission
from nextitem.serving.service.arrival import arrive
from nextitem.serving.service.logs import Log
from nextitem.serving.service.refusals import RefusedError, over_capacity
from nextitem.serving.service.security import OPEN, Token
from nextitem.serving.service.service import Service
from nextitem.serving.service.settings import ServiceSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TOLD = "nextitem.told"
"""Where in a request's scope routes leave what its log line says beside route, status and duration."""
_COMPUTED = ("/v1/recommend", "/v1/similar", "/v1/explain", "/v1/rerank")
_OF_PAGE = "/page/"  # parts that an open page asks for by itself: its own looking is nothing that the service does
_SAME = 0.05  # seconds for which one refusal tells all who come while there is no room: a flood must cost little
_PATIENCE = 0.02  # seconds after which it is worth to look whether anybody still waits for the answer


class Gate:
    """An application in front of another: limits, errors that are JSON, log lines and counters."""

    def __init__(self, app: Application, service: Service, token: Token | None, log: Log) -> None:
        self._inside, self._service, self._settings = app, service, service.settings
        self._token, self._log = token, log
        self._no_room, self._told_until = list[Message](), 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        start, told, status = arrive(self._service.clock.late), scope.setdefault(TOLD, {}), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._service.is_stopping:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        if not self._may_ask(scope):
            await _no_token()(scope, receive, sent)
            self._tell(scope, status, time.monotonic() - start, told)
            return
        computed = next((one for one in _COMPUTED if scope["path"].startswith(one)), None)
        if computed is not None and not self._service.admission.admits():
            await self._turn_away(computed, send, start)
            return
        body = _Body(scope, receive, self._settings, None if computed is None else self._service.admission)
        try:
            await self._inside(scope, body.receive, sent)
        except asyncio.CancelledError:
            status = 499  # nobody waits any more: the client closed the connection
            if not body.is_abandoned:
                raise
        except Exception as error:
            refused = error if isinstance(error, RefusedError) else self._failed(error)
            if not status:
                await refused.response()(scope, receive, sent)
        finally:
            body.close()
            self._tell(scope, status, time.monotonic() - start, told)

    def _may_ask(self, scope: Scope) -> bool:
        if self._token is None or scope["path"].startswith(OPEN):
            return True
        return self._token.fits(next((value for name, value in scope["headers"] if name == b"authorization"), b""))

    async def _turn_away(self, route: str, send: Send, start: float) -> None:
        """Refuse what cannot be taken on, before anything of it is read.

        A flood of such requests must cost next to nothing, or it would keep those waiting that were taken on.
        """
        now = time.monotonic()
        if now > self._told_until:
            admission = self._service.admission
            self._no_room = _messages(over_capacity(admission.waiting, admission.wait), self._service.is_stopping)
            self._told_until = now + _SAME
        for message in self._no_room:
            await send(message)
        self._service.measures.request(route, 503, now - start)
        self._log.count("refused", route)

    def _failed(self, error: Exception) -> RefusedError:
        told = "".join(traceback.format_exception(error))
        self._log.line("internal error", {"traceback": told})
        return RefusedError(
            "internal",
            "the service could not answer because of a mistake of its own",
            "report the traceback in its log",
        )

    def _tell(self, scope: Scope, status: int, seconds: float, told: dict[str, object]) -> None:
        if scope["path"].startswith(_OF_PAGE) and status < 400:
            return
        found = scope.get("route")  # none where nothing fits the path, which may hold anything
        route = found.path if found is not None else "none"
        self._service.measures.request(route, status, seconds)
        fields = {"method": scope["method"], "route": route, "status": status, "ms": round(1000 * seconds, 2)}
        self._log.line("request", fields | told)


class _Body:
    """A request's body, no larger and no slower than allowed; and then whether the client is still there."""

    def __init__(self, scope: Scope, receive: Receive, settings: ServiceSettings, admission: Admission | None) -> None:
        """With an `admission` the body asks something of a model: it is counted there, and its client looked after."""
        self._receive, self._most, self._seconds = receive, settings.body_bytes, settings.body_seconds
        self._loop = asyncio.get_running_loop()
        self._until, self._taken, self._is_whole = self._loop.time() + self._seconds, 0, False
        self._declared = next((int(v) for n, v in scope["headers"] if n == b"content-length" and v.isdigit()), 0)
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._asking = asyncio.current_task()
        self.is_abandoned = False
        """Whether the client closed the connection before it had its answer."""
        self._admission = admission
        if admission is not None:
            admission.begin(self)

    async def receive(self) -> Message:
        """The next part. Raises RefusedError for a body that is too large, or takes too long."""
        if self._is_whole:
            return await self._receive()
        if self._declared > self._most:
            raise _too_large(self._declared, self._most)
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(
                "body_timeout",
                f"{self._taken:,} bytes of the body came within {self._seconds:g} seconds, and no end",
                "send the body at once",
                {"connection": "close"},
            ) from None
        self._taken += len(message.get("body", b""))
        if self._taken > self._most:
            raise _too_large(self._taken, self._most)
        self._is_whole = not message.get("more_body", False)
        if self._is_whole and self._admission is not None:
            self._admission.finish(self)
            self._timer = self._loop.call_later(_PATIENCE, self._begin_to_watch)
        return message

    def close(self) -> None:
        """Read no more, and look no more after the client."""
        if self._admission is not None:
            self._admission.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _begin_to_watch(self) -> None:
        self._watch = self._loop.create_task(self._until_gone())

    async def _until_gone(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._asking is not None:
            self.is_abandoned = True
            self._asking.cancel()


def _messages(refused: RefusedError, is_stopping: bool) -> list[Message]:
    """A refusal as what an application sends."""
    response = refused.response()
    headers = [*response.raw_headers, *([(b"connection", b"close")] if is_stopping else [])]
    return [
        {"type": "http.response.start", "status": response.status_code, "headers": headers},
        {"type": "http.response.body", "body": response.body},
    ]


def _no_token() -> Response:
    return RefusedError(
        "no_token",
        "the request has no valid token",
        "send the header authorization: Bearer and the token that the service was started with",
        {"www-authenticate": 'Bearer, Basic realm="nextitem"'},
    ).response()


def _too_large(size: int, most: int) -> RefusedError:
    return RefusedError(
        "too_large",
        f"the body has {size:,} bytes or more, and {most:,} may be sent",
        "send shorter histories or fewer questions at a time",
        {"connection": "close"},
    )
