"""How large the steps of a training are: a share of its learning rate, step by step."""

import math
from typing import Literal

Schedule = Literal["constant", "linear", "cosine", "one_cycle"]

_RISE = 0.3  # share of the steps in which one cycle rises
_START, _END = 25.0, 1e4  # how many times smaller its first step is than its largest, and its last than its first


def step_size(schedule: Schedule, warmup: int, step: int, steps: int) -> float:
    """Share of the learning rate at `step`, which counts from 0 over the `steps` that a training has at most.

    `linear` is 1 − step/steps, `cosine` (1 + cos(π · step/steps))/2: one period without restarts (Loshchilov & Hutter,
    SGDR, ICLR 2017, equation 5). Of these a step of the first `warmup` has only its share, (step + 1)/(warmup + 1).

    `one_cycle` (Smith & Topin, Super-convergence, 2018), as torch's OneCycleLR has it by default: along a cosine from
    1/25 up to 1 at three tenths of the steps, and along another down to 1/250,000 at the last one. Adam's momentum is
    not cycled. It has no `warmup`, being one.

    >>> [round(step_size("cosine", 0, step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    >>> [round(step_size("one_cycle", 0, step, 11), 3) for step in (0, 1, 2, 10)]
    [0.04, 0.422, 0.96, 0.0]
    """
    if schedule == "one_cycle":
        return _one_cycle(step, steps)
    factor = min(1.0, (step + 1) / (warmup + 1))
    if schedule == "linear":
        return factor * (1 - step / steps)
    return factor * _cosine(1.0, 0.0, step / steps) if schedule == "cosine" else factor


def _one_cycle(step: int, steps: int) -> float:
    top, last = _RISE * steps - 1, steps - 1
    if step <= top:
        return _cosine(1 / _START, 1.0, step / top if top > 0 else 1.0)
    return _cosine(1.0, 1 / (_START * _END), (step - top) / (last - top))


def _cosine(start: float, end: float, share: float) -> float:
    """From `start` to `end`, slow at both."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
