"""A service on a real socket of this process, for tests of what is seen from outside."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from nextitem.serving.page.routes import with_page
from nextitem.serving.recommender import Recommender
from nextitem.serving.service.app import create_app
from nextitem.serving.service.listening import Ending, address_of, listener, serve
from nextitem.serving.service.logs import Log
from nextitem.serving.service.models import Models, version_of
from nextitem.serving.service.security import Token
from nextitem.serving.service.service import Service
from nextitem.serving.service.settings import ServiceSettings
from nextitem.serving.store.seam import Store
from worlds.small_runs import outcome


@dataclass
class Served:
    """A service that listens, and somebody to ask it."""

    service: Service
    address: str
    client: httpx.Client
    written: io.StringIO = field(default_factory=io.StringIO)
    end: Callable[[], object] = lambda: None
    """Tells it to end, as a signal does."""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def log(self) -> list[dict[str, object]]:
        """The lines that were written; complete when the service has ended."""
        return [json.loads(line) for line in self.written.getvalue().splitlines()]

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.client.post(path, json=body, headers=headers)


def models_of(*recipes: str) -> Models:
    """Models of the small log, by the names of their recipes."""
    made = [Recommender.from_outcome(outcome(name)) for name in recipes]
    return Models([version_of(one, name, 1 / len(made)) for one, name in zip(made, recipes, strict=True)])


@contextmanager
def served(
    models: Models | None = None,
    settings: ServiceSettings | None = None,
    token: Token | None = None,
    events: Store | None = None,
) -> Iterator[Served]:
    """The service, listening at a free port until the block ends; then what was accepted has been answered."""
    settings = ServiceSettings(port=0, drain_seconds=0, wait=10, deadline=10) if settings is None else settings
    written = io.StringIO()
    service = Service(models or models_of("sasrec-ce"), settings, events)
    app, opened = with_page(create_app(service, token, Log(written)), service), listener(settings)
    address = address_of(opened)
    is_listening, loops = threading.Event(), list[tuple[asyncio.AbstractEventLoop, Ending]]()

    async def run() -> None:
        loops.append((asyncio.get_running_loop(), Ending()))
        await serve(app, opened, service, loops[0][1], is_listening.set)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert is_listening.wait(60)
    is_told = list[bool]()

    def end() -> None:
        is_told.append(True)
        loop, ending = loops[0]
        loop.call_soon_threadsafe(ending.ask)

    try:
        with httpx.Client(base_url=address, timeout=20) as client:
            yield Served(service, address, client, written, end)
    finally:
        if not is_told:
            end()
        thread.join(30)
        assert not thread.is_alive()
