"""A service as a process of its own: started from runs on a free port, looked at from outside, and ended."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


class Running:
    """`nextitem serve` on these runs. Starts when it is made; entering it waits until it answers, leaving ends it."""

    def __init__(self, runs: Sequence[Path], *options: str) -> None:
        self._log = tempfile.TemporaryFile("a+")  # noqa: SIM115 - closed when the process has ended
        command = [sys.executable, "-m", "nextitem", "serve", *map(str, runs), "--port", "0", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        self.address, self.host, self.port = "", "", 0

    def __enter__(self) -> "Running":
        self.address = "" if self._process.stdout is None else self._process.stdout.readline().strip()
        if not self.address:
            raise SystemExit(f"the service did not start: {self._read()[-2000:]}")
        split = urlsplit(self.address)
        self.host, self.port = split.hostname or "", split.port or 0
        return self

    def __exit__(self, *_: tuple[type[BaseException], BaseException, TracebackType]) -> None:
        if self._process.poll() is None:
            self.terminate()
            try:
                self.wait(12)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self.wait()
        self._log.close()

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float | None = 20) -> tuple[int, float]:
        """(exit code, when it ended, in seconds of time.monotonic())."""
        return self._process.wait(seconds), time.monotonic()

    def log(self) -> list[dict[str, object]]:
        """The lines of its log."""
        return [json.loads(line) for line in self._read().splitlines() if line.startswith("{")]

    def memory(self) -> float:
        """MiB of memory in use."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE / 2**20

    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def _read(self) -> str:
        self._log.seek(0)
        return self._log.read()


def memory_slope(memory: Sequence[tuple[float, float]]) -> float:
    """MiB a minute, of the straight line through (seconds, MiB) after the first third."""
    later = memory[len(memory) // 3 :]
    mean_s, mean_m = (sum(one[axis] for one in later) / len(later) for axis in (0, 1))
    spread = sum((s - mean_s) ** 2 for s, _ in later)
    slope = sum((s - mean_s) * (m - mean_m) for s, m in later) / spread if spread else 0.0
    return round(60 * slope, 3)


@contextmanager
def slow_connections(address: str, count: int) -> Iterator[list[int]]:
    """So many connections that send a byte a second, half of them of headers and half of a body, while the block runs.

    Who is cut off comes again. Gives how often that happened.
    """
    split, cut_off, is_over = urlsplit(address), [0], threading.Event()
    at = (split.hostname or "", split.port or 0)
    head = b"POST /v1/recommend HTTP/1.1\r\nhost: x\r\n"
    whole = head + b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    begun = [head, whole]

    def opened(number: int) -> socket.socket:
        connection = socket.create_connection(at, timeout=5)
        connection.sendall(begun[number % 2])
        return connection

    def send() -> None:
        connections = [opened(number) for number in range(count)]
        while not is_over.wait(1):
            for number, connection in enumerate(connections):
                try:
                    connection.sendall(b"x" if number % 2 == 0 else b" ")
                except OSError:
                    cut_off[0] += 1
                    connection.close()
                    connections[number] = opened(number)
        for connection in connections:
            connection.close()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield cut_off
    finally:
        is_over.set()
        thread.join()


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    packages = {name: version(name) for name in ("torch", "granian", "fastapi")}
    return {
        "cpu": cpu.partition(":")[2].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **packages,
    }
