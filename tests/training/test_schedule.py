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


GROWING = Training(epochs=7, batch_size=10, batch_growth=2, most_batch_size=35, patience=None)


def test_a_batch_doubles_every_so_many_epochs_up_to_the_most() -> None:
    assert [GROWING.batch_size_of(epoch) for epoch in range(1, 8)] == [10, 10, 20, 20, 35, 35, 35]
    assert [GROWING.steps_before(epoch, 100) for epoch in range(1, 9)] == [0, 10, 20, 25, 30, 33, 36, 39]
    assert (GROWING.most_steps(100), GROWING.most_epochs(100), GROWING.largest_batch(100)) == (39, 7, 35)
    shorter = GROWING.model_copy(update={"steps": 26})
    assert (shorter.most_steps(100), shorter.most_epochs(100), shorter.largest_batch(100)) == (26, 4, 20)
    assert (GROWING.most_steps(0), GROWING.most_epochs(0)) == (0, 0)
    endless = Training(epochs=99, batch_size=10, batch_growth=1)
    assert (endless.steps_before(6, 100), endless.largest_batch(100)) == (10 + 5 + 3 + 2 + 1, 100)


def test_exactly_so_many_epochs_have_the_step_sizes_of_the_whole_training() -> None:
    constant = Training(epochs=5, steps=17).exactly(3, "train")
    assert (constant.epochs, constant.steps, constant.stop_after, constant.patience) == (3, None, None, None)
    falling = Training(epochs=5, schedule="linear", batch_size=10).exactly(3, "train_and_validation")
    assert (falling.epochs, falling.stop_after, falling.events) == (5, 3, "train_and_validation")
    assert (falling.most_steps(100), falling.most_epochs(100)) == (50, 3)
    with pytest.raises(ValueError, match="patience=2 stops by validation events, which events=train_and"):
        Training(patience=2, events="train_and_validation")


def test_a_batch_that_does_not_grow_is_counted_as_ever() -> None:
    training = Training(epochs=5, batch_size=10, steps=17)
    assert (training.steps_before(3, 55), training.most_steps(55), training.most_epochs(55)) == (12, 17, 3)
    assert (training.batch_size_of(5), training.largest_batch(55), training.largest_batch(3)) == (10, 10, 10)


@pytest.mark.parametrize(
    ("settings", "fact"),
    [
        ({"most_batch_size": 500}, "most_batch_size=500 is for a batch that grows"),
        ({"most_batch_size": 100, "batch_growth": 1}, "most_batch_size=100 is less than batch_size=128"),
    ],
)
def test_a_batch_that_could_not_grow_is_refused(settings: dict[str, int], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        Training(**settings)


def test_one_cycle_takes_no_warm_up_beside_its_own() -> None:
    with pytest.raises(ValueError, match="warmup_steps=9 is for the other schedules: one_cycle rises by itself"):
        Training(schedule="one_cycle", warmup_steps=9)
