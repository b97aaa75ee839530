"""How alike items are: cosines of vectors, or of the histories that hold them."""

from math import sqrt

import pytest
import torch

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.evaluation.ranks import top_k
from nextitem.model.baselines import Popularity
from nextitem.serving.alikeness import OfHistories, OfVectors, alikeness_of
from worlds.small_runs import ITEMS, RECIPES, outcome

HISTORIES = Sequences.of([[0, 1, 1], [0, 1, 2], [2, 0], [3]], number_of_items=5)


def test_items_are_alike_as_far_as_the_same_histories_hold_both() -> None:
    scores_QN = OfHistories(HISTORIES).query(torch.tensor([0, 3])).scores(0, 5)
    never = -torch.inf  # no history holds both
    # Item 0 is in three histories, 1 in two (once twice, which counts once), 2 in two.
    expected = [[1, 2 / sqrt(3 * 2), 2 / sqrt(3 * 2), never, never], [never, never, never, 1, never]]
    torch.testing.assert_close(scores_QN, torch.tensor(expected, dtype=torch.float64))


def test_of_items_that_no_history_holds_nothing_is_said() -> None:
    assert OfHistories(HISTORIES).says_nothing_of(torch.arange(5)).tolist() == [False, False, False, False, True]
    assert OfVectors(torch.tensor([[0.0, 0.0], [1.0, 0.0]])).says_nothing_of(torch.arange(2)).tolist() == [True, False]


def test_the_cosine_of_vectors_does_not_look_at_their_lengths() -> None:
    vectors_Ne = torch.tensor([[2.0, 0.0], [5.0, 5.0], [-0.1, 0.0], [0.0, 3.0]])
    scores_QN = OfVectors(vectors_Ne).query(torch.tensor([0])).scores(0, 4)
    torch.testing.assert_close(scores_QN, torch.tensor([[1, 1 / sqrt(2), -1, 0]]))


def test_twins_tie_to_the_bit_at_every_place_of_the_table() -> None:
    vectors_Ne = torch.randn(4097, 33, generator=torch.Generator().manual_seed(0))
    twins = torch.tensor([3, 700, 4096])
    vectors_Ne[twins] = vectors_Ne[3].clone()
    query = OfVectors(vectors_Ne).query(torch.tensor([5, 3]))
    scores_QN = query.scores(0, 4097)
    assert len(scores_QN[0, twins].unique()) == 1
    items_Qk, _ = top_k(query, 3, None)
    assert items_Qk[1].tolist() == twins.tolist()


@pytest.mark.parametrize("name", RECIPES)
def test_every_model_has_vectors_or_counts(name: str) -> None:
    alike = alikeness_of(outcome(name).model, outcome(name).prepared.log.sequences)
    assert alike.by == ("histories" if name in ("popularity", "co-occurrence") else "vectors")
    scores_QN = alike.query(torch.arange(ITEMS)).scores(0, ITEMS)
    torch.testing.assert_close(scores_QN.diagonal(), torch.ones_like(scores_QN.diagonal()))
    assert float(scores_QN.max()) <= 1 + 1e-5


def test_a_bias_has_no_part_in_how_alike_items_are() -> None:
    model = outcome("caser").model  # whose output table has a column of biases
    assert model.item_vectors().shape[1] == model.items.output_table().shape[1] - 1


def test_a_model_that_counts_needs_histories() -> None:
    scorer = Popularity().learn(HISTORIES)
    with pytest.raises(DataError, match="counts and has no vectors of items, and the run was stored without its users"):
        alikeness_of(scorer, None)
