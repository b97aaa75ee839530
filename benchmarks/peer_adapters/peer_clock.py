"""What the adapters share: the job they are given, when steps ended, and the one JSON line that they print.

Only the standard library, since each adapter runs in its peer's environment.
"""

import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

JOB: dict[str, Any] = json.loads(sys.argv[1])
"""events (a csv of user, item, time), items, users, folder, threads, warmup, steps, batch, length, width, top_users."""


class Clock:
    """When each step ended, and how many real target positions it had."""

    def __init__(self) -> None:
        self.ends = [time.perf_counter()]
        self.positions: list[int] = []

    def step(self, positions: int) -> None:
        self.ends.append(time.perf_counter())
        self.positions.append(positions)


def report(package: str, clock: Clock, peak_mb: float, top_seconds: float, said: str) -> None:
    """Print the measurement, without the steps of the warm-up."""
    seconds = [end - start for start, end in zip(clock.ends, clock.ends[1:], strict=False)]
    found = {
        "version": version(package),
        "torch": version("torch"),
        "step_seconds": seconds[JOB["warmup"] :],
        "positions": clock.positions[JOB["warmup"] :],
        "peak_mb": peak_mb,
        "top_seconds": top_seconds,
        "said": said,
    }
    print(json.dumps(found), flush=True)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def scratch(name: str) -> Path:
    folder = Path(JOB["folder"]) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
