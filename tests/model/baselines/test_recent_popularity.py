"""What was popular lately: counts that end with training."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.errors import DataError
from nextitem.model.baselines import RecentPopularity

N, DAY, TODAY = 4, 86_400, 1_700_000_000
events = st.lists(st.tuples(st.integers(0, N - 1), st.integers(TODAY, TODAY + 10 * DAY)), max_size=6)


def log_of(users: list[list[tuple[int, float]]]) -> Sequences:
    ordered = [sorted(user, key=lambda event: event[1]) for user in users]
    return Sequences.of(
        [[item for item, _ in user] for user in ordered], N, [[time for _, time in user] for user in ordered]
    )


@given(st.lists(events, min_size=1, max_size=5), st.floats(0.1, 12))
def test_scores_equal_naive_counts(users: list[list[tuple[int, int]]], days: float) -> None:
    every = [event for user in users for event in user]
    newest = max((time for _, time in every), default=0)
    expected = torch.zeros(N, dtype=torch.float64)
    for item, time in every:
        expected[item] += (time >= newest - days * DAY) + 1 / (len(every) + 1)
    query = RecentPopularity(days=days).learn(log_of(users)).query(Sequences.of([[], [1]], N))
    torch.testing.assert_close(query.scores(0, N), expected.repeat(2, 1), rtol=1e-14, atol=0)


def test_the_days_end_with_training_and_what_is_older_only_orders_equals() -> None:
    users = [[(0, 0), (0, 0), (0, 0), (3, 0)], [(1, 4 * DAY), (2, 5 * DAY)]]
    scorer = RecentPopularity(days=1).learn(log_of(users))
    assert scorer.query(Sequences.of([[]], N)).scores(0, N).tolist() == [[3 / 7, 1 + 1 / 7, 1 + 1 / 7, 1 / 7]]


def test_the_first_of_the_days_begins_at_its_second() -> None:
    for times in ((TODAY - DAY - 1, TODAY - DAY, TODAY), (TODAY - DAY - 0.25, TODAY - DAY, TODAY)):
        counts = RecentPopularity(days=1).learn(log_of([[*enumerate(times)]])).tensors()["recent"]
        assert counts.tolist() == [0, 1, 1, 0]


def test_when_held_out_events_were_changes_nothing_learnt() -> None:
    late, later = ([(0, 0), (1, DAY), (2, time), (3, time)] for time in (2 * DAY, 900 * DAY))
    first, second = (
        RecentPopularity(days=1).learn(LeaveOneOut().split(log_of([user])).train).tensors() for user in (late, later)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_without_times_nothing_is_recent() -> None:
    with pytest.raises(DataError, match=r"no times, so nobody knows which events are recent; .* baseline popularity"):
        RecentPopularity().learn(Sequences.of([[0, 1]], N))


@pytest.mark.parametrize(
    ("recent", "popularity", "fault"),
    [
        ([1.0], [1.0, 2.0], "recent has 1 numbers and popularity 2"),
        ([2.0, 0.0], [1.0, 2.0], "at most popularity"),
        ([-1.0, 0.0], [1.0, 2.0], "at least 0"),
    ],
)
def test_tensors_of_others_are_refused(recent: list[float], popularity: list[float], fault: str) -> None:
    tensors = {"recent": tensor(recent).double(), "popularity": tensor(popularity).double()}
    with pytest.raises(ValueError, match=fault):
        RecentPopularity().restore(tensors)
