"""A service as a replay asks it: over HTTP, patiently, each answer with the time it took.

The client for programs (`serving/client`) is not used: a replay goes by the standard library, so that the verb needs no
extra, and counts the time of the attempt that was answered, without waits before it and checks after it.
"""

import http.client
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from nextitem.errors import ConfigurationError, StorageError

_PATIENCE = 60.0  # seconds for which a service that is at its capacity is asked again
_SECONDS = 120.0


@dataclass(frozen=True)
class Told:
    """What a service answered."""

    content: Any
    seconds: float
    """From sending the request that was answered to the end of its answer."""


class Asker:
    """A service at an address. Each thread has a connection of its own, open until the block ends."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Raises ConfigurationError for what is no address of a service."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"--url {url} is no address of a service; give one such as http://127.0.0.1:8000")
        self.url, self._prefix = url, parts.path.rstrip("/")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._own: dict[int, http.client.HTTPConnection] = {}  # of each thread

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for connection in self._own.values():
            connection.close()

    def get(self, path: str) -> Told:
        """What a path holds. Raises StorageError where nothing answers, ConfigurationError for a refusal."""
        return self._asked("GET", path, None, {})

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Told:
        """What a service answers to a body; over its capacity it is asked again. Raises as `get`."""
        content = json.dumps(body).encode()
        return self._asked("POST", path, content, {"content-type": "application/json", **(headers or {})})

    def _asked(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Told:
        until = time.monotonic() + _PATIENCE
        while True:
            start = time.perf_counter()
            status, wait, content = self._once(method, path, body, headers)
            seconds = time.perf_counter() - start
            if status < http.client.MULTIPLE_CHOICES:
                return Told(json.loads(content), seconds)
            if status != http.client.SERVICE_UNAVAILABLE or time.monotonic() > until:
                raise ConfigurationError(f"{self.url}{path} refused ({status}): {_words(content)}")
            time.sleep(wait)

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, float, bytes]:
        """(status, seconds to wait where it is too much, content); a connection that was closed is opened anew once.

        Whatever is asked may be asked twice: questions change nothing, and events have a key.
        """
        for is_last in (threading.get_ident() not in self._own, True):
            connection = self._connection()
            try:
                connection.request(method, self._prefix + path, body, {**self._headers, **headers})
                answer = connection.getresponse()
                return answer.status, float(answer.headers.get("retry-after") or 1), answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if is_last:
                    raise StorageError(f"nothing answers at {self.url} ({error}); start a service there by nextitem "
                                       "serve, or leave --url out")  from error  # fmt: skip
        raise AssertionError("the last of the tries returns or raises")

    def _connection(self) -> http.client.HTTPConnection:
        thread = threading.get_ident()
        if thread not in self._own:
            self._own[thread] = self._kind(self._host, self._port, timeout=_SECONDS)
        return self._own[thread]


def _words(content: bytes) -> str:
    """A refusal in words."""
    try:
        told = json.loads(content)
        return f"{told['message']}; {told['remedy']}"
    except (ValueError, KeyError, TypeError):
        return content[:200].decode(errors="replace") or "without a word"
