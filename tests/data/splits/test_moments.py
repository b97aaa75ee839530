import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.moments import moment_of, places_at, quantile, said, span

times = st.one_of(st.integers(-(10**9), 4 * 10**9), st.floats(-1e9, 4e9, allow_nan=False))
logs = st.lists(st.lists(times, max_size=7).map(sorted), min_size=1, max_size=5).filter(any)


def log_of(histories: list[list[float]]) -> Sequences:
    return Sequences.of([[0] * len(history) for history in histories], 1, histories)


@given(logs, st.floats(0, 1, exclude_max=True))
def test_a_quantile_is_the_time_at_its_place_among_all(histories: list[list[float]], share: float) -> None:
    flat = sorted(float(time) for history in histories for time in history)
    assert quantile(log_of(histories), share) == flat[int(share * len(flat))]


@given(logs, times)
def test_the_place_of_a_moment_is_the_first_event_that_is_no_earlier(
    histories: list[list[float]], moment: float
) -> None:
    log = log_of(histories)
    earlier = [sum(float(time) < moment for time in history) for history in histories]
    assert (places_at(log, moment) - log.starts_U).tolist() == earlier


@pytest.mark.parametrize("moment", [889_237_269, 889_237_269.0, 889_237_268.5])
def test_a_moment_is_exact_to_the_second_however_it_is_written(moment: float) -> None:
    log = log_of([[889_237_267, 889_237_268, 889_237_269, 889_237_270]])
    assert places_at(log, moment).tolist() == [2]


def test_a_span_is_that_of_all_views_and_of_no_other_event() -> None:
    log = log_of([[3, 5], [1, 9], [7]])
    assert span(log) == (1, 9)
    assert span(log.select(tensor([0, 2]))) == (3, 7)


def test_whole_seconds_stay_whole() -> None:
    assert isinstance(quantile(log_of([[1, 2, 3]]), 0.5), int)
    assert quantile(log_of([[1, 2, 3, 4]]), 0.5) == 3


def test_fractions_of_a_second_are_kept() -> None:
    assert moment_of("1970-01-01T00:00:00.25") == 0.25
    assert said(0.25) == "1970-01-01 00:00:00 UTC"
