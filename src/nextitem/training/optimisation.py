"""A step down the gradient: Adam with decay, clipping and a step size that the caller schedules.

N rows of an item table of width d, of which a step touches R.
"""

import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nextitem.compute.processes import Processes
from nextitem.model.weights import check_alike, stored
from nextitem.training.averages import Averages

_BETA1, _EPSILON = 0.9, 1e-8
_ROWS, _AVERAGES = "item_rows", "ema"
LEAST_BETA2 = 0.9
"""Smallest decay of the second moment with which idle rows come to rest soon enough for `RowAdam`."""
_NEGLIGIBLE = 1e-12  # share of a drift that is not followed any longer
_SETTLED_ROWS = 65_536


class Descent:
    """Adam (Kingma & Ba, 2015) over weights; decoupled weight decay (AdamW) on matrices where it is asked for.

    `l2` times each weight is added to its gradient instead, as torch's Adam and the papers that use it have it.

    With `table_Nd` that matrix is left out, and each step moves those of its rows that it is told of (`RowAdam`).
    `averages`, if it is given some, follow every step.
    """

    averages: Averages | None = None

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

    def touch(self, ids_R: Tensor, rows_Rd: nn.Parameter) -> "Touched | None":
        """The rows `ids_R` of the table for a step, their present values put into `rows_Rd`; None without a table."""
        return None if self.rows is None else self.rows.touch(ids_R, rows_Rd)

    def settle(self) -> None:
        """Make the table what it is to whoever reads it between steps."""
        if self.rows is not None:
            self.rows.settle()

    def clear(self) -> None:
        """Forget the gradients that the weights have."""
        self.optimiser.zero_grad(set_to_none=True)

    def move(self, factor: float, processes: Processes, touched: "Touched | None" = None) -> None:
        """Go down the gradients that the weights have, by `factor` times the learning rate.

        `touched` are the table's rows that went into them, by `touch`. Processes sum their gradients before.
        """
        weights = self.parameters if touched is None else [*self.parameters, touched.rows_Rd]
        processes.sum_gradients(weights)
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(weights, self.gradient_clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * factor
        self.optimiser.step()
        if self.rows is not None and touched is not None:
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

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a later step depends on, by name."""
        state = self.optimiser.state_dict()["state"]
        tensors = {f"{number}/{name}": value for number, values in state.items() for name, value in values.items()}
        if self.rows is not None:
            tensors |= {f"{_ROWS}/{name}": value for name, value in self.rows.tensors().items()}
        if self.averages is not None:
            tensors |= {f"{_AVERAGES}/{name}": value for name, value in self.averages.tensors().items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors()` returned. Raises ValueError, nothing being changed, for that of another model."""
        state: dict[int, dict[str, Tensor]] = {}
        others: dict[str, dict[str, Tensor]] = {_ROWS: {}, _AVERAGES: {}}
        for name, tensor in tensors.items():
            number, _, key = name.partition("/")
            if number in others:
                others[number][key] = tensor
            elif number.isdecimal():
                state.setdefault(int(number), {})[key] = tensor
            else:
                raise ValueError(f"{name} is no moment of a weight")
        self._check(state)
        parts = {_ROWS: self.rows, _AVERAGES: self.averages}
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
            _check_numbers(f"{number}/", moments, ("step", "exp_avg_sq"))


def _check_numbers(prefix: str, tensors: Mapping[str, Tensor], positive: Iterable[str]) -> None:
    """Raises ValueError for what is not finite, and for what is below 0 in the `positive` ones."""
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()) or (name in positive and bool((tensor < 0).any())):
            raise ValueError(f"{prefix}{name} holds what can be no moment")


@dataclass(frozen=True)
class Touched:
    """The R rows of the table that a step reads and moves, brought up to date, and their moments."""

    ids_R: Tensor
    rows_Rd: nn.Parameter
    first_Rd: Tensor
    second_Rd: Tensor


