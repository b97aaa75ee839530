"""What holds for every baseline on the shelf; a new one is tested as soon as it is in the table of contents."""

from collections import Counter
from collections.abc import Callable
from functools import partialmethod

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.errors import DataError
from nextitem.evaluation.evaluate import evaluate
from nextitem.model.baselines import AnyBaseline, CoOccurrence, Popularity
from worlds.shelves import each, timed, variations

History = list[int]
Naive = Callable[[list[History], History, int], float]

N = 5
TRAIN = [[0, 1, 2, 1, 2], [2, 1], [], [3], [], []]  # a user for every history that is asked about
HISTORIES = [[0], [], [4], [0, 1], [2, 0], [0, 1]]  # item 4 is never seen in training

histories = st.lists(st.lists(st.integers(0, N - 1), max_size=6), min_size=1, max_size=6)


def naive_popularity(train: list[History], history: History, item: int) -> float:
    return sum(history.count(item) for history in train)


def naive_recent_popularity(train: list[History], history: History, item: int) -> float:
    popularity = naive_popularity(train, history, item)  # all of a small log happened within a month
    return popularity + popularity / (sum(map(len, train)) + 1)


def naive_co_occurrence(window: int) -> Naive:
    def score(train: list[History], history: History, item: int) -> float:
        pairs: Counter[tuple[int, int]] = Counter()
        for events in train:
            for place, first in enumerate(events):
                pairs.update((first, second) for second in events[place + 1 : place + 1 + window])
        follows = pairs[history[-1], item] if history else 0
        return follows + naive_popularity(train, history, item) / (sum(map(len, train)) + 1)

    return score


SHELF = {**variations(AnyBaseline), "co_occurrence-window=3": CoOccurrence(window=3)}
COUNTS = {name: baseline for name, baseline in SHELF.items() if baseline.only_counts}
NAIVE = {
    "popularity": naive_popularity,
    "recent_popularity": naive_recent_popularity,
    "co_occurrence": naive_co_occurrence(1),
    "co_occurrence-window=3": naive_co_occurrence(3),
}
each_baseline = each("configuration", SHELF)
each_count = each("configuration", COUNTS)


def logged(log: list[History]) -> Sequences:
    """A log of events an hour apart, one user after another."""
    return timed(Sequences.of(log, N))


def scores_of(configuration: AnyBaseline, asked: list[History] = HISTORIES) -> Tensor:
    return configuration.learn(logged(TRAIN)).query(Sequences.of(asked, N)).scores(0, N)


def same(scores: Tensor, expected: Tensor) -> None:
    """Equal, but for the last digits of a product of another shape in float32."""
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-6 if scores.dtype == torch.float32 else 0)


