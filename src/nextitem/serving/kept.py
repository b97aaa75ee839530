"""What was made for one question and is asked for by the next."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")


class Kept:
    """The latest of what was made, by what it was made of. Several threads may ask at once."""

    def __init__(self, most: int = 64) -> None:
        self.most = most
        self._found: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Kept"], tuple[int]]:
        """Another process begins with nothing that was made."""
        return Kept, (self.most,)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned for this key, as long as no more than `most` others were asked for since."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return cast(T, self._found[key])
        made = make()  # by two threads at once rather than by none while one of them works
        with self._lock:
            self._found[key] = made
            while len(self._found) > self.most:
                self._found.popitem(last=False)
        return made
