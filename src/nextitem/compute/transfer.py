"""To and from a GPU without waiting for it: shapes are computed on the host, and what it knows is sent ahead."""

import torch
from torch import Tensor


def is_asynchronous(device: torch.device) -> bool:
    """Whether the device works while the host goes on, so that to read a value there is to wait for all before it.

    Also while a model is exported: then there are no values to read, and its work has to be regular.
    """
    return device.type != "cpu" or torch.compiler.is_exporting()


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` of the host on `device`; nobody waits for the copy but what uses it."""
    if tensor.device.type == device.type:
        return tensor
    # From memory that may be paged out the copy would first wait for the device.
    return tensor.pin_memory().to(device, non_blocking=True)


def fetch(tensor: Tensor) -> Tensor:
    """`tensor` on the CPU: whoever asks for it waits."""
    return tensor.cpu()


def places(counts_B: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """(rows, columns) of all places of ragged rows, shape (total,) each; `total` is the sum of their counts.

    >>> places(torch.tensor([2, 0, 1]), 3)
    (tensor([0, 0, 2]), tensor([0, 1, 0]))
    """
    rows = torch.repeat_interleave(torch.arange(len(counts_B), device=counts_B.device), counts_B, output_size=total)
    columns = torch.arange(total, device=counts_B.device) - (counts_B.cumsum(0) - counts_B)[rows]
    return rows, columns
