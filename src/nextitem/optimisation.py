"""A step down the gradient: Adam with decay, clipping and a step size that the caller schedules.

N rows of an item table of width d, of which a step touches R.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from nextitem.processes import Processes

_BETA1, _EPSILON = 0.9, 1e-8
_ROWS = "item_rows"


class Descent:
    """Adam (Kingma & Ba, 2015) over weights; decoupled weight decay (AdamW) on matrices where it is asked for.

    `l2` times each weight is added to its gradient instead, as torch's Adam and the papers that use it have it.

    With `table_Nd` that matrix is left out, and each step moves those of its rows that it is told of (`RowAdam`).
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        learning_rate: float,
        beta2: float,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        gradient_clip: float | None = None,
        table_Nd: nn.Parameter | None = None,
    ) -> None:
        self.learning_rate, self.gradient_clip = learning_rate, gradient_clip
        self.parameters = [weight for weight in parameters if weight is not table_Nd]
        self.rows = None if table_Nd is None else RowAdam(table_Nd, beta2)
        betas = (_BETA1, beta2)
        if weight_decay == 0:
            self.optimiser: torch.optim.Optimizer = torch.optim.Adam(
                self.parameters, learning_rate, betas, weight_decay=l2, fused=True
            )
        else:
            matrices = [weight for weight in self.parameters if weight.ndim > 1]
            vectors = [weight for weight in self.parameters if weight.ndim <= 1]
            groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
            self.optimiser = torch.optim.AdamW(groups, learning_rate, betas, fused=True)

    def step(
        self, mean: Tensor, factor: float, processes: Processes, touched: tuple[Tensor, nn.Parameter] | None = None
    ) -> None:
        """Go down the gradient of `mean`, a scalar, by `factor` times the learning rate.

        `touched` are the ids (R,) of the table's rows that went into it, and these rows as a parameter (R, d).
        """
        self.optimiser.zero_grad(set_to_none=True)
        mean.backward()
        self.move(factor, processes, touched)

    def move(self, factor: float, processes: Processes, touched: tuple[Tensor, nn.Parameter] | None = None) -> None:
        """Go down the gradients that the weights have, as `step` does."""
        weights = self.parameters if touched is None else [*self.parameters, touched[1]]
        processes.sum_gradients(weights)
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(weights, self.gradient_clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * factor
        self.optimiser.step()
        if self.rows is not None and touched is not None:
            self.rows.step(*touched, self.learning_rate * factor)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a later step depends on, by name."""
        state = self.optimiser.state_dict()["state"]
        tensors = {f"{number}/{name}": value for number, values in state.items() for name, value in values.items()}
        if self.rows is not None:
            tensors |= {f"{_ROWS}/{name}": value for name, value in self.rows.tensors().items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors()` returned. Raises KeyError or ValueError where it belongs to another model."""
        state: dict[int, dict[str, Tensor]] = {}
        rows: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            number, _, key = name.partition("/")
            if number == _ROWS:
                rows[key] = tensor
            else:
                state.setdefault(int(number), {})[key] = tensor
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})
        if self.rows is not None:
            self.rows.restore(rows)


class RowAdam:
    """Adam on the rows that a step touches; no other row of the table or of the moments is read or written.

    The moments of a row that no step touched for n steps fade by βⁿ when it is touched again, so they are those of
    Adam. What is left out is the movement that Adam, driven by the old momentum, would have made meanwhile.
    """

    def __init__(self, table_Nd: nn.Parameter, beta2: float) -> None:
        self.table_Nd, self.beta2 = table_Nd, beta2
        self.steps = 0
        # Zeros that nobody touches are not yet memory: the system gives it page by page.
        self.first_Nd = torch.zeros_like(table_Nd, requires_grad=False)
        self.second_Nd = torch.zeros_like(table_Nd, requires_grad=False)
        self.latest_N = torch.zeros(len(table_Nd), dtype=torch.int32, device=table_Nd.device)

    @torch.no_grad()
    def step(self, ids_R: Tensor, rows_Rd: nn.Parameter, learning_rate: float) -> None:
        """Move the rows `ids_R`, all different, whose present values and gradients `rows_Rd` holds."""
        gradient_Rd = rows_Rd.grad
        if gradient_Rd is None:
            return
        self.steps += 1
        idle_R1 = (self.steps - self.latest_N.index_select(0, ids_R))[:, None].to(gradient_Rd.dtype)
        first_Rd = self.first_Nd.index_select(0, ids_R).mul_(_BETA1**idle_R1).add_(gradient_Rd, alpha=1 - _BETA1)
        second_Rd = self.second_Nd.index_select(0, ids_R).mul_(self.beta2**idle_R1)
        second_Rd.addcmul_(gradient_Rd, gradient_Rd, value=1 - self.beta2)
        scale_Rd = second_Rd.sqrt().div_((1 - self.beta2**self.steps) ** 0.5).add_(_EPSILON)
        moved_Rd = rows_Rd.addcdiv(first_Rd, scale_Rd, value=-learning_rate / (1 - _BETA1**self.steps))
        self.table_Nd.index_copy_(0, ids_R, moved_Rd)
        self.first_Nd.index_copy_(0, ids_R, first_Rd)
        self.second_Nd.index_copy_(0, ids_R, second_Rd)
        self.latest_N.index_fill_(0, ids_R, self.steps)

    def tensors(self) -> dict[str, Tensor]:
        """The moments, and when each row was touched last."""
        steps = torch.tensor(self.steps)
        return {"first": self.first_Nd, "second": self.second_Nd, "latest": self.latest_N, "steps": steps}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors()` returned; raises KeyError where something is missing."""
        self.first_Nd.copy_(tensors["first"])
        self.second_Nd.copy_(tensors["second"])
        self.latest_N.copy_(tensors["latest"])
        self.steps = int(tensors["steps"])
