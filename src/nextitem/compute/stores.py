"""Where processes that train together leave word for each other, when somebody else has made their group."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store  # some builds of torch have none


def store_of_group(patience: timedelta) -> "Store":
    """A store of the processes of a group: at the first one, which tells the others its port. All must call it."""
    from torch._C._distributed_c10d import TCPStore

    host, is_first = os.environ["MASTER_ADDR"], dist.get_rank() == 0
    port = torch.zeros(1, dtype=torch.int64)
    store = TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=patience) if is_first else None
    if store is not None:
        port += store.port
    dist.all_reduce(port)
    return store or TCPStore(host, int(port), is_master=False, timeout=patience)
