"""V-SKNN: the sessions that are like a history vote, as a loop over all of them says."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines import VSKNN, vsknn
from worlds.shelves import timed

N = 6
histories = st.lists(st.lists(st.integers(0, N - 1), max_size=7), min_size=1, max_size=8)
Fade = Callable[[int, int], float]
SIMILARITY: dict[str, Fade] = {
    "div": lambda back, length: 1 - (back - 1) / length,
    "linear": lambda back, _: max(0.0, 1 - (back - 1) / 10),
    "same": lambda _back, _length: 1.0,
}
VOTE: dict[str, Callable[[int], float]] = {
    "div": lambda back: 1 / back,
    "linear": lambda back: max(0.0, 1 - back / 10),
    "same": lambda _back: 1.0,
}


def naive(settings: VSKNN, train: list[list[int]], history: list[int]) -> list[float]:
    """The score of every item, by a loop over all sessions; a later view of the log ended later."""
    sessions = [sorted(set(session)) for session in reversed(train) if len(set(session)) > 1]
    back = {item: len(history) - place for place, item in enumerate(history)}
    similar = []
    for session in sessions:
        shared = [item for item in session if item in back]
        similarity = sum(SIMILARITY[settings.weighting](back[item], len(history)) for item in shared)
        if similarity > 0:
            similar.append((similarity, max(VOTE[settings.voting](back[item]) for item in shared), session))
    similar = similar[: settings.sampled]
    similar.sort(key=lambda one: -one[0])
    scores = [0.0] * N
    for similarity, vote, session in similar[: settings.neighbours]:
        for item in session:
            scores[item] += similarity * vote
    for item in range(N):
        having = sum(item in session for session in sessions)
        scores[item] *= 1 + settings.idf * math.log(len(sessions) / max(1, having))
    events, counts = sum(map(len, train)), [sum(one.count(item) for one in train) for item in range(N)]
    return [score if score > 0 else counts[item] / (events + 1) - 1 for item, score in enumerate(scores)]


@given(
    train=histories,
    asked=histories,
    settings=st.builds(
        VSKNN,
        neighbours=st.integers(1, 4),
        sampled=st.integers(1, 6),
        weighting=st.sampled_from([*SIMILARITY]),
        voting=st.sampled_from([*VOTE]),
        idf=st.sampled_from([0.0, 2.0]),
    ),
    digits=st.sampled_from([2, 500]),  # of two, a short history needs several sums
    newest=st.sampled_from([0.1, 1.0, 2.0]),  # of a tenth, nearly all have to look at older sessions too
)
def test_scores_equal_a_loop_over_all_sessions(
    train: list[list[int]], asked: list[list[int]], settings: VSKNN, digits: int, newest: float
) -> None:
    assume(any(len(set(session)) > 1 for session in train))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vsknn, "_DIGITS", digits)
        patch.setattr(vsknn, "_NEWEST", newest)
        query = settings.learn(timed(Sequences.of(train, N))).query(Sequences.of(asked, N))
        expected = tensor([naive(settings, train, history) for history in asked], dtype=torch.float64)
        torch.testing.assert_close(query.scores(0, N), expected, rtol=1e-9, atol=1e-12)


def test_the_latest_sessions_are_sampled_by_when_they_ended() -> None:
    early, late = [[0, 1], [0, 2]], [[100.0, 200.0], [0.0, 300.0]]
    train = Sequences.of(early, N, late)
    scores = VSKNN(sampled=1).learn(train).query(Sequences.of([[0]], N)).scores(0, N)[0]
    assert (scores > 0).tolist() == [True, False, True, False, False, False]
    everyone = VSKNN(sampled=None).learn(train).query(Sequences.of([[0]], N)).scores(0, N)[0]
    assert (everyone > 0).tolist() == [True, True, True, False, False, False]


def test_the_latest_event_of_a_history_counts_most() -> None:
    train = timed(Sequences.of([[0, 2], [1, 3]], N))
    scores = VSKNN().learn(train).query(Sequences.of([[0, 1], [1, 0]], N)).scores(0, N)
    # The last of two events counts 1 in the similarity and 1 in the vote, the one before it a half in both.
    assert scores[0, [2, 3]].tolist() == [1 / 4, 1]
    assert scores[1, [2, 3]].tolist() == [1, 1 / 4]


def test_of_a_very_long_history_the_latest_shared_event_is_found() -> None:
    train = timed(Sequences.of([[0, 2], [1, 3]], N))
    asked = Sequences.of([[0] + [4] * 1500 + [1] + [5] * 700], N)
    settings = VSKNN(weighting="same")
    scores = settings.learn(train).query(asked).scores(0, N)[0]
    assert scores[[2, 3]].tolist() == [1 / 2202, 1 / 701]


def test_items_of_the_same_neighbours_tie_exactly() -> None:
    train = timed(Sequences.of([[0, 1, 2, 4], [3, 1, 2, 0], [1, 2, 3], [4, 3]], N))
    scores = VSKNN().learn(train).query(Sequences.of([[3, 4, 0], [0, 4]], N)).scores(0, N)
    assert torch.equal(scores[:, 1], scores[:, 2])


def test_in_which_steps_sessions_and_events_are_looked_at_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = torch.Generator().manual_seed(0)
    train = timed(Sequences.of(torch.randint(40, (60, 12), generator=draws).tolist(), 40))
    asked = Sequences.of(torch.randint(40, (30, 50), generator=draws).tolist(), 40)
    settings = VSKNN(sampled=20, neighbours=5)
    scores = settings.learn(train).query(asked).scores(0, 40)
    for name, value in (("_NEWEST", 0.1), ("_NEWEST", 5.0), ("_FIRST_DIGITS", 1), ("_DIGITS", 3)):
        monkeypatch.setattr(vsknn, name, value)
        assert torch.equal(settings.learn(train).query(asked).scores(0, 40), scores)


def test_without_times_only_all_sessions_can_be_looked_at() -> None:
    train = Sequences.of([[0, 1], [1, 2]], N)
    with pytest.raises(DataError, match=r"no times, so nobody knows which sessions are the latest; .*sampled=none"):
        VSKNN().learn(train)
    assert not VSKNN(sampled=None).reads_times
    assert VSKNN().reads_times
    VSKNN(sampled=None).learn(train)


@pytest.mark.parametrize("train", [[[0], [1, 1], []], [[]]])
def test_where_nobody_has_two_items_there_is_nothing_to_vote_for(train: list[list[int]]) -> None:
    with pytest.raises(DataError, match=r"has two items, so there is nothing to vote for; .* baseline popularity"):
        VSKNN(sampled=None).learn(Sequences.of(train, N))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"starts": tensor([], dtype=torch.int64)}, "starts holds no number"),
        ({"starts": tensor([0, 3])}, "starts should ascend from 0 to 2"),
        ({"items": tensor([0, 2])}, "items should be below 2"),
        ({"items": tensor([1, 0])}, "the items of a row should ascend"),
        ({"popularity": tensor([-1.0, 0.0]).double()}, "below 0"),
    ],
)
def test_tensors_of_others_are_refused(changed: dict[str, Tensor], fault: str) -> None:
    stored = {"starts": tensor([0, 2]), "items": tensor([0, 1]), "popularity": tensor([1.0, 1.0]).double()}
    VSKNN().restore(stored)
    with pytest.raises(ValueError, match=fault):
        VSKNN().restore({**stored, **changed})
