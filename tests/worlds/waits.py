"""Finds what would wait for a GPU, without one: a mode that knows which tensors would lie there.

What is computed from such a tensor is one as well. Reading a value of it, or an operation whose result has a size that
depends on its values, would wait.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, device
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from nextitem.compute import transfer

WAITING = (
    "_local_scalar_dense", "nonzero", "is_nonzero", "unique", "_unique", "_unique2", "unique_dim",
    "unique_consecutive", "masked_select", "bincount", "equal", "histc",
)  # fmt: skip


class Waits(TorchDispatchMode):
    """Collects the names of operations that would wait; `remote` says which tensors are on the GPU to begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: dict[int, Any] = {}  # kept alive: a freed address would be another tensor's
        self.found: list[str] = []

    def remote(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage.data_ptr()] = storage
        return tensor

    def is_remote(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self.storages and tensor.numel() > 0

    def fetch(self, tensor: Tensor) -> Tensor:
        """What `transfer.fetch` does, and that it waits."""
        if not self.is_remote(tensor):
            return tensor
        self.found.append("fetch")
        return torch.from_numpy(tensor.numpy().copy())  # numpy: the copy is not computed from anything

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inputs = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
        touches = [one for one in inputs if self.is_remote(one)]
        name = func.overloadpacket.__name__
        if touches and (name in WAITING or self._has_size_of_values(name, args, kwargs or {})):
            self.found.append(str(func))
        results = func(*args, **(kwargs or {}))
        if touches:
            for one in tree_flatten(results)[0]:
                if isinstance(one, Tensor) and one.numel():
                    self.remote(one)
        return results

    @staticmethod
    def _has_size_of_values(name: str, args: Any, kwargs: Any) -> bool:
        if name == "repeat_interleave":
            return kwargs.get("output_size") is None
        if name not in ("index", "index_put", "index_put_", "_index_put_impl_"):
            return False
        return any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in args[1])


def pretend_gpu(monkeypatch: pytest.MonkeyPatch, waits: Waits | None = None) -> None:
    """From here on the CPU is treated as a GPU is."""
    monkeypatch.setattr(transfer, "is_asynchronous", lambda _: True)
    # What an encoder sets for a GPU is set back after the test: torch exports nothing where kernels differ in it.
    kernels = torch.backends.cudnn.rnn
    monkeypatch.setattr(kernels, "fp32_precision", kernels.fp32_precision)
    if waits is not None:
        send: Callable[[Tensor, device], Tensor] = lambda tensor, _: (  # noqa: E731
            tensor if waits.is_remote(tensor) else waits.remote(tensor.clone())
        )
        monkeypatch.setattr(transfer, "send", send)
        monkeypatch.setattr(transfer, "fetch", waits.fetch)
