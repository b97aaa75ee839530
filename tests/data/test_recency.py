"""Half-lives of targets, against what they say."""

import pytest
import torch

from nextitem.data.recency import fading
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError

DAY = 86_400
TIMES = [[0.0, 1.0 * DAY, 4.0 * DAY], [2.0 * DAY]]
LOG = Sequences.of([[3, 1, 2], [0]], 4, TIMES)


def test_of_events_the_newest_of_each_user_weighs_1() -> None:
    assert fading(LOG, 2.0, None).weights().tolist() == pytest.approx([2**-1, 2**-0.5, 1, 1])


def test_of_days_the_latest_of_all_weighs_1() -> None:
    assert fading(LOG, None, 2.0).weights().tolist() == pytest.approx([2**-2, 2**-1.5, 1, 2**-1])


def test_both_multiply_and_so_does_what_an_event_weighed_before() -> None:
    once = fading(LOG, 2.0, None)
    both = [2**-1 * 2**-2, 2**-0.5 * 2**-1.5, 1, 2**-1]
    assert fading(LOG, 2.0, 2.0).weights().tolist() == pytest.approx(both)
    assert fading(once, None, 2.0).weights().tolist() == pytest.approx(both)


def test_a_later_event_that_no_view_has_makes_nothing_older() -> None:
    held_out = LOG.without_last(1).select(torch.tensor([0]))
    assert fading(held_out, 1.0, 1.0).weights().tolist() == pytest.approx([2**-1 * 2**-1, 1])


def test_without_a_half_life_nothing_is_copied() -> None:
    assert fading(LOG, None, None) is LOG


def test_days_need_times() -> None:
    with pytest.raises(DataError, match="half-life in days needs to know when events were"):
        fading(LOG.without_times(), None, 2.0)
