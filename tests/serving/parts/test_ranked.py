"""Lists as arrays are those of one question at a time."""

from dataclasses import replace

import polars as pl
import pytest
import torch

from nextitem.data.log import Catalog
from nextitem.data.sequences import Sequences
from nextitem.serving.narrowing.narrowed import picking_of
from nextitem.serving.parts.ranked import Ranked, Ranker
from nextitem.serving.recommender import Recommender
from worlds.small_runs import outcome


def ranker(recommender: Recommender, k: int, hide: str = "history", allowed: torch.Tensor | None = None) -> Ranker:
    return Ranker(recommender.known, k, hide, allowed)


@pytest.mark.parametrize("name", ["sasrec-ce", "bert4rec", "gru4rec", "popularity", "co-occurrence", "fpmc"])
@pytest.mark.parametrize(("hide", "among"), [("history", None), ("nothing", None), ("last:2", [0, 3, 5, 6, 11])])
def test_lists_of_all_are_those_of_each_asked_alone(name: str, hide: str, among: list[int] | None) -> None:
    recommender = Recommender.from_outcome(outcome(name))
    users = recommender.known_users()
    candidates = None if among is None else [recommender.items.ids[item] for item in among]
    allowed = recommender.allowed(candidates, None)
    histories = recommender.asked(users=users).histories
    ranked = ranker(recommender, 4, hide, allowed).ranked(histories)
    table = ranked.table(pl.Series(users), recommender.items, None)
    for user in users:
        (alone,) = recommender.recommend(users=[user], k=4, hide=hide, candidates=candidates)
        found = table.filter(pl.col("user") == user)
        assert found["item"].to_list() == [one.item for one in alone]
        assert found["score"].to_list() == pytest.approx([one.score for one in alone], rel=1e-5, abs=1e-6)
        assert found["rank"].to_list() == [*range(1, len(alone) + 1)]
        assert set(found["source"]) <= {one.source for one in alone}


@pytest.mark.parametrize("name", ["sasrec-ce", "co-occurrence"])
def test_lists_of_items_that_differ_are_those_of_each_asked_alone(name: str) -> None:
    recommender = Recommender.from_outcome(outcome(name))
    users = recommender.known_users()
    histories = recommender.asked(users=users).histories
    picking = picking_of(recommender.known, 0.6, {})
    ranked = replace(ranker(recommender, 5), picking=picking).ranked(histories)
    table = ranked.table(pl.Series(users), recommender.items, None)
    alone = recommender.recommend(users=users, k=5, diversity=0.6)
    assert table["item"].to_list() == [one.item for ones in alone for one in ones]
    assert table["score"].to_list() == pytest.approx([one.score for ones in alone for one in ones], rel=1e-5, abs=1e-6)
    assert not torch.equal(ranked.items_Ck, ranker(recommender, 5).ranked(histories).items_Ck)


def test_whoever_has_no_history_gets_what_is_popular_in_their_place() -> None:
    recommender = Recommender.from_outcome(outcome("sasrec-ce"))
    histories = Sequences.of([[], [3, 4], [], [5, 6, 7]], 12)
    ranked = ranker(recommender, 3).ranked(histories)
    assert ranked.is_popular_C.tolist() == [True, False, True, False]
    best = recommender.recommend([[], ["i03", "i04"]], k=3)
    assert recommender.items.raw(ranked.items_Ck[2]).to_list() == [one.item for one in best[0]]
    assert recommender.items.raw(ranked.items_Ck[1]).to_list() == [one.item for one in best[1]]


def test_nobody_has_no_lists() -> None:
    ranked = ranker(Recommender.from_outcome(outcome("sasrec-ce")), 3).ranked(Sequences.of([], 12))
    assert (ranked.items_Ck.shape, ranked.lengths_C.tolist()) == ((0, 3), [])


def test_a_short_list_has_fewer_rows_and_titles_stand_beside_items() -> None:
    ranked = Ranked(
        torch.tensor([[2, 0], [1, -1], [-1, -1]]), torch.tensor([[2.0, 1], [3, 0], [0, 0]]), torch.zeros(3) > 0
    )
    table = ranked.table(pl.Series([7, 8, 9]), Catalog(pl.Series(["a", "b", "c"])), pl.Series([None, "B", "C"]))
    assert table.to_dicts() == [
        {"user": 7, "rank": 1, "item": "c", "score": 2.0, "source": "model", "title": "C"},
        {"user": 7, "rank": 2, "item": "a", "score": 1.0, "source": "model", "title": None},
        {"user": 8, "rank": 1, "item": "b", "score": 3.0, "source": "model", "title": "B"},
    ]


def test_threads_change_nothing() -> None:
    recommender = Recommender.from_outcome(outcome("sasrec-ce"))
    histories = recommender.asked(users=recommender.known_users() * 40).histories
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(ranker(recommender, 5).ranked(histories))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0].items_Ck, found[1].items_Ck)
    assert torch.equal(found[0].scores_Ck, found[1].scores_Ck)
