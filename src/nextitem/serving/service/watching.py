"""Newer versions of the models, looked for every so many seconds where these lie, and put in their place."""

import asyncio
import threading
from pathlib import Path

from nextitem.data.acquisition.addresses import folder_at
from nextitem.errors import ArtefactError, NextitemError, StorageError
from nextitem.serving.service.logs import Log
from nextitem.serving.service.models import ModelVersion
from nextitem.serving.service.service import Service
from nextitem.serving.service.versions import Version, Versions


class Watching:
    """Looks for newer versions in a thread of its own: a store far away may keep it waiting, and nobody else.

    A version that cannot be loaded is told of in the log, once, and not tried again until one of its files is another
    one; the model that was there goes on.
    """

    def __init__(self, service: Service, log: Log) -> None:
        self._service, self._log, self._every = service, log, service.settings.reload_every
        places = {name: one.place for name, one in service.models.current.items()}
        self._versions = {name: Versions(place) for name, place in places.items() if place is not None}
        self._troubled: set[str] = set()
        self._is_ending = threading.Event()

    def start(self) -> None:
        """Begin to look, for the service of the event loop that is running; nothing where it is not asked for."""
        if self._every is not None:
            wanted = (asyncio.get_running_loop(), self._every)
            threading.Thread(target=self._run, args=wanted, name="versions", daemon=True).start()

    def stop(self) -> None:
        """Look no more. What is being fetched is left to end with the process."""
        self._is_ending.set()

    def _run(self, loop: asyncio.AbstractEventLoop, every: float) -> None:
        while not self._is_ending.wait(every):
            for name in self._versions:
                self._look(name, loop)

    def _look(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._take_newer(name, loop)
        except Exception as error:  # whatever it is, the next look may find it mended
            if name not in self._troubled and not self._is_ending.is_set():
                self._troubled.add(name)
                told = f"{error}" if isinstance(error, NextitemError) else f"{type(error).__name__}: {error}"
                self._log.line("versions not looked for", {"model": name, "why": told})
        else:
            if name in self._troubled:
                self._troubled.remove(name)
                self._log.line("versions looked for again", {"model": name})

    def _take_newer(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        """Put the newest version that can be loaded in the place of the model, where there is a newer one.

        Of a place with a single run that is whatever other one lies there, and of several what was learnt later.
        """
        current = self._service.models.named(name)
        for version in self._versions[name].newest_first():
            is_older = str(version.place) != str(current.place) and version.made < current.made
            if version.version == current.version or is_older or self._is_ending.is_set():
                return
            if self._took(name, version, current, loop):
                return

    def _fetched(self, name: str, version: Version) -> Path:
        """The folder of a version, or a copy of it. Raises as `folder_at`, and counts what is not whole as refused."""
        try:
            return folder_at(version.place)
        except ArtefactError:
            self._service.measures.reload(name, "refused")
            raise

    def _took(self, name: str, version: Version, before: ModelVersion, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether a version answers now. Raises StorageError where it cannot be reached."""
        versions = self._versions[name]
        state = versions.state_of(version)  # before it is read: what is mended meanwhile is tried again
        try:
            run = self._fetched(name, version)
            taken = asyncio.run_coroutine_threadsafe(self._service.replace(name, run), loop).result()
        except StorageError:
            raise
        except NextitemError as error:
            versions.refuse(version, state)
            self._log.line("version refused", {"model": name, "version": version.version, "why": str(error)})
            return False
        came_from = Path(version.place).name
        fields = {"model": name, "version": taken.version, "before": before.version, "from": came_from}
        self._log.line("model replaced", {**fields})
        return True
