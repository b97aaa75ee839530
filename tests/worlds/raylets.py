"""A Ray cluster of several raylets on the loopback of this machine, each of which stands for a machine.

A raylet takes some seconds of a processor to start, and Ray waits for it for half a minute, whatever the machine is
busy with: where that is too short again and again those who need the cluster are skipped. What it writes lies in a
folder of its own, by which whatever still runs at the end is known, and ended.
"""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import nextitem

_SMALL = {"object_store_memory": 80 << 20, "node_ip_address": "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"}
_MISSING = "ray cannot be imported: pip install 'nextitem[ray]', where there is a wheel for this Python"
# A machine is taken for gone after some seconds without an answer, in place of half a minute.
_SOON = {"health_check_initial_delay_ms": 2000, "health_check_period_ms": 1000, "health_check_failure_threshold": 5}
_STARTS = 6
_ENDS = 20.0  # seconds that processes have to end by themselves
_MOST = 1500.0  # seconds that a cluster may be there


class Raylets:
    """One raylet for this process, on which nothing runs, and two cores each on others, of which any may go."""

    def __init__(self, cluster: Any, others: int) -> None:
        self._cluster, self._others = cluster, others

    def complete(self) -> None:
        """Have as many others as there are to be, in place of those that are gone."""
        import ray

        alive = sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())
        for _ in range(self._others - alive):
            started(lambda: self._cluster.add_node(num_cpus=2, **_SMALL))


def started(start: Any) -> Any:
    """What a start gives, tried again where the machine is too busy; then whoever needs it is skipped."""
    for left in reversed(range(_STARTS)):
        try:
            return start()
        except Exception as error:  # a bare one
            if "timed out" not in str(error).lower():
                raise
            if not left:
                pytest.skip(f"this machine is too busy to start a raylet within Ray's half a minute: {error}")
    return None


@contextmanager
def raylets(others: int) -> Iterator[Raylets]:
    """A cluster that this process has joined, until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        found = (Path(nextitem.__file__).parents[1], Path(__file__).parents[1])  # what its processes import
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, found)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_worker_niceness", "0")  # as whoever runs the tests, in place of behind all else
        patch.setenv("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0" * 32)
        # Imported with the tokens there: Ray looks for them once.
        ray = pytest.importorskip("ray", reason=_MISSING, exc_type=ImportError)
        from ray.cluster_utils import Cluster

        cluster, folder = Cluster(), Path(tempfile.mkdtemp(prefix="ray-"))
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": _SOON, "temp_dir": str(folder), **_SMALL}
        try:
            started(lambda: cluster.add_node(**head))
            ray.init(cluster.address, log_to_driver=False)
            made = Raylets(cluster, others)
            made.complete()
            with _interrupted_after(_MOST):
                yield made
        finally:
            try:
                ray.shutdown()
                cluster.shutdown()
            finally:
                _end_those_of(folder)


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Inside, Ctrl-C comes after so many seconds: of all that is raised while Ray waits it alone ends the waiting."""
    interrupting = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    interrupting.daemon = True
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell began this behind itself
    interrupting.start()
    try:
        yield
    finally:
        interrupting.cancel()
        signal.signal(signal.SIGINT, before)


def _end_those_of(folder: Path) -> None:
    """Wait for the processes that have files in a folder, kill those that do not end, and remove it."""
    until = time.monotonic() + _ENDS
    while (left := _with_files_in(folder)) and time.monotonic() < until:
        time.sleep(0.2)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _with_files_in(folder: Path) -> list[int]:
    """Other processes that have a file below a folder open, such as their log; none where no /proc tells of them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is of somebody else
            if any(folder in one.readlink().parents for one in (process / "fd").iterdir()):
                found.append(int(process.name))
    return [one for one in found if one != os.getpid()]
