"""The seam between pieces of work that know nothing of each other and whatever does them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

P = TypeVar("P")
R = TypeVar("R")


class Spread(Protocol):
    """Something that does pieces of work, in this process or in others."""

    def over(self, work: Callable[[P], R], pieces: Iterable[P]) -> Iterator[tuple[P, R]]:
        """Each piece once, with what `work` made of it, in any order; no more of them are held than are under way.

        A piece whose process dies is done again by another one. Raises what `work` raises.
        """


class Here:
    """One piece after another in this process, each when it is waited for."""

    def over(self, work: Callable[[P], R], pieces: Iterable[P]) -> Iterator[tuple[P, R]]:
        """Each piece with what was made of it, in their order."""
        return ((piece, work(piece)) for piece in pieces)


HERE = Here()
