"""The server: Granian in this process, on a socket of our own, until a signal ends it."""

import asyncio
import signal
import socket
from collections.abc import Callable

from fastapi import FastAPI
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from nextitem.errors import StorageError
from nextitem.serving.service.settings import ServiceSettings


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


def listen(application: FastAPI, opened: socket.socket, settings: ServiceSettings, told: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; `told` is called when requests are taken."""

    async def until_told() -> None:
        is_over, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, is_over.set)
        await serve(application, opened, settings, is_over, told)

    asyncio.run(until_told())


async def serve(
    application: FastAPI,
    opened: socket.socket,
    settings: ServiceSettings,
    is_over: asyncio.Event,
    told: Callable[[], None],
) -> None:
    """Take requests at the socket until `is_over` is set, and finish what was accepted.

    The socket is the server's from then on, which closes it.
    """
    server = _Embedded(application, opened, settings)
    serving = asyncio.create_task(server.serve())
    while not server.wrks and not serving.done():
        await asyncio.sleep(0.01)
    told()
    ending = asyncio.create_task(is_over.wait())
    await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
    server.stop()  # type: ignore[no-untyped-call]
    await serving
