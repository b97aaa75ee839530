"""What a target is ranked against, as one noun."""

import pytest
import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError
from nextitem.evaluation.ranking import FULL, Ranking

CASES = Cases.of(Sequences.of([[0, 1], [2]], 6), tensor([2, 3]), torch.ones(6, dtype=torch.int64))


def test_a_full_ranking_is_of_the_whole_catalogue_and_hides_the_history() -> None:
    assert Ranking() == FULL
    assert (str(FULL), FULL.label, FULL.size(6)) == ("full", "", 6)
    assert FULL.seen(CASES.histories) is CASES.histories
    assert FULL.draw(CASES) is None


def test_among_candidates_a_target_is_one_more_than_they_are() -> None:
    ranking = Ranking.among("popularity:3", seed=7)
    assert (str(ranking), ranking.label, ranking.size(6)) == ("popularity:3, seed 7", "[pop3]", 4)
    drawn_CK = ranking.draw(CASES)
    assert drawn_CK is not None
    assert drawn_CK.shape == (2, 3)
    assert not {*drawn_CK[0].tolist()} & {0, 1, 2}  # its history, and its target


def test_where_nothing_is_hidden_a_seen_item_may_be_drawn() -> None:
    ranking = Ranking(hidden="nothing", candidates=Ranking.among("uniform:5").candidates)
    assert ranking.seen(CASES.histories) is None
    drawn_CK = ranking.draw(CASES)
    assert drawn_CK is not None
    assert [sorted(row) for row in drawn_CK.tolist()] == [[0, 1, 3, 4, 5], [0, 1, 2, 4, 5]]  # all but the target


def test_candidates_of_no_known_kind_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="candidates '100' are of no known kind; write popularity:K"):
        Ranking.among("100")
