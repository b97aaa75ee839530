"""How much of exact lists an index is told to find, and what becomes of one that finds too little."""

from dataclasses import replace

import pytest
import torch

from nextitem.errors import ConfigurationError, DataError
from nextitem.serving import indexing
from nextitem.serving.indexing import Trials
from worlds.shop import shop
from worlds.vectors import ITEMS, USERS, cells, index_with, recommender, table


def trials(k: int = 10) -> Trials:
    return Trials.of(recommender().known, k, queries=40)


def test_recall_is_the_share_of_exact_lists_with_histories_left_out() -> None:
    found = trials()
    assert len(found.query) == 40
    assert all(not {*seen} & {*exact.items} for seen, exact in zip(found.left_out, found.exact, strict=True))
    wide = found.recall(index_with(breadth=256), torch.arange(40))
    assert 0.98 < wide <= 1
    half = replace(found, exact=[replace(one, items=[*one.items[:5], *[0] * 5]) for one in found.exact])
    half = replace(half, exact=[replace(one, scores=[9e9] * 10) for one in half.exact])  # none of its items ties
    assert half.recall(index_with(breadth=256), torch.arange(40)) == pytest.approx(wide / 2, abs=0.02)


def test_items_that_tie_with_the_last_of_a_list_are_as_good() -> None:
    found = trials(k=1)
    other = replace(found, exact=[replace(one, items=[ITEMS - 1]) for one in found.exact])
    assert other.recall(index_with(breadth=256, k=1), torch.arange(40)) > 0.95


def test_the_smallest_breadth_that_suffices_is_taken_and_measured_by_other_lists() -> None:
    facts = trials().measured(index_with(asked=0.9, recall=0.0).facts, cells())
    assert facts.recall >= 0.9
    assert facts.breadth in [10 * times for times in indexing.BREADTHS]
    assert min(facts.exact_ms, facts.index_ms) > 0
    assert trials().measured(index_with(asked=0.1).facts, cells()).breadth == 10 * indexing.BREADTHS[0]


def test_too_little_is_refused_with_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "BREADTHS", (1, 2))
    monkeypatch.setattr(Trials, "recall", lambda *_: 0.97)
    with pytest.raises(ConfigurationError, match=r"finds 0\.9700 .* looks at 20 items .* 1 was asked for; .*--recall"):
        trials().measured(index_with(asked=1.0).facts, cells())
    monkeypatch.setattr(indexing, "BREADTHS", (ITEMS,))
    with pytest.raises(ConfigurationError, match="so few that an index would have to look at all of them"):
        trials(k=20).measured(index_with(k=10).facts, cells())


def test_models_and_runs_that_can_have_none_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="scores are none"):
        indexing.product_table(shop().known)
    with pytest.raises(DataError, match="stored without"):
        Trials.of(replace(recommender().known, users=None, histories=None), 10, 5)
    assert torch.equal(indexing.product_table(recommender().known), table())
    assert len(recommender().known.stored()[0]) == USERS
