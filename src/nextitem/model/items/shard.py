"""One process's rows of a table that several processes keep together.

N items, n of them here, d width, R rows that are asked for. Rows travel by the one operation that processes have, a sum
in which each fills what is its own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nextitem.compute.processes import Processes


@dataclass(frozen=True)
class Shard:
    """Rows of an item table, as equally shared as they can be. All processes must call its methods in one order."""

    rows_nd: nn.Parameter
    """Those of this process."""
    number_of_items: int
    processes: Processes

    @classmethod
    def of(cls, table_Nd: Tensor, processes: Processes) -> "Shard":
        """The rows of a whole table that are this process's, as weights of their own."""
        own = processes.share(len(table_Nd))
        return cls(nn.Parameter(table_Nd.detach()[own].clone()), len(table_Nd), processes)

    @property
    def own(self) -> slice:
        """Which items are here."""
        return self.processes.share(self.number_of_items)

    @property
    def most(self) -> int:
        """Rows of the process that has the most."""
        return -(-self.number_of_items // self.processes.size)

    def places(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(which of `ids` are here, the rows of those)."""
        places = ((ids >= self.own.start) & (ids < self.own.stop)).nonzero()[:, 0]
        return places, ids[places] - self.own.start

    @torch.no_grad()
    def fetched(self, ids_R: Tensor) -> Tensor:
        """The rows of these items, shape (R, d), from whoever has them; all processes ask for the same."""
        places, rows = self.places(ids_R)
        fetched_Rd = self.rows_nd.new_zeros(len(ids_R), self.rows_nd.shape[1])
        return self.processes.sum(fetched_Rd.index_copy_(0, places, self.rows_nd.index_select(0, rows)))

    @torch.no_grad()
    def take(self, ids_R: Tensor, gradient_Rd: Tensor) -> None:
        """Add what was summed over all processes as the gradient of fetched rows to that of the rows here."""
        places, rows = self.places(ids_R)
        if self.rows_nd.grad is None:
            self.rows_nd.grad = torch.zeros_like(self.rows_nd)
        self.rows_nd.grad.index_add_(0, rows, gradient_Rd.index_select(0, places))

    @torch.no_grad()
    def whole(self, values_nd: Tensor) -> Tensor:
        """The values (N, d) of all items, from those (n, d) that each process has of its own."""
        return self.processes.gather(values_nd.detach(), self.number_of_items)
