"""Memory of this process and of the machine: what is held, what is left, and what is given back."""

import ctypes
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

_GROWTH = 64 << 20  # bytes beyond what the process held after the last time, before it is time again
_SHARE = 0.005  # of the time that it may take; to take the pages again costs several times as much
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
_IS_JEMALLOC = hasattr(ctypes.CDLL(None), "mallctl")
_STATM = Path("/proc/self/statm")


def resident() -> int | None:
    """Bytes of memory that this process holds; None where the system does not say."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except OSError:
        return None


def most_resident() -> int:
    """The most bytes of memory that this process has held."""
    with suppress(OSError):
        # What getrusage tells on Linux includes what a process held that started this one.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def leaves_holes() -> bool:
    """Whether pieces of ever other sizes make the heap grow, as they do with glibc's allocator."""
    return _TRIM is not None and not _IS_JEMALLOC


def give_back() -> None:
    """Give back what is free; nothing where the C library cannot, or keeps no holes."""
    if _TRIM is not None and leaves_holes():
        _TRIM(0)


class Heap:
    """Gives memory back when the process has grown by 64 MB, and never for more than 0.5 % of the time."""

    def __init__(self) -> None:
        self._level: int | None = None
        self._started = time.perf_counter()
        self._spent = 0.0

    def tidy(self) -> None:
        """Give back what is free, if it is time; to be called between pieces of work of one kind."""
        holds, now = resident(), time.perf_counter()
        if holds is None:
            return
        if self._level is None:  # the first piece of work since took again what it needs
            self._level = holds
        elif holds > self._level + _GROWTH and self._spent <= _SHARE * (now - self._started):
            give_back()
            self._spent += time.perf_counter() - now
            self._level = None


HEAP = Heap()
_GROUPS = Path("/sys/fs/cgroup")


def available(device: torch.device) -> int | None:
    """Bytes that can still be allocated on the device; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if not sys.platform.startswith("linux"):
        return None
    lines = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    machine = next((int(words[1]) << 10 for words in lines if words[0] == "MemAvailable:"), None)
    limits = [left for left in (machine, _left_in_group()) if left is not None]
    return min(limits, default=None)


def _left_in_group() -> int | None:
    """What the control group of this process still allows; None without a limit."""
    known = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
    for limit, used in ((_GROUPS / a, _GROUPS / b) for a, b in known):
        try:
            words = limit.read_text(encoding="ascii").strip(), used.read_text(encoding="ascii").strip()
            statistics = [line.split() for line in limit.with_name("memory.stat").read_text("ascii").splitlines()]
        except OSError:
            continue
        # Pages of files that nobody uses are given back when memory is asked for.
        files = next((int(words[1]) for words in statistics if words[0] == "inactive_file"), 0)
        return int(words[0]) - int(words[1]) + files if words[0] != "max" else None
    return None


def held() -> tuple[int, int]:
    """(bytes this process holds now, the most it has held); what reading the data left unused is given back before."""
    give_back()
    most = most_resident()
    return resident() or most, most
