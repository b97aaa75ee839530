"""Tensors of several models as one set of names, and taken apart again."""

from collections.abc import Mapping

from torch import Tensor


def below(place: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the name of their place before their own.

    >>> from torch import zeros
    >>> [*below("model", {"bias": zeros(2)})]
    ['model.bias']
    """
    return {f"{place}.{name}": tensor for name, tensor in tensors.items()}


def at(place: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of one place, by their own names; none where nothing lies there.

    >>> from torch import zeros
    >>> [*at("model", {"model.bias": zeros(2), "epochs": zeros(1)})]
    ['bias']
    """
    return {name.removeprefix(f"{place}."): tensor for name, tensor in tensors.items() if name.startswith(f"{place}.")}