class RowAdam:
    """Adam on the rows that a step touches; no other row of the table or of the moments is read or written.

    Without a gradient Adam moves a row on by its old momentum: touched last at step s, with moments m and v, it goes
    −m/√v · Σᵢ₌ₛ₊₁ cᵢ rⁱ⁻ˢ, where r = β₁/√β₂ and cᵢ = learning rate · √(1 − β₂ⁱ)/(1 − β₁ⁱ). That sum is the same for all
    rows of one s and is kept for every s, so a row is moved there at once when it is next read, and its moments fade by
    βⁿ. What is left of a difference to Adam is ε, which counts as at step s, and rounding.
    """

    def __init__(self, table_Nd: nn.Parameter, beta2: float) -> None:
        self.table_Nd, self.beta2 = table_Nd, beta2
        self.steps = 0
        # Zeros that nobody touches are not yet memory: the system gives it page by page.
        self.first_Nd = torch.zeros_like(table_Nd, requires_grad=False)
        self.second_Nd = torch.zeros_like(table_Nd, requires_grad=False)
        self.latest_N = torch.zeros(len(table_Nd), dtype=torch.int32, device=table_Nd.device)
        ratio = _BETA1 / beta2**0.5
        reach = math.ceil(math.log(_NEGLIGIBLE) / math.log(ratio))
        exponents_W = torch.arange(reach, 0, -1, device=table_Nd.device)
        self._fading_W = torch.tensor(ratio, dtype=torch.float64, device=table_Nd.device) ** exponents_W
        self._drift_S = table_Nd.new_zeros(reach, dtype=torch.float64)  # by s, with room for steps to come

    @torch.no_grad()
    def touch(self, ids_R: Tensor, rows_Rd: nn.Parameter) -> Touched:
        """The rows `ids_R`, all different, as a step is to find them; `rows_Rd` takes their values."""
        present_Rd, first_Rd, second_Rd = self._present(ids_R)
        rows_Rd.copy_(present_Rd)
        return Touched(ids_R, rows_Rd, first_Rd, second_Rd)

    @torch.no_grad()
    def step(self, touched: Touched, learning_rate: float) -> None:
        """Move the rows by their values, moments and gradients in `touched`."""
        gradient_Rd = touched.rows_Rd.grad
        if gradient_Rd is None:
            return
        self.steps += 1
        first_Rd = touched.first_Rd.mul_(_BETA1).add_(gradient_Rd, alpha=1 - _BETA1)
        second_Rd = touched.second_Rd.mul_(self.beta2).addcmul_(gradient_Rd, gradient_Rd, value=1 - self.beta2)
        unbiased = learning_rate / (1 - _BETA1**self.steps), (1 - self.beta2**self.steps) ** 0.5
        scale_Rd = second_Rd.sqrt().div_(unbiased[1]).add_(_EPSILON)
        self._write(touched.ids_R, touched.rows_Rd.addcdiv(first_Rd, scale_Rd, value=-unbiased[0]), first_Rd, second_Rd)
        self._drift(unbiased[0] * unbiased[1])

    @torch.no_grad()
    def settle(self) -> None:
        """Bring every row that was ever touched up to date."""
        for ids_R in ((self.latest_N > 0) & (self.latest_N < self.steps)).nonzero()[:, 0].split(_SETTLED_ROWS):
            if len(ids_R):
                self._write(ids_R, *self._present(ids_R))

    def _present(self, ids_R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(values, first moments, second moments) of rows after all steps so far, each (R, d)."""
        latest_R = self.latest_N.index_select(0, ids_R)
        first_Rd, second_Rd = self.first_Nd.index_select(0, ids_R), self.second_Nd.index_select(0, ids_R)
        drift_R1 = self._drift_S.index_select(0, latest_R)[:, None].to(first_Rd.dtype)
        epsilon_R1 = _EPSILON * (1 - self.beta2 ** latest_R.clamp(min=1)[:, None].to(first_Rd.dtype)).sqrt()
        scale_Rd = second_Rd.sqrt().add_(epsilon_R1)
        rows_Rd = self.table_Nd.index_select(0, ids_R).addcdiv_(first_Rd * drift_R1, scale_Rd, value=-1.0)
        idle_R1 = (self.steps - latest_R)[:, None].to(first_Rd.dtype)
        return rows_Rd, first_Rd.mul_(_BETA1**idle_R1), second_Rd.mul_(self.beta2**idle_R1)

    def _write(self, ids_R: Tensor, rows_Rd: Tensor, first_Rd: Tensor, second_Rd: Tensor) -> None:
        self.table_Nd.index_copy_(0, ids_R, rows_Rd)
        self.first_Nd.index_copy_(0, ids_R, first_Rd)
        self.second_Nd.index_copy_(0, ids_R, second_Rd)
        self.latest_N.index_fill_(0, ids_R, self.steps)

    def _drift(self, pace: float) -> None:
        """Let rows that were touched before this step drift by one step more; `pace` is its cᵢ."""
        if self.steps >= len(self._drift_S):
            self._drift_S = torch.cat([self._drift_S, torch.zeros_like(self._drift_S)])
        first = max(1, self.steps - len(self._fading_W))  # nothing has been touched at step 0
        self._drift_S[first : self.steps] += pace * self._fading_W[len(self._fading_W) - self.steps + first :]

    def tensors(self) -> dict[str, Tensor]:
        """The moments, when each row was touched last, and how far rows have drifted since each step."""
        kept = {"first": self.first_Nd, "second": self.second_Nd, "latest": self.latest_N}
        return kept | {"steps": torch.tensor(self.steps), "drift": self._drift_S}

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise ValueError where `tensors` are not those of such a table."""
        wanted = self.tensors()
        found = {name: wanted[name] if name == "drift" else tensor for name, tensor in tensors.items()}
        check_alike(found, wanted)  # the drift has room for as many steps as there were
        steps, drift_S = int(tensors["steps"]), stored(tensors, "drift", like=self._drift_S)
        latest_N = tensors["latest"]
        if not 0 <= steps < len(drift_S) or bool((latest_N < 0).any() | (latest_N > steps).any()):
            raise ValueError(f"{_ROWS}: rows were touched at no step of {steps:,}")
        _check_numbers(f"{_ROWS}/", tensors, ("second",))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors()` returned and `check` accepts."""
        self.first_Nd.copy_(tensors["first"])
        self.second_Nd.copy_(tensors["second"])
        self.latest_N.copy_(tensors["latest"])
        self.steps = int(tensors["steps"])
        self._drift_S = tensors["drift"].to(self._drift_S.device, copy=True)
