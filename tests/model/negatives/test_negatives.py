"""What each kind of negatives says of itself, without which nobody above the shelf would know it."""

from typing import Any

import pytest

from nextitem.model.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.model.negatives.negatives import Negatives
from worlds.shelves import NEGATIVES, each

each_kind = each("negatives", NEGATIVES)


@pytest.mark.parametrize(
    ("negatives", "said"),
    [
        (Uniform(count=3000), "3,000 negatives (uniform)"),
        (ByPopularity(count=20), "20 negatives (popularity)"),
        (InBatch(), "all targets of the step as negatives"),
        (InBatch(count=7), "7 targets of the step as negatives"),
        (Mixed(count=2048), "2,048 negatives (mixed) and all targets of the step"),
        (Mixed(count=2048, in_batch=31), "2,048 negatives (mixed) and 31 targets of the step"),
    ],
)
def test_negatives_are_counted_in_words(negatives: Negatives, said: str) -> None:
    assert negatives.described() == said


@each_kind
def test_every_kind_is_described(negatives: Any) -> None:
    assert "negatives" in negatives.described()


@each_kind
def test_the_validation_loss_is_told_nothing_of_a_history(negatives: Any) -> None:
    assert negatives.outside_histories().exclude == "history"


def test_the_validation_loss_has_no_other_targets_but_draws_as_often() -> None:
    by_frequency = {"exponent": 1.0, "sharing": "batch", "exclude": "history"}
    assert InBatch(count=31).outside_histories() == ByPopularity(count=31, **by_frequency)  # type: ignore[arg-type]
    assert InBatch().outside_histories() == ByPopularity(count=1000, **by_frequency)  # type: ignore[arg-type]
    fresh = ByPopularity(count=5, exponent=0.5, sharing="batch", exclude="history")
    assert Mixed(count=5, exponent=0.5, in_batch=3).outside_histories() == fresh
    assert Uniform(count=7, sharing="sequence").outside_histories() == Uniform(
        count=7, sharing="sequence", exclude="history"
    )


@each_kind
def test_steps_of_several_windows_have_something_to_compare(negatives: Any) -> None:
    assert negatives.reason_against(batch_size=2) is None


def test_targets_of_a_window_alone_are_all_excluded() -> None:
    reason = InBatch().reason_against(batch_size=1)
    assert reason is not None
    assert "negatives.exclude=window leaves out; raise training.batch_size, or set negatives.exclude=target" in reason
    assert InBatch(exclude="target").reason_against(batch_size=1) is None
