"""What is shown of a run but never compared: seed, versions, hardware, time."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from nextitem.compute.machine import processor
from nextitem.compute.memory import most_resident


def provenance(seed: int, device: torch.device | str, started: datetime, processes: int = 1) -> dict[str, Any]:
    """What is shown but never compared: seed, versions, hardware, time."""
    return {
        "seed": seed,
        "nextitem": version("nextitem"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(device),
        "processes": processes,
        "threads": torch.get_num_threads(),
        "processor": processor(),
        "peak_memory_mb": round(most_resident() / 1e6),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
    }
