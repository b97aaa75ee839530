"""Step sizes over a whole training."""

import pytest
import torch

from nextitem.training.schedule import Schedule, step_size
from nextitem.training.training import Training


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 37])
def test_one_cycle_is_that_of_torch(steps: int) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=steps)
    theirs = []
    for step in range(steps):
        theirs.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step < steps - 1:
            schedule.step()
    assert [step_size("one_cycle", 0, step, steps) for step in range(steps)] == pytest.approx(theirs)


def test_one_cycle_begins_at_a_25th_peaks_at_three_tenths_and_ends_near_0() -> None:
    factors = [step_size("one_cycle", 0, step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 25)
    assert factors.index(max(factors)) == 29
    assert factors[29] == 1
    assert factors[-1] == pytest.approx(1 / 250_000)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "one_cycle"])
def test_a_step_is_never_larger_than_the_learning_rate_nor_0(schedule: Schedule) -> None:
    for steps in (1, 2, 7):
        assert all(0 < step_size(schedule, 0, step, steps) <= 1 for step in range(steps))


def test_one_cycle_takes_no_warm_up_beside_its_own() -> None:
    with pytest.raises(ValueError, match="warmup_steps=9 is for the other schedules: one_cycle rises by itself"):
        Training(schedule="one_cycle", warmup_steps=9)
