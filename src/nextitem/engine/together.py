"""One training by several processes of a Ray cluster: TorchTrainer starts them, and each runs the same loop as one that
`torchrun` started.

The processes find each other by the group that TorchTrainer makes (gloo, or NCCL on GPUs). Where one of them ends
without a word, by a kill or with its machine, TorchTrainer starts all of them again, and they go on from the checkpoint
of the last full epoch in the run's own folder: nothing of a training is kept by Ray.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from nextitem.compute.processes import LeftAloneError, Processes, joined
from nextitem.engine.cluster import joined_cluster, missing
from nextitem.engine.heard import Heard, Speaker
from nextitem.errors import ConfigurationError, NextitemError, TrainingError
from nextitem.storage import TakenError, clear, leave

R = TypeVar("R")
_STARTS_AGAIN = 20  # kills that a training survives; those of machines that are taken away do not count


@dataclass(frozen=True)
class Asked:
    """Processes that are asked of a cluster."""

    workers: int | None
    """How many; None: as many as the cluster has room for."""
    device: torch.device
    threads: int = 1
    """Of each process; so many cores are asked for."""

    @property
    def resources(self) -> dict[str, float]:
        """What one of them takes of a machine, in Ray's words."""
        return {"CPU": self.threads, **({"GPU": 1} if self.device.type == "cuda" else {})}


def together(work: Callable[[Processes], R], asked: Asked, scratch: Path) -> R:
    """What `work` gives in the first of the processes, all of which do it together.

    `work` is pickled; it goes on where processes before it were killed. `scratch` is a folder that all machines see, in
    which Ray writes what it knows of its processes; it is gone at the end. Raises what `work` raises,
    ConfigurationError where Ray is missing or the cluster is too small, and TrainingError where processes die again
    and again.
    """
    with joined_cluster() as ray:
        heard = Heard(ray)
        trainer = _trainer(_Loop(work, asked, str(Path.cwd()), heard.speaker), _with_room(ray, asked), asked, scratch)
        try:
            found: R | NextitemError = _fitted(trainer, heard)
        finally:
            clear(scratch)
            leave([scratch])
    if isinstance(found, NextitemError):
        raise found
    return found


def _trainer(loop: Any, workers: int, asked: Asked, scratch: Path) -> Any:
    """What starts the processes, and starts them again. Raises ConfigurationError where a package is missing."""
    try:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer
    except ImportError as error:
        raise missing(error) from error
    is_on_gpu = asked.device.type == "cuda"
    again = FailureConfig(max_failures=_STARTS_AGAIN)
    return TorchTrainer(
        loop,
        torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if is_on_gpu else "gloo"),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=is_on_gpu, resources_per_worker=asked.resources),
        run_config=RunConfig(name="ray", storage_path=str(scratch.absolute()), failure_config=again),
    )


def _with_room(ray: Any, asked: Asked) -> int:
    """How many processes there will be. Raises ConfigurationError where they would wait for ever."""
    there = ray.cluster_resources()
    most = min(int(there.get(name, 0) // needed) for name, needed in asked.resources.items())
    workers = max(1, most) if asked.workers is None else asked.workers
    if workers > most:
        wanted = " and ".join(f"{needed * workers:g} {name}" for name, needed in asked.resources.items())
        has = " and ".join(f"{there.get(name, 0):g}" for name in asked.resources)
        raise ConfigurationError(
            f"{workers} workers take {wanted}, and the cluster has {has}; ask for fewer --workers or --threads, or let "
            f"more machines join"
        )
    return workers


@dataclass(frozen=True)
class _Loop(Generic[R]):
    """What each process does."""

    work: Callable[[Processes], R]
    asked: Asked
    folder: str
    speaker: Speaker

    def __call__(self) -> R | NextitemError:
        """What came of it, an error of our own too: raised, it would be tried again. The first one's is taken."""
        os.chdir(self.folder)  # paths are those of whoever asked
        torch.set_num_threads(self.asked.threads)
        try:
            with self.speaker.speaking(), joined(self.asked.device) as processes:
                return self.work(processes)
        except (LeftAloneError, TakenError):  # by a process before this one that is about to die
            raise
        except NextitemError as error:
            return error


def _fitted(trainer: Any, heard: Heard) -> Any:
    """What the first process returned. Raises KeyboardInterrupt where Ctrl-C ended them, which Ray itself answers."""
    with heard.repeated(), _interrupts() as are_there:
        try:
            return trainer.fit().return_value
        except (Exception, SystemExit) as error:
            if are_there():
                raise KeyboardInterrupt from error
            told = " ".join(str(error).split())[:500]
            raise TrainingError(f"the processes of the cluster did not come to an end: {told}") from error


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C came since the block began, whoever answers it; the answer that was there before is put back."""
    read, written = socket.socketpair()
    read.setblocking(False)
    written.setblocking(False)
    answer, before = signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)

    def are_there() -> bool:
        with suppress(BlockingIOError):
            return signal.SIGINT in read.recv(4096)
        return False

    try:
        yield are_there
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGINT, answer)
        read.close()
        written.close()
