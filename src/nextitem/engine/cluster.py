"""Pieces of work done by the actors of a Ray cluster: the one that RAY_ADDRESS names, or one of this machine's own.

Of Ray's interfaces few are touched: `init`, `remote`, `put`, `wait` and `get`. Its processes hand each other pickled
objects; whoever can reach a cluster can run code on it, and its own tokens and networks keep others out.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import torch

from nextitem.errors import ConfigurationError, NextitemError, TrainingError

P = TypeVar("P")
R = TypeVar("R")
_OWN: dict[str, Any] = {"address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False}
_AHEAD = 2  # pieces that an actor has at a time: one that it does, and the next


@dataclass(frozen=True)
class RayActors:
    """A `Spread` over actors, each of which holds the work and takes a core."""

    workers: int | None = None
    """How many; None: one for each core of the cluster."""

    def over(self, work: Callable[[P], R], pieces: Iterable[P]) -> Iterator[tuple[P, R]]:
        """Each piece with what was made of it, as they are done.

        An actor that dies is started again, elsewhere where its machine is gone, and its pieces are done again. Raises
        what `work` raises, ConfigurationError where Ray is missing or no cluster can be joined, and TrainingError where
        the cluster is lost.
        """
        with joined_cluster() as ray:
            count = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
            actor, shared = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(_Actor), ray.put(work)
            left = iter(pieces)
            first = [*islice(left, count * _AHEAD)]
            actors = [actor.remote(shared) for _ in range(min(count, len(first)))]
            places = [place % count for place in range(len(first))]
            under_way = {
                actors[place].does.remote(piece): (place, piece) for place, piece in zip(places, first, strict=True)
            }
            while under_way:
                (done, *_), _ = ray.wait([*under_way], num_returns=1)
                place, piece = under_way.pop(done)
                for following in islice(left, 1):
                    under_way[actors[place].does.remote(following)] = place, following
                yield piece, _got(ray, done)


class _Actor:
    """Has the work, and does pieces of it on one core."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        torch.set_num_threads(1)
        self._work = work

    def does(self, piece: Any) -> Any:
        """What the work makes of a piece, or the error of our own that it raised."""
        try:
            return self._work(piece)
        except NextitemError as error:
            return error


def _got(ray: Any, done: Any) -> Any:
    try:
        found = ray.get(done)
    except ray.exceptions.RayError as error:
        raise TrainingError(f"the cluster lost a piece of work: {' '.join(str(error).split())[:500]}") from error
    if isinstance(found, NextitemError):
        raise found
    return found


@contextmanager
def joined_cluster() -> Iterator[Any]:
    """Ray, as a module, joined to a cluster until the block ends. Raises ConfigurationError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"--engine ray needs a package that is not installed ({error}); run: pip install 'nextitem[ray]'"
        ) from error
    is_ours = not ray.is_initialized()
    # A cluster of this machine's own listens on the loopback alone.
    known = {"address": os.environ["RAY_ADDRESS"]} if "RAY_ADDRESS" in os.environ else _OWN
    try:
        if is_ours:
            ray.init(**known, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises bare ones where its processes do not come up within half a minute
        raise ConfigurationError(
            f"no Ray cluster can be joined: {' '.join(str(error).split())}; check RAY_ADDRESS, or unset it for a "
            f"cluster on this machine alone, which must not be too busy to start one"
        ) from error
    try:
        yield ray
    finally:
        if is_ours:
            ray.shutdown()
