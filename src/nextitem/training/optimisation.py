"""A step down the gradient: Adam with decay, clipping and a step size that the caller schedules.

N rows of an item table of width d, of which a step touches R.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nextitem.compute.processes import Processes
from nextitem.model.items.shard import Shard
from nextitem.model.weights import check_alike
from nextitem.training.averages import Averages
from nextitem.training.row_adam import BETA1, RowAdam, Touched, check_numbers
from nextitem.training.row_adam import NAME as ROWS

_AVERAGES = "ema"


class Descent:
    """Adam (Kingma & Ba, 2015) over weights; decoupled weight decay (AdamW) on matrices where it is asked for.

    `l2` times each weight is added to its gradient instead, as torch's Adam and the papers that use it have it.

    With `table_Nd` that matrix is left out, and each step moves those of its rows that it is told of (`RowAdam`).
    `averages`, if it is given some, follow every step. With a `shard` some of the parameters are its rows: their
    gradient is this process's own, and each step fetches the rows that it reads.
    """

    averages: Averages | None = None
    shard: Shard | None = None

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
        betas = (BETA1, beta2)
        if weight_decay == 0:
            self.optimiser: torch.optim.Optimizer = torch.optim.Adam(
                self.parameters, learning_rate, betas, weight_decay=l2, fused=True
            )
        else:
            matrices = [weight for weight in self.parameters if weight.ndim > 1]
            vectors = [weight for weight in self.parameters if weight.ndim <= 1]
            groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
            self.optimiser = torch.optim.AdamW(groups, learning_rate, betas, fused=True)

    @property
    def narrows(self) -> bool:
        """Whether a step goes by the rows of the table that it reads, and not by the whole."""
        return self.rows is not None or self.shard is not None

    def touch(self, ids_R: Tensor, rows_Rd: nn.Parameter) -> "Touched | Fetched | None":
        """The rows `ids_R` of the table for a step, their present values put into `rows_Rd`; None without a table."""
        if self.shard is not None:
            rows_Rd.data = self.shard.fetched(ids_R)
            return Fetched(ids_R, rows_Rd)
        return None if self.rows is None else self.rows.touch(ids_R, rows_Rd)

    def settle(self) -> None:
        """Make the table what it is to whoever reads it between steps."""
        if self.rows is not None:
            self.rows.settle()

    def clear(self) -> None:
        """Forget the gradients that the weights have."""
        self.optimiser.zero_grad(set_to_none=True)

    def move(self, factor: float, processes: Processes, touched: "Touched | Fetched | None" = None) -> None:
        """Go down the gradients that the weights have, by `factor` times the learning rate.

        `touched` are the table's rows that went into them, by `touch`. Processes sum their gradients before.
        """
        own = () if self.shard is None else (self.shard.rows_nd,)
        weights = [weight for weight in self.parameters if all(weight is not rows_nd for rows_nd in own)]
        processes.sum_gradients(weights if touched is None else [*weights, touched.rows_Rd])
        if self.shard is not None and touched is not None and touched.rows_Rd.grad is not None:
            self.shard.take(touched.ids_R, touched.rows_Rd.grad)
        if self.gradient_clip is not None:
            _clip(
                self.gradient_clip,
                [*weights, *([touched.rows_Rd] if isinstance(touched, Touched) else [])],
                own,
                processes,
            )
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * factor
        self.optimiser.step()
        if self.rows is not None and isinstance(touched, Touched):
            self.rows.step(touched, self.learning_rate * factor)
        if self.averages is not None:
            self.averages.follow()

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the weights are their averages, where there are some."""
        return nullcontext() if self.averages is None else self.averages.in_place()

    def finish(self) -> None:
        """Leave the weights as whoever trains them wants them: as their averages, where there are some."""
        if self.averages is not None:
            self.averages.keep()

    @property
    def names_of_rows(self) -> frozenset[str]:
        """Those of `tensors` that are of this process's rows of the table, whether or not there are any yet."""
        if self.shard is None:
            return frozenset()
        weights = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        names = [f"{_place(self.shard.rows_nd, weights)}/{moment}" for moment in ("exp_avg", "exp_avg_sq")]
        if self.averages is not None:
            names.append(f"{_AVERAGES}/{_place(self.shard.rows_nd, self.averages.weights)}")
        return frozenset(names)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a later step depends on, by name."""
        state = self.optimiser.state_dict()["state"]
        tensors = {f"{number}/{name}": value for number, values in state.items() for name, value in values.items()}
        if self.rows is not None:
            tensors |= {f"{ROWS}/{name}": value for name, value in self.rows.tensors().items()}
        if self.averages is not None:
            tensors |= {f"{_AVERAGES}/{name}": value for name, value in self.averages.tensors().items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors()` returned. Raises ValueError, nothing being changed, for that of another model."""
        state: dict[int, dict[str, Tensor]] = {}
        others: dict[str, dict[str, Tensor]] = {ROWS: {}, _AVERAGES: {}}
        for name, tensor in tensors.items():
            number, _, key = name.partition("/")
            if number in others:
                others[number][key] = tensor
            elif number.isdecimal():
                state.setdefault(int(number), {})[key] = tensor
            else:
                raise ValueError(f"{name} is no moment of a weight")
        self._check(state)
        parts = {ROWS: self.rows, _AVERAGES: self.averages}
        for name, part in parts.items():
            if part is not None:
                part.check(others[name])
            elif others[name]:
                raise ValueError(f"there are tensors of {name}, and this training has none")
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})
        for name, part in parts.items():
            if part is not None:
                part.restore(others[name])

    def _check(self, state: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Raises ValueError where moments are not of these weights; weights that never had a gradient have none."""
        weights = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        for number, moments in state.items():
            if number >= len(weights):
                raise ValueError(f"there are moments of weight {number:,}, of {len(weights):,}")
            wanted = {"step": torch.zeros(()), "exp_avg": weights[number], "exp_avg_sq": weights[number]}
            check_alike(
                {f"{number}/{name}": value for name, value in moments.items()},
                {f"{number}/{name}": value for name, value in wanted.items()},
            )
            check_numbers(f"{number}/", moments, ("step", "exp_avg_sq"))


def _place(weight: nn.Parameter, among: Iterable[nn.Parameter]) -> int:
    return next(place for place, one in enumerate(among) if one is weight)


def _clip(most: float, weights: list[nn.Parameter], own: tuple[nn.Parameter, ...], processes: Processes) -> None:
    """Shrink all gradients where they are longer than `most`; those of `own` rows are one process's part of a table."""
    if not own:
        nn.utils.clip_grad_norm_(weights, most)
        return
    of_rows = torch.stack([weight.new_zeros(()) if weight.grad is None else weight.grad.norm() ** 2 for weight in own])
    of_all = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    norm = (processes.sum(of_rows.sum()) + of_all**2).sqrt()
    nn.utils.clip_grads_with_norm_([*weights, *own], most, norm)


@dataclass(frozen=True)
class Fetched:
    """The R rows that a step reads of a table whose rows lie with several processes."""

    ids_R: Tensor
    rows_Rd: nn.Parameter
