"""Stored numbers compared with those that a model must have, before any of them is used."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode


def check_alike(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise ValueError for the first tensor that is missing, unknown, or of another shape or type than wanted.

    >>> from torch import zeros
    >>> check_alike({"bias": zeros(3)}, {"bias": zeros(2)})
    Traceback (most recent call last):
    ValueError: bias is (3) of float32 and should be (2) of float32
    """
    for name, tensor in wanted.items():
        if name not in found:
            raise ValueError(f"{name} is missing")
        if _facts(found[name]) != _facts(tensor):
            raise ValueError(f"{name} is {_facts(found[name])} and should be {_facts(tensor)}")
    if unknown := sorted(found.keys() - wanted.keys()):
        raise ValueError(f"{unknown[0]} is of no such model ({len(unknown):,} tensors are not)")


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, by what follows.

    >>> from torch import zeros
    >>> [*below("encoder.", {"encoder.bias": zeros(1), "items.bias": zeros(1)})]
    ['bias']
    """
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@contextmanager
def shapes_alone() -> Iterator[None]:
    """What is built here has shapes and types, and neither numbers nor memory.

    >>> with shapes_alone():
    ...     torch.empty(10**15).normal_().shape
    torch.Size([1000000000000000])
    """
    with torch.device("meta"), _Undrawn():
        yield


_DRAWS = frozenset(
    {Tensor.normal_, Tensor.uniform_, init.normal_, init.uniform_, init.trunc_normal_}
    | {init.xavier_normal_, init.xavier_uniform_, init.kaiming_normal_, init.kaiming_uniform_}
)


class _Undrawn(TorchFunctionMode):
    """Leaves tensors without memory as they are: drawing them first imports torch's compiler, more than a second."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _DRAWS:
            return args[0] if args else (kwargs or {})["tensor"]
        return function(*args, **(kwargs or {}))


def stored(tensors: Mapping[str, Tensor], name: str, *, like: Tensor) -> Tensor:
    """A tensor of the type and with as many dimensions as `like`. Raises ValueError where there is none.

    >>> from torch import zeros
    >>> stored({"counts": zeros(3, 4)}, "counts", like=zeros(0).double())
    Traceback (most recent call last):
    ValueError: counts is (3, 4) of float32 and should have 1 dimension of float64
    """
    if name not in tensors:
        raise ValueError(f"{name} is missing")
    tensor = tensors[name]
    if (tensor.dtype, tensor.ndim) != (like.dtype, like.ndim):
        wanted = f"{like.ndim} dimension{'s' * (like.ndim > 1)} of {_kind(like)}"
        raise ValueError(f"{name} is {_facts(tensor)} and should have {wanted}")
    return tensor


def _facts(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))}) of {_kind(tensor)}"


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
