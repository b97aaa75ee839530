"""Pieces of work done by the actors of a Ray cluster: the one that RAY_ADDRESS names, or one of this machine's own.

Of Ray's interfaces few are touched: `init`, `remote`, `put`, `wait` and `get`. Its processes hand each other pickled
objects; whoever can reach a cluster can run code on it, and its own tokens and networks keep others out.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import torch

from nextitem.errors import ConfigurationError, NextitemError, TrainingError

P = TypeVar("P")
R = TypeVar("R")
# Ray takes 127.0.0.1 for the address that other machines know this one by; on Linux all of 127.0.0.0/8 is the loopback.
_LOOPBACK, _ADDRESS = ("lo", "127.0.0.2") if sys.platform == "linux" else ("lo0", "127.0.0.1")
_OWN: dict[str, Any] = {"address": "local", "_node_ip_address": _ADDRESS, "include_dashboard": False}
_STARTS = 3  # of a cluster on a machine that is too busy: Ray waits half a minute for its processes, and no longer
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
                yield piece, got(ray, done)


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


def got(ray: Any, done: Any) -> Any:
    """What a piece of work gave. Raises the error of our own that it gave, and TrainingError where it is lost."""
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
        raise missing(error) from error
    is_ours = not ray.is_initialized()
    if is_ours:
        _join(ray)
    try:
        yield ray
    finally:
        if is_ours:
            ray.shutdown()


def missing(error: ImportError) -> ConfigurationError:
    """What is said where a package of the extra is not installed."""
    return ConfigurationError(
        f"--engine ray needs a package that is not installed ({error}); run: pip install 'nextitem[ray]'"
    )


def _join(ray: Any) -> None:
    """Join the cluster of RAY_ADDRESS, or begin one of this machine's own. Raises ConfigurationError."""
    address = os.environ.get("RAY_ADDRESS")
    if address is None:  # else processes that train together look for the machine by its name
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _LOOPBACK)
    for left in reversed(range(_STARTS if address is None else 1)):
        try:
            known = _OWN if address is None else {"address": address}
            ray.init(**known, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises bare ones
            ray.shutdown()
            if not left:
                raise ConfigurationError(
                    f"no Ray cluster can be joined: {' '.join(str(error).split())}; check RAY_ADDRESS, or unset it for "
                    f"a cluster on this machine alone, which must not be too busy to start one"
                ) from error
        else:
            return
