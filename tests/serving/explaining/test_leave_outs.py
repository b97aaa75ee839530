"""What each item of a history does to the score of another."""

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.evaluation.ranks import top_k
from nextitem.evaluation.scoring import Scorer
from nextitem.model.baselines.popularity import PopularityScorer
from nextitem.model.baselines.sparse import Entries, SparseQuery
from nextitem.serving.explaining.leave_outs import leave_outs, without_each
from nextitem.serving.explaining.steps import finished
from worlds.small_runs import FOR_KNOWN_USERS, ITEMS, RECIPES, chains, outcome

EVERYTHING = torch.ones(ITEMS, dtype=torch.bool)
POPULAR = PopularityScorer(torch.arange(ITEMS).double())


class Sums:
    """Item i scores by the sum of weights of what is in the history: an effect of each item that can be read off."""

    def __init__(self, weights_NN: Tensor) -> None:
        self.weights_NN = weights_NN
        self.asked = 0

    def query(self, histories: Sequences) -> SparseQuery:
        self.asked += 1
        assert bool((histories.lengths_U > 0).all())  # nobody asks a model about nothing
        rows, items = histories.flatten()
        scores_CN = (
            torch.zeros(len(histories), len(self.weights_NN))
            .double()
            .index_add_(0, rows, self.weights_NN[items].double())
        )
        places = torch.arange(scores_CN.numel())
        entries = Entries(places // len(self.weights_NN), places % len(self.weights_NN), scores_CN.flatten())
        return SparseQuery(torch.zeros(len(self.weights_NN)).double(), histories, lambda _: entries)


def history_of(*items: int) -> Sequences:
    return Sequences.of([list(items)], ITEMS)


def test_the_change_is_what_the_item_gave_and_all_is_asked_at_once() -> None:
    weights_NN = torch.zeros(ITEMS, ITEMS)
    weights_NN[1, 5], weights_NN[2, 5], weights_NN[3, 6] = 4.0, -1.5, 2.0
    scorer = Sums(weights_NN)
    found = finished(leave_outs(scorer, POPULAR, history_of(1, 2, 3, 1), torch.tensor([5, 6]), EVERYTHING, latest=10))
    assert found.items_D.tolist() == [1, 3, 2]  # the newest first
    assert found.score_X.tolist() == [2 * 4.0 - 1.5, 2.0]
    assert found.change_DX.tolist() == [[8.0, 0.0], [0.0, 2.0], [-1.5, 0.0]]
    assert found.rank_X.tolist() == [1, 2]
    # Without 1, item 5 has less than all; without 3, item 6 is below 5 and ties with the five items before 5.
    assert found.rank_DX.tolist() == [[ITEMS, 1], [1, 1 + 5 + 1], [1, 2]]
    assert scorer.asked == 1


def test_the_latest_different_items_are_left_out_and_no_others() -> None:
    scorer = Sums(torch.eye(ITEMS))
    found = finished(leave_outs(scorer, POPULAR, history_of(4, 1, 2, 3), torch.tensor([4]), EVERYTHING, latest=2))
    assert found.items_D.tolist() == [3, 2]


def test_where_nothing_is_left_the_fallback_answers_and_no_change_is_told() -> None:
    found = finished(
        leave_outs(Sums(torch.eye(ITEMS)), POPULAR, history_of(2, 2), torch.tensor([2, 11]), EVERYTHING, latest=5)
    )
    assert bool(found.change_DX.isnan().all())
    assert found.rank_DX.tolist() == [[10, 1]]  # by popularity, which is the number of the item


def test_without_any_history_the_fallback_is_asked() -> None:
    found = finished(
        leave_outs(Sums(torch.eye(ITEMS)), POPULAR, history_of(), torch.tensor([11, 10]), EVERYTHING, latest=5)
    )
    assert found.rank_X.tolist() == [1, 2]
    assert found.change_DX.shape == (0, 2)


def test_ranks_are_places_in_the_list_of_what_may_be_recommended() -> None:
    scorer, history, may_N = Sums(torch.eye(ITEMS)), history_of(7, 3), EVERYTHING.clone()
    may_N[[0, 1, 3]] = False
    items_Ck, _ = top_k(scorer.query(history), ITEMS, None, may_N.nonzero()[:, 0])
    listed = items_Ck[0, : int(may_N.sum())]
    found = finished(leave_outs(scorer, POPULAR, history, listed, may_N, latest=0))
    assert found.rank_X.tolist() == [*range(1, len(listed) + 1)]
    hidden = finished(leave_outs(scorer, POPULAR, history, torch.tensor([3]), may_N, latest=0))
    assert hidden.rank_X.tolist() == [1]  # would stand first, as its score ties with that of 7 and 3 comes before it


def test_times_and_user_stay_with_the_events_that_are_left() -> None:
    history = Sequences.of([[3, 1, 3, 2]], 4, [[10.0, 20.0, 30.0, 40.0]]).select(torch.tensor([0]))
    versions = without_each(history, torch.tensor([2, 3]))
    assert versions.tolist() == [[3, 1, 3, 2], [3, 1, 3], [1, 2]]
    assert versions.times().tolist() == [10, 20, 30, 40, 10, 20, 30, 20, 40]
    assert versions.users_U.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", RECIPES)
def test_every_model_can_be_asked_and_agrees_with_asking_one_by_one(name: str) -> None:
    scorer: Scorer = outcome(name).model
    history = outcome(name).prepared.log.sequences.select(torch.tensor([4]))
    items_X = torch.tensor([0, 5, 11])
    found = finished(leave_outs(scorer, POPULAR, history, items_X, EVERYTHING, latest=ITEMS))
    items = chains()[4]
    assert found.items_D.tolist() == items[::-1]
    for change_X, item in zip(found.change_DX, found.items_D.tolist(), strict=True):
        rest = Sequences.of([[one for one in items if one != item]], ITEMS)
        rest.users_U[0] = 4
        alone_X = scorer.query(rest).scores(0, ITEMS)[0, items_X].double()
        torch.testing.assert_close(change_X, found.score_X - alone_X, atol=2e-5, rtol=0)
    if name == "popularity":
        assert not bool(found.change_DX.any())
    elif name not in FOR_KNOWN_USERS:
        assert bool(found.change_DX.any())
