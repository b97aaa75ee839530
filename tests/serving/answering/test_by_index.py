"""Answers by an index beside exact ones: the same lists, and the same filters."""

from typing import Any

import pytest
import torch

from nextitem.serving.indexed.index import ItemIndex
from nextitem.serving.question import Answer, Question, Terms
from nextitem.serving.recommender import Recommender
from worlds.vectors import ITEMS, index_with, recommender

ASKED = [("i3",), ("i9", "i5"), ("i400", "i401", "i402")]


def both(*, added: int = 0, retired: tuple[int, ...] = (), **terms: Any) -> list[tuple[Answer, Answer]]:
    """(exact, by the index) after several histories."""
    questions = [Question(history, k=10, terms=Terms(**terms)) for history in ASKED]
    exact = recommender(None, added, retired).answer(questions)
    return [*zip(exact, recommender(index_with(breadth=256), added, retired).answer(questions), strict=True)]


def items(answer: Answer) -> list[object]:
    return [one.item for one in answer]


class Counted:
    """An index that tells how often it was asked, and for how many items."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, index: ItemIndex) -> None:
        self.counts: list[int] = []
        nearest = type(index.cells).nearest

        def told(cells: Any, vectors_Ce: torch.Tensor, count: int, entered: int) -> torch.Tensor:
            self.counts.append(count)
            return nearest(cells, vectors_Ce, count, entered)

        monkeypatch.setattr(type(index.cells), "nearest", told)


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"hide": "nothing"},
        {"where": "kind=common"},
        {"where": "kind=rare"},
        {"exclude": ["i5", "i7", "i12"]},
        {"candidates": [f"i{item}" for item in range(0, ITEMS, 2)]},
        {"limits": {"kind": 6}},
    ],
)
def test_lists_are_the_exact_ones_whatever_the_terms(terms: dict[str, Any]) -> None:
    for exact, found in both(**terms):
        assert items(found) == items(exact)
        assert [one.score for one in found] == pytest.approx([one.score for one in exact])
        assert (found.filtered, found.cursor, found.source) == (exact.filtered, exact.cursor, "model")


def test_retired_items_are_never_listed_and_added_ones_always_may_be() -> None:
    best = [one.item for one in both()[1][0]][:3]
    retired = tuple(int(str(item)[1:]) for item in best)
    for exact, found in both(retired=retired, added=4):
        assert items(found) == items(exact)
        assert not {*best} & {*items(found)}
    assert {f"i{ITEMS + place}" for place in range(4)} <= {*items(both(added=4)[1][1])}


def test_few_that_may_be_listed_are_scored_exactly_and_pages_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    by_index, exact = recommender(index_with()), recommender()
    counted = Counted(monkeypatch, index_with())
    narrow = Question(("i3",), terms=Terms(candidates=["i1", "i2", "i900"]))
    assert items(by_index.answer([narrow])[0]) == items(exact.answer([narrow])[0])
    assert counted.counts == []  # a score of all takes no longer
    pages: list[list[object]] = []
    for one in (by_index, exact):
        cursor, seen = None, list[object]()
        for _ in range(3):
            answer = one.answer([Question(("i3",), k=4, terms=Terms(cursor=cursor))])[0]
            seen, cursor = [*seen, *items(answer)], answer.cursor
        pages.append(seen)
    assert pages[0] == pages[1]
    assert len({*pages[0]}) == 12
    assert counted.counts


def test_an_index_looks_wider_where_terms_leave_a_list_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_with(breadth=16)
    counted = Counted(monkeypatch, index)
    first = recommender(index).answer([Question(("i3",), k=1)])[0].items[0].item
    by_it = Question(("i3",), k=1, terms=Terms(exclude=[first, *(f"i{item}" for item in range(3, 1_000))]))
    assert items(recommender(index).answer([by_it])[0]) == items(recommender().answer([by_it])[0])
    assert max(counted.counts) <= index.most


def test_many_questions_are_one_search_and_who_knows_nothing_gets_what_is_popular() -> None:
    questions = [Question(history) for history in (*ASKED, ())]
    found, exact = recommender(index_with()).answer(questions), recommender().answer(questions)
    assert [one.source for one in found] == ["model"] * 3 + ["popularity"]
    assert [items(one) for one in found] == [items(one) for one in exact]


def test_lists_of_many_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_with()
    counted = Counted(monkeypatch, index)
    with_index: Recommender = recommender(index)
    assert with_index.recommend([["i3"]]) == recommender().recommend([["i3"]])
    assert counted.counts == []
