"""Computations that pause between their steps, so that others who wait for the same thread come in between."""

from collections.abc import Callable, Generator
from typing import TypeVar

Computed = TypeVar("Computed")
Steps = Generator[None, None, Computed]
"""What is computed a step at a time: `next` takes one, and the end returns what was computed."""


def finished(steps: Steps[Computed]) -> Computed:
    """What they compute, without a pause. Raises what they raise.

    >>> finished(in_one_step(lambda: 7))
    7
    """
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            found: Computed = ended.value
            return found


def in_one_step(work: Callable[[], Computed]) -> Steps[Computed]:
    """A computation that is short enough for a single step."""
    yield
    return work()
