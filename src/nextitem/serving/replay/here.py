"""A service of one run in this process, on a free port, for as long as a replay needs it."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nextitem.errors import StorageError
from nextitem.serving.service.app import create_app
from nextitem.serving.service.listening import Ending, address_of, listener, serve
from nextitem.serving.service.logs import Log
from nextitem.serving.service.models import Models, ids_of
from nextitem.serving.service.service import Service
from nextitem.serving.service.settings import ServiceSettings
from nextitem.serving.store.store import EventStore


@contextmanager
def served_here(run_folder: Path) -> Iterator[str]:
    """The address of a service with a database that is empty, and is gone afterwards.

    It takes its time: who replays wants the model's answer, not a popular one after a deadline. Raises as loading a run
    does, and StorageError where it does not begin to listen.
    """
    settings = ServiceSettings(port=0, deadline=60, wait=60, queue=4096, drain_seconds=0)
    models = Models.load([run_folder])
    known = models.first.recommender
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="nextitem-replay-")))
        store = held.enter_context(EventStore.open(folder / "events.db", kinds=known.kinds, ids=ids_of(known)))
        service = Service(models, settings, store)
        app, opened = create_app(service, log=Log(is_silent=True)), listener(settings)
        address, is_listening = address_of(opened), threading.Event()
        loops = list[tuple[asyncio.AbstractEventLoop, Ending]]()

        async def run() -> None:
            loops.append((asyncio.get_running_loop(), Ending()))
            await serve(app, opened, service, loops[0][1], is_listening.set)

        thread = threading.Thread(target=asyncio.run, args=(run(),), name="service")
        thread.start()
        try:
            if not is_listening.wait(60):
                raise StorageError(f"the service does not listen at {address} after a minute; start one by nextitem "
                                   "serve and name it by --url")  # fmt: skip
            yield address
        finally:
            for loop, ending in loops:
                loop.call_soon_threadsafe(ending.ask)
            thread.join()
