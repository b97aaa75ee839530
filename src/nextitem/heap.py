"""Memory that is free but lies between what is not: given back to the system before it becomes much.

Steps of ever other sizes leave holes in the C library's heap, which later ones do not fit. Of BERT4Rec on MovieLens-1M
150 MB are alive between steps; left alone, its process grew by 20 MB with every step and by 10 MB with every forward
pass of the validation loss. There is one heap in a process, so there is one of these too.
"""

import ctypes
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

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
