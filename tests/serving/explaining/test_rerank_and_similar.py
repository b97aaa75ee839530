"""Given items in the model's order, and items that are like others. The small log has items i00 … i11."""

from dataclasses import replace

import pytest
import torch

from nextitem.errors import DataError
from nextitem.model.model import SequenceModel
from nextitem.serving.question import Question, Terms
from nextitem.serving.recommender import Recommender
from worlds.small_runs import FOR_KNOWN_USERS, ITEMS, RECIPES, chains, outcome

ALL = [f"i{item:02}" for item in range(ITEMS)]
HISTORY = ["i02", "i03", "i04"]


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.from_outcome(outcome("sasrec-ce"))


@pytest.mark.parametrize("name", RECIPES)
def test_all_given_items_come_back_in_the_order_of_the_model(name: str) -> None:
    recommender = Recommender.from_outcome(outcome(name))
    user = {"user": "u03"} if name in FOR_KNOWN_USERS else {"history": HISTORY}
    (free,) = recommender.answer([Question(**user, k=ITEMS, terms=Terms(hide="nothing"))])
    found = recommender.rerank(Question(**user), ["i11", "i03", "i00", "i03"])
    assert [one.item for one in found] == [one.item for one in free if one.item in ("i11", "i03", "i00")]
    scores = {one.item: one.score for one in free}
    assert [one.score for one in found] == pytest.approx([scores[one.item] for one in found], abs=1e-5)
    assert found.filtered == {}


def test_what_the_terms_name_is_left_out_and_counted(recommender: Recommender) -> None:
    terms = Terms(hide="history", exclude=["i11"])
    found = recommender.rerank(Question(HISTORY, terms=terms), ALL)
    assert {one.item for one in found} == set(ALL) - {*HISTORY, "i11"}
    assert found.filtered == {"seen": 3, "excluded": 1}


def test_unknown_items_are_named_or_refused(recommender: Recommender) -> None:
    found = recommender.rerank(Question(HISTORY), ["zz", "i05"])
    assert ([one.item for one in found], found.unknown) == (["i05"], ("zz",))
    with pytest.raises(DataError, match="item 'zz' is not among the 12 items"):
        recommender.rerank(Question(HISTORY, terms=Terms(unknown="error")), ["zz", "i05"])
    assert recommender.rerank(Question(HISTORY), []).items == ()


def test_after_nothing_that_is_known_popularity_decides(recommender: Recommender) -> None:
    found = recommender.rerank(Question([]), ALL)
    trained = [item for history in chains() for item in history[:-2]]
    assert [one.item for one in found] == sorted(ALL, key=lambda item: -trained.count(int(item[1:])))
    assert found.source == "popularity"


@pytest.mark.parametrize("name", RECIPES)
def test_every_model_has_similar_items_with_titles_and_never_the_item_itself(name: str) -> None:
    recommender = Recommender.from_outcome(outcome(name))
    first, second = recommender.similar_items(["i01", "i00"], ITEMS)
    assert "i01" not in [one.item for one in first]
    assert [one.score for one in first] == sorted((one.score for one in first), reverse=True)
    assert {one.item: one.title for one in first}["i00"] == "The First"
    assert {one.item: one.score for one in second}["i01"] == pytest.approx(
        {one.item: one.score for one in first}["i00"], abs=1e-6
    )


def test_counted_items_are_alike_by_the_histories_that_hold_both() -> None:
    (found,) = Recommender.from_outcome(outcome("popularity")).similar_items(["i00"], 1)
    holding = {item: {user for user, history in enumerate(chains()) if item in history} for item in range(ITEMS)}
    cosines = {
        item: len(holding[item] & holding[0]) / (len(holding[item]) * len(holding[0])) ** 0.5
        for item in range(1, ITEMS)
    }
    assert found[0].score == pytest.approx(max(cosines.values()))
    assert found[0].by == "histories"


def test_twins_are_listed_first_with_a_cosine_of_1(recommender: Recommender) -> None:
    model = recommender.known.scorer
    assert isinstance(model, SequenceModel)
    before = model.items.weight_Nd.detach().clone()
    try:
        with torch.no_grad():
            model.items.weight_Nd[[3, 7]] = model.items.weight_Nd[5].clone()
        twinned = Recommender(replace(recommender.known))
        (found,) = twinned.similar_items(["i05"], 3)
    finally:
        with torch.no_grad():
            model.items.weight_Nd.copy_(before)
    assert [one.item for one in found[:2]] == ["i03", "i07"]
    assert found[0].score == found[1].score == pytest.approx(1)


def test_similar_items_are_narrowed_as_lists_are(recommender: Recommender) -> None:
    (found,) = recommender.similar_items(["i00"], candidates=["i00", "i01", "i02", "i03"], exclude=["i02"])
    assert {one.item for one in found} == {"i01", "i03"}
    (titled,) = recommender.similar_items(["i05"], where="title=The First")
    assert [one.item for one in titled] == ["i00"]


def test_items_without_a_training_event_are_in_no_list_and_have_none(recommender: Recommender) -> None:
    counts_N = recommender.known.counts_N.clone()
    counts_N[4] = 0
    other = Recommender(replace(recommender.known, counts_N=counts_N))
    (found,) = other.similar_items(["i00"], ITEMS)
    assert {one.item for one in found} == set(ALL) - {"i00", "i04"}
    with pytest.raises(DataError, match="item 'i04' has no training event, and its vector was never learnt"):
        other.similar_items(["i00", "i04"])


def test_an_unknown_item_is_refused_or_has_no_list(recommender: Recommender) -> None:
    with pytest.raises(DataError, match="item 'zz' is not among the 12 items that the model knows"):
        recommender.similar_items(["zz"])
    assert [len(ones) for ones in recommender.similar_items(["zz", "i00"], 2, unknown="drop")] == [0, 2]


def test_a_model_that_counts_without_stored_histories_says_why_it_cannot() -> None:
    known = replace(Recommender.from_outcome(outcome("popularity")).known, users=None, histories=None)
    with pytest.raises(DataError, match="counts and has no vectors of items"):
        Recommender(known).similar_items(["i00"])


def test_cold_items_are_listed_and_marked(recommender: Recommender) -> None:
    counts_N, is_cold_N = recommender.known.counts_N.clone(), torch.zeros(ITEMS, dtype=torch.bool)
    counts_N[4], is_cold_N[4] = 0, True
    other = Recommender(replace(recommender.known, counts_N=counts_N, is_cold_N=is_cold_N))
    (found,) = other.similar_items(["i00"], ITEMS)
    assert [one.item for one in found if one.is_cold] == ["i04"]
    assert [one.is_cold for one in other.explain(Question(HISTORY), ["i04", "i05"]).items] == [True, False]
