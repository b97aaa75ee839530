"""A PostgreSQL server of a test's own: Debian's, in a folder of its own, on the loopback alone."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
USER = "postgres" if os.geteuid() == 0 else None  # root may not run it


def why_not() -> str | None:
    """Why no server can be started here; None where one can."""
    if not _PROGRAMS and shutil.which("initdb") is None:
        return "there is no PostgreSQL server: apt-get install postgresql"
    if USER is not None:
        import pwd

        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"a server does not run as root, and there is no user {USER}"
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"the extra postgres is not installed ({error})"
    return None


@dataclass
class Server:
    """A server that is told to start, to stop and to die."""

    folder: Path
    port: int

    @property
    def address(self) -> str:
        """The database that it begins with."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Listen, after a recovery where it died."""
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", log, "-o", f"-p {self.port}")

    def stop(self) -> None:
        """End in order."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.folder / "data"))

    def kill(self) -> None:
        """Die at once, with all of its processes: what was not on disk is gone from its memory."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "data"))

    def make(self) -> None:
        """Make the files of a server that trusts whoever is on this machine."""
        settings = f"listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nport = {self.port}\n"
        self._run(
            "initdb",
            "-N",
            "-D",
            str(self.folder / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
        )
        self._run("sh", "-c", f"cat >> {self.folder}/data/postgresql.conf", given=settings)

    def _run(self, program: str, *words: str, given: str = "") -> None:
        path = _PROGRAMS[-1] / program if _PROGRAMS and (_PROGRAMS[-1] / program).exists() else program
        done = subprocess.run(
            (str(path), *words), cwd=self.folder, user=USER, group=USER, extra_groups=[] if USER else None,
            input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")


@contextmanager
def running() -> Iterator[Server]:
    """A server in a folder of its own until the block ends."""
    # Directly below /tmp: the user of the server cannot get into folders of a test that root runs.
    with tempfile.TemporaryDirectory(prefix="nextitem-server-", dir="/tmp") as made, socket.socket() as free:
        if USER is not None:
            shutil.chown(made, USER, USER)
        free.bind(("127.0.0.1", 0))
        server = Server(Path(made), free.getsockname()[1])
        free.close()
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.kill()
