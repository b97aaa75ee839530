"""Lists as a scorer."""

from math import inf

import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.evaluation.evaluate import Cases, evaluate
from nextitem.evaluation.given_lists import GivenLists
from nextitem.evaluation.ranks import target_ranks, top_k

LISTS = GivenLists(tensor([3, 1, 1, 1]), tensor([2, 4, 0, 5]), tensor([9, 0.5, -2, 0.5]), 6)


def histories(users: list[int]) -> Sequences:
    views = Sequences.of([[]] * len(users), 6)
    return Sequences(views.events, views.starts_U, views.stops_U, tensor(users))


def test_what_is_listed_has_its_score_and_all_else_none() -> None:
    query = LISTS.query(histories([1, 3, 0]))
    expected = [[-2, -inf, -inf, -inf, 0.5, 0.5], [-inf, -inf, 9, -inf, -inf, -inf], [-inf] * 6]
    assert query.scores(0, 6).tolist() == expected
    assert query.scores(4, 6).tolist() == [row[4:] for row in expected]
    ids_CK = tensor([[0, 4], [1, 2], [3, 3]])
    assert query.candidate_scores(ids_CK).tolist() == [[-2, 0.5], [-inf, 9], [-inf, -inf]]
    assert query.select(tensor([1])).scores(2, 3).tolist() == [[9]]
    assert LISTS.query(histories([0])).candidate_scores(tensor([[1]])).tolist() == [[-inf]]


def test_lists_are_shown_as_they_were_made_equal_scores_by_index() -> None:
    items, _ = top_k(LISTS.query(histories([1, 3, 0])), 4, None)
    assert items.tolist() == [[4, 5, 0, -1], [2, -1, -1, -1], [-1, -1, -1, -1]]


def test_equal_scores_tie_and_what_is_not_listed_is_missed() -> None:
    above, tied = target_ranks(LISTS.query(histories([1, 1, 1, 3, 0])), tensor([4, 0, 1, 2, 2]), None)
    assert above.tolist() == [0, 2, inf, 0, inf]
    assert tied.tolist() == [1, 0, 0, 0, 0]


def test_an_item_of_the_history_takes_no_place() -> None:
    asked = Sequences.of([[], [4]], 6)
    cases = Cases.of(asked.select(tensor([1])), tensor([5]), torch.ones(6, dtype=torch.int64))
    assert evaluate(LISTS, cases, ["hit_rate@1"]).means["hit_rate@1"] == 1
