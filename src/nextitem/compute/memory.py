"""Memory of this process and of the machine: what is held, what is left, and what is given back."""

import ctypes
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path, PurePosixPath

import torch

_GROWTH = 64 << 20  # bytes beyond what the process held after the last time, before it is time again
_SHARE = 0.005  # of the time that it may take; to take the pages again costs several times as much
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
_IS_JEMALLOC = hasattr(ctypes.CDLL(None), "mallctl")
_PAUSE = 0.005  # seconds between two looks at what is held: a look takes as long as some of what is asked of a model
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
        self._started = self._looked = time.perf_counter()
        self._spent = 0.0

    def tidy(self) -> None:
        """Give back what is free, if it is time; to be called between pieces of work of one kind."""
        now = time.perf_counter()
        if now < self._looked + _PAUSE:
            return
        self._looked, holds = now, resident()
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
_OWN_GROUPS = Path("/proc/self/cgroup")
_LIMITED = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def available(device: torch.device) -> int | None:
    """Bytes that can still be allocated on the device; None where the system does not say.

    On Linux the least of what the machine has free, what each control group allows that this process is in, and what
    its own limits leave (`ulimit -v`, `ulimit -d`).
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if not sys.platform.startswith("linux"):
        return None
    lines = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    machine = next((int(words[1]) << 10 for words in lines if words[0] == "MemAvailable:"), None)
    limits = [
        left for left in (machine, *(_left_in(group) for group in _groups()), *_left_of_own()) if left is not None
    ]
    return min(limits, default=None)


def _groups() -> list[Path]:
    """The folders of the control groups that this process is in, with all that they are nested in: all limits count."""
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = [_GROUPS, _GROUPS / "memory"]  # what a container sees, whatever its group is called outside
    for _, kinds, name in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if kinds and "memory" not in kinds.split(","):
            continue
        root = _GROUPS / "memory" if kinds else _GROUPS
        path = PurePosixPath(name.lstrip("/"))
        found += [root / part for part in (path, *path.parents) if ".." not in part.parts]
    return list(dict.fromkeys(found))


def _left_in(group: Path) -> int | None:
    """What a control group still allows; None without a limit."""
    for limit, used in ((group / a, group / b) for a, b in _LIMITED):
        try:
            words = limit.read_text(encoding="ascii").strip(), used.read_text(encoding="ascii").strip()
            statistics = dict(line.split() for line in limit.with_name("memory.stat").read_text("ascii").splitlines())
        except (OSError, ValueError):
            continue
        # Pages of files that nobody uses are given back when memory is asked for.
        files = int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))
        return int(words[0]) - int(words[1]) + files if words[0] != "max" else None
    return None


def _left_of_own() -> list[int]:
    """What the limits of this process itself leave: of all that is mapped, and of what is written to."""
    try:
        pages = _STATM.read_text(encoding="ascii").split()
    except OSError:
        return []
    limits = ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5]))
    return [
        resource.getrlimit(which)[0] - int(used) * resource.getpagesize()
        for which, used in limits
        if resource.getrlimit(which)[0] != resource.RLIM_INFINITY
    ]


def held() -> tuple[int, int]:
    """(bytes this process holds now, the most it has held); what reading the data left unused is given back before."""
    give_back()
    most = most_resident()
    return resident() or most, most
