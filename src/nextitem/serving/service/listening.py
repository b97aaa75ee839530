"""The server: Granian in this process, on a socket of our own, until a signal ends it."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from nextitem.errors import StorageError
from nextitem.serving.service.service import Service
from nextitem.serving.service.settings import ServiceSettings

_SWITCH = 0.001  # seconds that the model may hold the interpreter while requests wait for it; 0.005 where nobody says


class _Embedded(Server):
    """Granian that listens at a socket which is there already: its port is known, and nobody else has it."""

    def __init__(self, application: FastAPI, listener: socket.socket, settings: ServiceSettings) -> None:
        self._listener = listener
        super().__init__(
            application,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=1024,
            backpressure=settings.connections,
            http1_settings=HTTP1Settings(header_read_timeout=round(settings.header_seconds * 1000)),
            log_enabled=False,
        )

    def _init_shared_socket(self) -> None:
        self._shd = SocketHolder(self._listener.detach(), False, self.backlog)  # type: ignore[assignment, call-arg]


def listener(settings: ServiceSettings) -> socket.socket:
    """A socket that is bound and known to nobody else. Raises StorageError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((settings.host, settings.port))
    except OSError as error:
        opened.close()
        raise StorageError(
            f"cannot listen at {settings.host}:{settings.port} ({error.strerror}); end what listens there, or choose "
            f"another --port (0: any that is free)"
        ) from error
    return opened


def address_of(opened: socket.socket) -> str:
    """The socket's address as people type it."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(application: FastAPI, opened: socket.socket, service: Service, told: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; `told` is called when requests are taken.

    A second signal ends at once what the first one let finish.
    """

    async def until_told() -> None:
        ending, loop = Ending(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.ask)
        await serve(application, opened, service, ending, told)

    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()  # what was loaded stays: looking at it again and again would hold requests up for tens of milliseconds
    asyncio.run(until_told())


class Ending:
    """Whether a server is to end: asked once when it has finished, asked twice at once. Of one event loop."""

    def __init__(self) -> None:
        self.is_asked, self.is_urgent = asyncio.Event(), asyncio.Event()

    def ask(self) -> None:
        """Ask it to end."""
        (self.is_urgent if self.is_asked.is_set() else self.is_asked).set()


async def serve(
    application: FastAPI, opened: socket.socket, service: Service, ending: Ending, told: Callable[[], None]
) -> None:
    """Take requests at the socket until it is asked to end, and finish what was accepted.

    The socket is the server's from then on, which closes it.
    """
    settings = service.settings
    server = _Embedded(application, opened, settings)
    serving = asyncio.create_task(server.serve())
    while not server.wrks and not serving.done():
        await asyncio.sleep(0.01)
    told()
    await _first(serving, ending.is_asked.wait())
    service.begin_to_stop()
    # Callers on kept connections are asked to close them by the answers they get meanwhile. A connection that the
    # server closes may have the next request on its way already, which nobody would answer.
    await _first(serving, ending.is_urgent.wait(), settings.drain_seconds)
    server.stop()  # type: ignore[no-untyped-call]
    await _first(serving, ending.is_urgent.wait(), settings.stop_seconds)
    if serving.done():
        await serving
    else:
        serving.cancel()


async def _first(serving: "asyncio.Task[None]", other: Coroutine[Any, Any, object], most: float | None = None) -> None:
    """Wait until the server ended or the other thing happened, for so many seconds at most."""
    waiting = asyncio.ensure_future(other)
    await asyncio.wait((serving, waiting), timeout=most, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
