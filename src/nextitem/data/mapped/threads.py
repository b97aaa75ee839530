"""Parts of a log worked on side by side, and used in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_Part = TypeVar("_Part")
_Found = TypeVar("_Found")
_THREADS = 2


def one_ahead(parts: Iterable[_Part]) -> Iterator[_Part]:
    """The parts, each once the next has been begun."""
    waiting: deque[_Part] = deque()
    for part in parts:
        waiting.append(part)
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting


def by_threads(work: Callable[[_Part], _Found], parts: Iterable[_Part]) -> Iterator[_Found]:
    """What `work` returns for each part, in order; at most `_THREADS` parts are ahead of the one that is used."""
    parts = iter(parts)
    with ThreadPoolExecutor(_THREADS) as threads:
        waiting = deque(threads.submit(work, part) for part in islice(parts, _THREADS))
        while waiting:
            found = waiting.popleft().result()
            waiting.extend(threads.submit(work, part) for part in islice(parts, 1))
            yield found
