"""What several models say on average, beside the same in float64 by hand. C cases, M members, N items."""

from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor, tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import DataError
from nextitem.experiment.combined import mean
from nextitem.experiment.combined.mean import Average, MeanQuery
from worlds.tables import table

FIRST = [[2.0, 0.0, -1.0, 0.5], [0.1, 0.2, 0.3, 0.4]]
SECOND = [[-1.0, 3.0, 0.0, 0.5], [5.0, 0.0, 0.0, -5.0]]


def asked(average: Average) -> MeanQuery:
    return MeanQuery([table(FIRST), table(SECOND)], average)


def by_hand(average: Average) -> Tensor:
    scores_MCN = tensor([FIRST, SECOND], dtype=torch.float64)
    if average == "log_probability":
        return scores_MCN.mean(0)
    return scores_MCN.softmax(2).sum(0).log()


each_average = pytest.mark.parametrize("average", ["log_probability", "probability"])


@each_average
def test_scores_are_the_mean_of_the_members(average: Average, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mean, "_TILE_ITEMS", 3)  # the sweep has several tiles
    query, wanted_CN = asked(average), by_hand(average)
    assert (len(query), query.number_of_items) == (2, 4)
    for start, stop in ((0, 4), (1, 3), (3, 4)):
        torch.testing.assert_close(query.scores(start, stop).double(), wanted_CN[:, start:stop], atol=1e-6, rtol=0)
    ids_CK = tensor([[3, 0], [1, 1]])
    torch.testing.assert_close(query.candidate_scores(ids_CK).double(), wanted_CN.gather(1, ids_CK), atol=1e-6, rtol=0)


@each_average
def test_some_of_the_histories_have_the_same_scores_alone(average: Average) -> None:
    query = asked(average)
    before = query.select(tensor([1])).scores(0, 4)
    whole = query.scores(0, 4)
    assert torch.equal(before[0], whole[1])
    assert torch.equal(query.select(tensor([1])).scores(0, 4)[0], whole[1])  # what is known by now is handed on
    assert torch.equal(asked(average).scores(0, 4), whole)  # and nothing was overwritten


def test_log_probabilities_order_items_as_scores_do() -> None:
    logs_CN = tensor([FIRST, SECOND], dtype=torch.float64).log_softmax(2).mean(0)
    assert torch.equal(logs_CN.argsort(1), by_hand("log_probability").argsort(1))


def test_who_is_sure_is_heard_more_where_probabilities_are_averaged() -> None:
    sure, unsure = table([[0.0, 6.0, 3.0]]), table([[0.0, -9.0, 0.0]])
    assert MeanQuery([sure, unsure], "log_probability").scores(0, 3).argmax(1) == 2
    assert MeanQuery([sure, unsure], "probability").scores(0, 3).argmax(1) == 1


class Member:
    """Makes new items of their features, or not."""

    def __init__(self, has_map: bool) -> None:
        self.has_map = has_map

    def rows_of(self, *_: object) -> dict[str, Tensor] | None:
        return {"ids": torch.zeros(1, 2)} if self.has_map else None


def test_new_items_are_made_by_the_maps_of_all_members_or_of_none() -> None:
    none = ItemFeatures.none(pl.Series("item", [1]))

    def rows(*has_map: bool) -> object:
        members: Any = [Member(one) for one in has_map]
        return mean.MeanScorer(members, tensor([1, 1]), "probability").rows_of(none, tensor([1]), none)

    assert rows(False, False) is None
    assert set(rows(True, True)) == {"0.ids", "1.ids"}  # type: ignore[call-overload]
    with pytest.raises(DataError, match="1 of 2 members make their items of features"):
        rows(True, False)
