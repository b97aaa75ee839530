"""What each kind of negatives says of itself, without which nobody above the shelf would know it."""

from typing import Any

import pytest

from nextitem.data.sequences import Sequences
from nextitem.model.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.model.negatives.negatives import Negatives
from worlds.shelves import NEGATIVES, each, with_settings

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
    assert "negative" in negatives.described()


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


@pytest.mark.parametrize(
    ("negatives", "drawn"),
    [
        (Uniform(count=7), 7 * 50),
        (Uniform(count=7, sharing="sequence"), 7 * 6),
        (ByPopularity(count=7, sharing="batch"), 7),
        (InBatch(), 50),
        (InBatch(count=8), 8),
        (Mixed(count=5), 55),
        (Mixed(count=5, in_batch=8), 13),
    ],
)
def test_a_step_of_fifty_positions_in_six_rows_draws_so_many(negatives: Negatives, drawn: int) -> None:
    assert negatives.drawn(positions=50, rows=6) == drawn
    # Ids and probabilities of 8 bytes; of a set that rows share, a byte for what each row excludes of it.
    excluded = 0 if negatives.sharing == "position" else 6 * negatives.set_size(50)
    assert negatives.bytes(positions=50, rows=6) == 24 * drawn + excluded


@each_kind
def test_histories_are_kept_in_order_where_sets_are_not_shared_by_all(negatives: Any) -> None:
    train = Sequences.of([[0, 1, 2], [3, 4]], 5)
    assert negatives.kept_bytes(train) == (0 if negatives.sharing == "batch" else 24 * 5)


@each_kind
def test_every_kind_can_do_with_fewer(negatives: Any) -> None:
    many = with_settings(negatives, count=100)
    counts = next(way for way in many.remedies() if "count" in way[0])
    assert [change["count"] for change in counts] == [50, 25, 12, 6, 3, 1]
    for way in many.remedies():
        assert with_settings(many, **way[-1]).drawn(50, 6) <= many.drawn(50, 6)
