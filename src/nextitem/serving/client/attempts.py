"""A request to a service, tried again until its deadline where that is safe; and what is said where no answer came.

A refusal with 503 means that nothing was done, so that it is always safe to come again; so is a connection that was
never made. Where one is lost on the way the request may have been carried out: it comes again only if that does nothing
more.
"""

import operator
import random
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from nextitem.errors import ConfigurationError, ServiceError
from nextitem.serving.client.request import Request, check_header
from nextitem.serving.service.refusals import Problem

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0  # seconds; doubled each time, and less by chance: many do not come back at once
_LEAST = 0.001  # seconds that an attempt has: httpx takes 0 for one that has failed
_SHOWN = 100  # characters of an answer that nobody can read
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class _Failure:
    """An attempt without an answer."""

    error: ServiceError
    is_safe: bool
    """Whether to come again does no harm."""
    least: float = 0.0
    """Seconds to wait before."""
    cause: Exception | None = None


class Attempts:
    """A service at its address; any number of threads may ask it."""

    def __init__(self, url: str, token: str | None, timeout: float, transport: httpx.BaseTransport | None) -> None:
        """Raises ConfigurationError for an address that is none, and for a token that no header can carry."""
        check_header("token", token)
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"url={url!r}: {error}; give one such as http://127.0.0.1:8000") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise ConfigurationError(f"url={url!r} is no address; give one such as http://127.0.0.1:8000")
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=address, headers=headers, transport=transport)
        self._url, self._timeout = f"{address.copy_with(userinfo=b'')}".rstrip("/"), timeout

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def ask(self, request: Request, kind: type[T]) -> T:
        """The answer, which is a `kind`. Raises ServiceError where none comes in time."""
        content, deadline, wait = _as_json(request.body), monotonic() + self._timeout, _FIRST_WAIT
        while True:
            found = self._once(request, content, max(deadline - monotonic(), _LEAST))
            if isinstance(found, httpx.Response):
                return self._read(request, found, kind)
            pause = max(found.least, wait * random.uniform(0.5, 1.0))
            if not (found.is_safe and request.is_patient and monotonic() + pause < deadline):
                raise found.error from found.cause
            sleep(pause)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _once(self, request: Request, content: bytes | None, seconds: float) -> httpx.Response | _Failure:
        headers = request.headers if content is None else {**request.headers, "content-type": "application/json"}
        try:
            answer = self._client.request(
                request.method, request.path, content=content, params=request.parameters or None, headers=headers,
                timeout=seconds,
            )  # fmt: skip
        except httpx.TimeoutException as error:
            fact = (
                f"no answer within {self._timeout:g} seconds; give the client a longer timeout, or look at the service"
            )
            return self._lost(request, "timeout", fact, error)
        except httpx.RequestError as error:
            fact = f"no answer ({error or type(error).__name__}); start the service there, or correct the address"
            return self._lost(request, "unreachable", fact, error)
        return answer if answer.is_success else self._refused(request, answer)

    def _lost(self, request: Request, code: str, fact: str, error: httpx.RequestError) -> _Failure:
        was_sent = not isinstance(error, _NEVER_SENT)
        if was_sent and not request.may_come_twice:
            fact = f"{fact}; whether it was carried out is not known, so look before asking again"
        told = ServiceError(f"{self._name(request)}: {fact}", code, remedy=fact.partition("; ")[2])
        return _Failure(told, request.may_come_twice or not was_sent, cause=error)

    def _refused(self, request: Request, answer: httpx.Response) -> _Failure:
        try:
            problem = Problem.model_validate_json(answer.content)
        except ValidationError as error:
            return _Failure(self._unexpected(request, answer), _is_busy(answer), _seconds(answer), error)
        said = f"{self._name(request)}: {problem.code} ({answer.status_code}): {problem.message}; {problem.remedy}"
        told = ServiceError(said, problem.code, answer.status_code, problem.remedy)
        return _Failure(told, _is_busy(answer), _seconds(answer))

    def _read(self, request: Request, answer: httpx.Response, kind: type[T]) -> T:
        try:
            return TypeAdapter(kind).validate_json(answer.content)
        except ValidationError as error:
            raise self._unexpected(request, answer) from error

    def _unexpected(self, request: Request, answer: httpx.Response) -> ServiceError:
        remedy = "see whether a nextitem service of this version is at the address"
        fact = f"{answer.status_code} with {answer.text[:_SHOWN]!r}, which no nextitem service of this version answers"
        return ServiceError(f"{self._name(request)}: {fact}; {remedy}", "unexpected", answer.status_code, remedy)

    def _name(self, request: Request) -> str:
        """Which request of whom: by its route, since the rest of a path may be somebody's id."""
        return f"{request.method} {self._url}{'/'.join(request.path.split('/')[:3])}"


def _as_json(body: object) -> bytes | None:
    try:
        return None if body is None else to_json(body, fallback=operator.index)  # whole numbers of other libraries
    except (PydanticSerializationError, TypeError, ValueError) as error:
        raise ConfigurationError(f"this cannot be sent as JSON: {error}; give ids as texts or whole numbers") from error


def _is_busy(answer: httpx.Response) -> bool:
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE


def _seconds(answer: httpx.Response) -> float:
    """What Retry-After asks for, where it is a number; a date is not used here."""
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdigit() else 0.0
