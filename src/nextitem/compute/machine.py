"""What machine this is, as far as a result depends on it."""

import os
import platform
from pathlib import Path

import torch


def machine(device: torch.device) -> dict[str, str]:
    """What the bits of a result depend on beside code, recipe, data and seed, as far as it can be told."""
    return {
        "device": device.type,
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def processor() -> str:
    """The processor's name and how many cores there are, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
