"""Products in bfloat16. P rows of an input, d width."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import linear, pad
from torch.overrides import TorchFunctionMode

_ROWS = 512


@contextmanager
def products_in_bfloat16(device: torch.device) -> Iterator[None]:
    """Have products in the body computed in bfloat16; weights and what is summed up stay as they are.

    On the CPU linear maps are of a multiple of 512 rows. What multiplies in bfloat16 there makes a program for each
    shape that it meets and keeps it, and packed batches have nearly as many numbers of positions as there are steps: a
    training held a megabyte or two more with each of its steps.
    """
    with torch.autocast(device.type, torch.bfloat16):
        if device.type != "cpu":
            yield
            return
        with _FewShapes():
            yield


class _FewShapes(TorchFunctionMode):
    """Linear maps of (P, d) inputs with rows of zeros up to the next multiple, which are taken away again."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is not linear or args[0].dim() != 2 or not (missing := -len(args[0]) % _ROWS):
            return func(*args, **kwargs)
        return func(pad(args[0], (0, 0, 0, missing)), *args[1:], **kwargs)[: len(args[0])]