@pytest.mark.parametrize("name", NAIVE)
@settings(max_examples=50)
@given(train=histories, asked=histories)
def test_scores_equal_naive_counts(name: str, train: list[History], asked: list[History]) -> None:
    assume("popularity" in name or any(len(history) > 1 for history in train))
    naive = NAIVE[name]
    query = SHELF[name].learn(logged(train)).query(Sequences.of(asked, N))
    expected = tensor([[naive(train, history, item) for item in range(N)] for history in asked], dtype=torch.float64)
    torch.testing.assert_close(query.scores(0, N), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("baseline", [CoOccurrence(), CoOccurrence(window=3)], ids=["next", "three"])
def test_histories_in_which_nothing_follows_anything_are_nothing_to_count_pairs_of(baseline: CoOccurrence) -> None:
    with pytest.raises(DataError, match=r"none of the 3 histories .* nothing to count; .* baseline popularity"):
        baseline.learn(Sequences.of([[0], [1], []], N))


@each_baseline
def test_a_slice_of_the_catalogue_has_the_scores_of_the_whole(configuration: AnyBaseline) -> None:
    query = configuration.learn(logged(TRAIN)).query(Sequences.of(HISTORIES, N))
    whole = query.scores(0, N)
    assert (len(query), query.number_of_items, whole.shape) == (6, N, (6, N))
    for start in range(N + 1):
        for stop in range(start, N + 1):
            same(query.scores(start, stop), whole[:, start:stop])


@each_baseline
def test_candidates_have_the_scores_of_the_whole(configuration: AnyBaseline) -> None:
    query = configuration.learn(logged(TRAIN)).query(Sequences.of(HISTORIES, N))
    ids_CK = torch.randint(N, (6, 40), generator=torch.Generator().manual_seed(0))
    same(query.candidate_scores(ids_CK), query.scores(0, N).gather(1, ids_CK))
    assert query.candidate_scores(ids_CK[:, :0]).shape == (6, 0)


@each_baseline
@pytest.mark.parametrize(
    "rows",
    [tensor([4, 0, 0]), tensor([], dtype=torch.int64), tensor([True, False, True, False, False, True])],
    ids=["indices", "none", "mask"],
)
def test_selected_rows_keep_their_scores(configuration: AnyBaseline, rows: Tensor) -> None:
    query = configuration.learn(logged(TRAIN)).query(Sequences.of(HISTORIES, N))
    chosen = query.select(rows)
    same(chosen.scores(0, N), query.scores(0, N)[rows])
    assert len(chosen) == len(query.scores(0, N)[rows])


@each_baseline
def test_overwritten_scores_are_fresh_on_the_next_call(configuration: AnyBaseline) -> None:
    query = configuration.learn(logged(TRAIN)).query(Sequences.of([[0]], N))
    ids_CK = tensor([[2, 1]])
    whole, candidates = query.scores(0, N).clone(), query.candidate_scores(ids_CK).clone()
    query.scores(0, N).fill_(torch.nan)
    query.candidate_scores(ids_CK).fill_(torch.nan)
    assert torch.equal(query.scores(0, N), whole)
    assert torch.equal(query.candidate_scores(ids_CK), candidates)


@each_baseline
def test_tensors_rebuild_the_scorer(configuration: AnyBaseline) -> None:
    scorer = configuration.learn(logged(TRAIN))
    assert all(values.is_contiguous() for values in scorer.tensors().values())  # safetensors stores no views
    again = configuration.restore(scorer.tensors())
    asked = Sequences.of(HISTORIES, N)
    assert torch.equal(again.query(asked).scores(0, N), scorer.query(asked).scores(0, N))


@each_count
def test_an_empty_history_gets_the_order_of_popularity(configuration: AnyBaseline) -> None:
    assert scores_of(configuration, [[]]).argsort(stable=True, descending=True).tolist() == [[1, 2, 0, 3, 4]]


def test_popularity_of_nothing_is_zero_for_every_item() -> None:
    query = Popularity().learn(Sequences.of([[]], 3)).query(Sequences.of([[], [2]], 3))
    assert query.scores(0, 3).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert query.candidate_scores(tensor([[1], [2]])).tolist() == [[0], [0]]


@each_baseline
def test_permuting_held_out_events_changes_nothing_learnt(configuration: AnyBaseline) -> None:
    before = configuration.learn(LeaveOneOut().split(logged([[0, 1, 2, 3], [4, 0, 1, 2]])).train)
    after = configuration.learn(LeaveOneOut().split(logged([[0, 1, 1, 2], [4, 0, 3, 2]])).train)
    for name, values in before.tensors().items():
        assert torch.equal(values, after.tensors()[name])


@each_count
def test_a_baseline_can_be_evaluated(configuration: AnyBaseline) -> None:
    split = LeaveOneOut().split(logged([[3, 0, 1, 2], [4, 0, 1, 2]]))
    # Trained are 3 and 4, once each. With the history 3, 0, 1 hidden, item 4 ranks above the target 2; likewise 3.
    report = evaluate(configuration.learn(split.train), split.test, ["hit_rate@1", "hit_rate@2", "mrr@2"])
    assert report.means == {"hit_rate@1": 0, "hit_rate@2": 1, "mrr@2": 1 / 2}


@each_baseline
def test_what_is_learnt_of_some_histories_at_a_time_is_what_all_teach(
    configuration: AnyBaseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = configuration.learn(logged(TRAIN)).tensors()
    monkeypatch.setattr(Sequences, "parts", partialmethod(Sequences.parts, events=2))
    assert len([*logged(TRAIN).parts()]) == 3
    for name, values in configuration.learn(logged(TRAIN)).tensors().items():
        assert torch.equal(values, whole[name])


@each_baseline
def test_equal_seeds_give_equal_numbers(configuration: AnyBaseline) -> None:
    first, again = (configuration.learn(logged(TRAIN), seed).tensors() for seed in (7, 7))
    assert all(torch.equal(values, again[name]) for name, values in first.items())


def test_popularity_counts_every_occurrence() -> None:
    assert scores_of(Popularity(), [[0]]).tolist() == [[1, 3, 3, 1, 0]]


def test_co_occurrence_counts_followers_and_lets_popularity_decide_ties() -> None:
    # After item 1 came item 2 twice; 8 events in all, so popularity is counted in ninths.
    assert scores_of(CoOccurrence(), [[0, 1]])[0].tolist() == pytest.approx([1 / 9, 3 / 9, 2 + 3 / 9, 1 / 9, 0])


def test_a_wider_window_counts_later_followers_alike() -> None:
    # After item 0 came, within two events, items 1 and 2.
    assert scores_of(CoOccurrence(window=2), [[0]])[0].tolist() == pytest.approx(
        [1 / 9, 1 + 3 / 9, 1 + 3 / 9, 1 / 9, 0]
    )


def test_popularity_never_outweighs_one_co_occurrence() -> None:
    train = Sequences.of([[0, 1], *[[2]] * 1000], 3)
    assert CoOccurrence().learn(train).query(Sequences.of([[0]], 3)).scores(0, 3).argmax().item() == 1


def test_no_pair_reaches_across_two_users() -> None:
    train = Sequences.of([[0, 1], [2, 3]], 4)
    after_1 = CoOccurrence(window=3).learn(train).query(Sequences.of([[1]], 4)).scores(0, 4)
    assert after_1.tolist() == [[1 / 5] * 4]
