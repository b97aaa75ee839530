"""One process, or several that train one model together (`torchrun`, or a cluster's own). B rows, C cases.

All processes build the same steps from the same keys and keep a share of the rows each. Gradients are summed, so all
take the same optimiser step and their weights stay equal without being sent; `agree` proves it after every epoch.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nextitem.compute.stores import store_of_group
from nextitem.errors import ConfigurationError, NextitemError, TrainingError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store  # some builds of torch have none

# The longest that one process may let the others wait, such as a disk writing a checkpoint. One that ends is noticed
# at once.
_PATIENCE = timedelta(minutes=30)
_FAILURE, _INTERRUPTED = "nextitem/failure", 130


class LeftAloneError(TrainingError):
    """Another process ended without a word: whoever starts them again may go on from what is kept."""


@runtime_checkable
class Processes(Protocol):
    """Those that train together, seen from one of them. All must call each method but `share` in the same order."""

    @property
    def rank(self) -> int:
        """Which of them this is; number 0 alone writes files and results."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def device(self) -> torch.device:
        """Where this one computes."""

    @property
    def stream(self) -> tuple[int, ...]:
        """What this one adds to the key of its dropout."""

    def share(self, count: int) -> slice:
        """The part of `count` rows that is this process's own; it may be empty."""

    def sum(self, values: Tensor) -> Tensor:
        """`values` added over processes."""

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over processes."""

    def gather(self, values: Tensor, count: int) -> Tensor:
        """The values of all `count` rows, in order, from those of everyone's share."""

    def agree(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        """Raise TrainingError unless all processes hold the same bits."""

    def wait(self) -> None:
        """Go on when all are here."""


@dataclass(frozen=True)
class Alone:
    """The only process: everything is its own, and nothing is sent."""

    device: torch.device
    rank = 0
    size = 1
    stream = ()

    def __str__(self) -> str:
        return str(self.device)

    def share(self, count: int) -> slice:
        """Everything."""
        return slice(0, count)

    def sum(self, values: Tensor) -> Tensor:
        """`values` themselves."""
        return values

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Nothing."""

    def gather(self, values: Tensor, count: int) -> Tensor:
        """`values` themselves."""
        return values

    def agree(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        """Nothing."""

    def wait(self) -> None:
        """Nothing."""


ALONE = Alone(torch.device("cpu"))


@dataclass(frozen=True)
class AsOneOf:
    """The first of several processes whose others add nothing: what one of them does can be timed without them."""

    size: int
    device: torch.device
    rank = 0
    stream = ()

    def share(self, count: int) -> slice:
        """Adjacent rows, as the first of several has them."""
        return _share(count, 0, self.size)

    def sum(self, values: Tensor) -> Tensor:
        """`values` themselves."""
        return values

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Nothing."""

    def gather(self, values: Tensor, count: int) -> Tensor:
        """Zeros but for the own rows."""
        return _filled(values, self.share(count), count)

    def agree(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        """Nothing."""

    def wait(self) -> None:
        """Nothing."""


def _share(count: int, rank: int, size: int) -> slice:
    return slice(count * rank // size, count * (rank + 1) // size)


def _filled(values: Tensor, own: slice, count: int) -> Tensor:
    everything = values.new_zeros(count, *values.shape[1:])
    everything[own] = values
    return everything


@dataclass(frozen=True)
class ProcessGroup:
    """Several processes; gloo carries what is on the CPU, NCCL what is on GPUs."""

    rank: int
    size: int
    device: torch.device
    store: "Store"
    """Where a process that fails leaves word for the others."""

    def __str__(self) -> str:
        return f"{self.size} processes on {self.device.type}"

    @property
    def stream(self) -> tuple[int, ...]:
        return (self.rank,)

    def share(self, count: int) -> slice:
        """Adjacent rows, whose number differs by at most 1 between processes."""
        return _share(count, self.rank, self.size)

    def sum(self, values: Tensor) -> Tensor:
        """`values` added over processes, in place. Raises what made another process fail."""
        try:
            dist.all_reduce(values)
        except RuntimeError as error:
            raise self._reason(error) from error
        return values

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum; one that nobody has stays None, as it would in one process."""
        parameters = list(parameters)
        gradients = [p.new_zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in parameters]
        holders = gradients[0].new_tensor([p.grad is not None for p in parameters])
        # One message instead of one for each: most parameters are small.
        flat = self.sum(torch.cat([holders, *gradients]))
        holders, *sums = flat.split([len(parameters), *map(len, gradients)])
        for parameter, total, count in zip(parameters, sums, holders.tolist(), strict=True):
            parameter.grad = total.view_as(parameter) if count else None

    def gather(self, values: Tensor, count: int) -> Tensor:
        """The values of all rows: a sum in which everyone fills its own share only."""
        return self.sum(_filled(values, self.share(count), count))

    def agree(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        """Compare fingerprints of names and bits; TrainingError names the first process that differs from number 0."""
        digest = hashlib.sha256()
        for name, tensor in tensors.items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        words = torch.zeros(self.size, digest.digest_size, dtype=torch.int64)
        words[self.rank] = torch.tensor(list(digest.digest()))
        differs = (self.sum(words) != words[0]).any(1).nonzero()[:, 0].tolist()
        if differs:
            raise TrainingError(
                f"process {differs[0]} of {self.size} differs from process 0 in {what}: they do not train one model; "
                f"give all of them the same kind of machine, versions and files"
            )

    def wait(self) -> None:
        """Go on when all are here. Raises what made another process fail."""
        self.sum(torch.zeros(1))

    def tell(self, error: BaseException) -> None:
        """Leave word of a failure, if it is the first."""
        code = _INTERRUPTED if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1)
        text = str(error) if isinstance(error, NextitemError) else f"{type(error).__name__} {error}".rstrip()
        with suppress(RuntimeError):  # the others are gone
            self.store.compare_set(_FAILURE, "", json.dumps([self.rank, code, text]))

    def _reason(self, error: RuntimeError) -> BaseException:
        """Why the others cannot be reached: the failure that one of them told of, with its exit code."""
        has_word = False
        with suppress(RuntimeError):  # a store that ended with its process
            has_word = self.store.check([_FAILURE])
        if not has_word:
            return LeftAloneError(
                f"another process has ended without a word (killed, or out of memory), or let the others wait for more "
                f"than {_PATIENCE}: {error}"
            )
        rank, code, text = json.loads(self.store.get(_FAILURE))
        if code == _INTERRUPTED:
            return KeyboardInterrupt()
        failure = TrainingError(f"process {rank} failed: {text}")
        failure.exit_code = code
        return failure


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """All processes that `torchrun` started, or this one alone; on GPUs each has its own.

    A group that is there already, as Ray makes one, is joined and stays. Inside, the failure of one becomes that of
    all. Raises ConfigurationError where they do not find each other.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Alone(device)
        return
    is_ours = not dist.is_initialized()
    group = _join(device)
    try:
        yield group
    except (Exception, KeyboardInterrupt) as error:
        group.tell(error)
        raise  # without a farewell: on a GPU that would wait for what never comes
    if is_ours:
        dist.destroy_process_group()


def _join(device: torch.device) -> ProcessGroup:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ConfigurationError(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']} asks for several processes, but {', '.join(missing)} is not set; "
            f"start them by torchrun, or unset WORLD_SIZE"
        )
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if device.index >= torch.cuda.device_count():
            raise ConfigurationError(
                f"this machine has {torch.cuda.device_count()} GPUs, and process {device.index + 1} on it needs one of "
                f"its own; lower --nproc-per-node, or use --device cpu"
            )
        torch.cuda.set_device(device)
    if dist.is_initialized():
        return ProcessGroup(dist.get_rank(), dist.get_world_size(), device, store_of_group(_PATIENCE))
    from torch.distributed.rendezvous import rendezvous  # not there where torch was built without it

    # Its functions have the group that is there when it is imported as a default, and an optimiser's first step imports
    # it: the group's threads would outlive the group then, and now and then abort a process that ends.
    import_module("torch.distributed.nn.functional")
    try:
        store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"the {os.environ['WORLD_SIZE']} processes did not find each other at {os.environ['MASTER_ADDR']}:"
            f"{os.environ['MASTER_PORT']}: {error}; check torchrun's addresses"
        ) from error
    return ProcessGroup(rank, size, device, store)
