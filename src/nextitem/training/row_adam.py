"""Adam on those rows of an item table that a step touches. N rows of width d, of which a step touches R."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nextitem.model.weights import check_alike, stored

BETA1, _EPSILON = 0.9, 1e-8
LEAST_BETA2 = 0.9
"""Smallest decay of the second moment with which idle rows come to rest soon enough for `RowAdam`."""
_NEGLIGIBLE = 1e-12  # share of a drift that is not followed any longer
_SETTLED_ROWS = 65_536
NAME = "item_rows"
"""What their tensors are called among those of an optimiser."""


def check_numbers(prefix: str, tensors: Mapping[str, Tensor], positive: Iterable[str]) -> None:
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
        ratio = BETA1 / beta2**0.5
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
        first_Rd = touched.first_Rd.mul_(BETA1).add_(gradient_Rd, alpha=1 - BETA1)
        second_Rd = touched.second_Rd.mul_(self.beta2).addcmul_(gradient_Rd, gradient_Rd, value=1 - self.beta2)
        unbiased = learning_rate / (1 - BETA1**self.steps), (1 - self.beta2**self.steps) ** 0.5
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
        return rows_Rd, first_Rd.mul_(BETA1**idle_R1), second_Rd.mul_(self.beta2**idle_R1)

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
            raise ValueError(f"{NAME}: rows were touched at no step of {steps:,}")
        check_numbers(f"{NAME}/", tensors, ("second",))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors()` returned and `check` accepts."""
        self.first_Nd.copy_(tensors["first"])
        self.second_Nd.copy_(tensors["second"])
        self.latest_N.copy_(tensors["latest"])
        self.steps = int(tensors["steps"])
        self._drift_S = tensors["drift"].to(self._drift_S.device, copy=True)
