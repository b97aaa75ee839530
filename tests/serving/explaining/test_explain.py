"""Why an answer is what it is. The small log of small_runs.py has items i00 … i11; only i00 has a title."""

from dataclasses import replace

import pytest
import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog
from nextitem.errors import ConfigurationError, DataError
from nextitem.model.baselines.popularity import PopularityScorer
from nextitem.serving.known import Known
from nextitem.serving.question import Question, Terms
from nextitem.serving.recommender import Recommender
from worlds.small_runs import FOR_KNOWN_USERS, ITEMS, RECIPES, chains, outcome

HISTORY = ["i02", "i03", "i04"]
each_model = pytest.mark.parametrize("name", RECIPES)


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.from_outcome(outcome("sasrec-ce"))


def question_of(name: str, k: int = 4) -> Question:
    return Question(user="u03", k=k) if name in FOR_KNOWN_USERS else Question(HISTORY, k=k)


@each_model
def test_every_model_explains_its_list(name: str) -> None:
    recommender = Recommender.from_outcome(outcome(name))
    question = question_of(name)
    found = recommender.explain(question)
    (answer,) = recommender.answer([question])
    assert [one.item for one in found.answer] == [one.item for one in answer] == [one.item for one in found.items]
    assert [one.rank for one in found.items] == [1, 2, 3, 4]
    for one, listed in zip(found.items, answer, strict=True):
        assert one.score == pytest.approx(listed.score, abs=1e-5)
        assert {carrier.item for carrier in one.carriers} == set(found.history)
        changes = [carrier.change for carrier in one.carriers]
        assert changes == sorted(changes, reverse=True)
    assert found.goes_by_history == (name != "popularity")
    assert not found.is_fallback


def test_a_carrier_tells_what_is_lost_without_it(recommender: Recommender) -> None:
    found = recommender.explain(Question(HISTORY, k=3))
    for carrier in found.items[0].carriers:
        rest = [item for item in HISTORY if item != carrier.item]
        terms = Terms(exclude=[carrier.item])  # it stays hidden
        (alone,) = recommender.answer([Question(rest, k=ITEMS, terms=terms)])
        items = [one.item for one in alone]
        assert items[carrier.rank - 1] == found.items[0].item
        assert carrier.change == pytest.approx(found.items[0].score - alone.items[carrier.rank - 1].score, abs=1e-5)


def test_co_occurrence_goes_by_the_last_item_alone() -> None:
    found = Recommender.from_outcome(outcome("co-occurrence")).explain(Question(HISTORY, k=1))
    carriers = found.items[0].carriers
    assert carriers[0].item == "i04"
    assert carriers[0].change > 0
    assert [one.change for one in carriers[1:]] == [0, 0]


def test_an_item_is_explained_with_its_popularity_and_why_it_is_not_listed(recommender: Recommender) -> None:
    trained = [item for history in chains() for item in history[:-2]]
    terms = Terms(exclude=["i05"], candidates=["i00", "i04", "i05"])
    found = recommender.explain(Question(HISTORY, k=2, terms=terms), ["i00", "i04", "i05", "i06"])
    assert [one.item for one in found.answer] == ["i00"]
    assert [one.filtered for one in found.items] == [None, "seen", "excluded", "not a candidate"]
    assert [one.title for one in found.items] == ["The First", None, None, None]
    assert [one.events for one in found.items] == [trained.count(item) for item in (0, 4, 5, 6)]
    places = [1 + sum(trained.count(other) > trained.count(item) for other in range(ITEMS)) for item in (0, 4, 5, 6)]
    assert [one.popularity for one in found.items] == places


def test_what_would_be_listed_is_named_with_its_reason(recommender: Recommender) -> None:
    (free,) = recommender.answer([Question(HISTORY, k=ITEMS, terms=Terms(hide="nothing"))])
    best = free.items[0].item
    found = recommender.explain(Question(HISTORY, k=3, terms=Terms(hide="nothing", exclude=[best])))
    assert [(one.item, one.reason) for one in found.filtered] == [(best, "excluded")]
    seen = recommender.explain(Question(HISTORY, k=9))
    above = [one.item for one in free if one.item in HISTORY]
    assert {one.reason for one in seen.filtered} <= {"seen"}
    assert {one.item for one in seen.filtered} <= set(above)


def test_nothing_known_of_a_history_is_a_fallback_without_carriers(recommender: Recommender) -> None:
    found = recommender.explain(Question([], k=2))
    assert found.is_fallback
    assert found.history == ()
    assert all(one.carriers == () for one in found.items)


def test_without_the_only_item_no_score_compares(recommender: Recommender) -> None:
    (one,) = recommender.explain(Question(["i03"], k=1)).items
    assert [carrier.change for carrier in one.carriers] == [None]
    popular = [item.item for item in recommender.answer([Question([], k=ITEMS, terms=Terms(exclude=["i03"]))])[0]]
    assert popular[one.carriers[0].rank - 1] == one.item


def test_no_more_items_are_left_out_than_asked_for_and_the_latest_are(recommender: Recommender) -> None:
    found = recommender.explain(Question(HISTORY, k=1), latest=2)
    assert {carrier.item for carrier in found.items[0].carriers} == {"i03", "i04"}
    assert found.untried == 1


def test_what_if_shows_the_list_after_another_history(recommender: Recommender) -> None:
    found = recommender.explain(Question(HISTORY, k=4), without=["i04"], added=["i09"])
    terms = Terms(exclude=["i04"])  # what is taken out is listed no more than before
    (expected,) = recommender.answer([Question(["i02", "i03", "i09"], k=4, terms=terms)])
    assert found.what_if is not None
    after = [one.item for one in found.what_if.answer]
    assert after == [one.item for one in expected]
    before = [one.item for one in found.answer]
    assert found.what_if.came == tuple(item for item in after if item not in before)
    assert found.what_if.went == tuple(item for item in before if item not in after)
    assert recommender.explain(Question(HISTORY)).what_if is None


def test_a_stored_history_is_changed_as_a_given_one(recommender: Recommender) -> None:
    stored = [f"i{item:02}" for item in chains()[3]]
    found = recommender.explain(Question(user="u03", k=3), without=stored[-1:])
    given = recommender.explain(Question(stored, k=3), without=stored[-1:])
    assert found.history == tuple(stored)
    assert [one.item for one in found.what_if.answer] == [one.item for one in given.what_if.answer]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"items": ["zz"]}, "item 'zz' is not among the 12 items that the model knows, so there is nothing to explain"),
        ({"without": ["i09"]}, "item 'i09' is not in the history of 3 events, so it cannot be taken out of it"),
        ({"added": ["I09"]}, r"item 'I09' is not among the 12 items .* \(did you mean 'i09'\?\)"),
    ],
)
def test_what_cannot_be_explained_is_said(recommender: Recommender, words: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        recommender.explain(Question(HISTORY), **words)


def test_arguments_are_checked(recommender: Recommender) -> None:
    with pytest.raises(ConfigurationError, match="latest"):
        recommender.explain(Question(HISTORY), latest=-1)
    with pytest.raises(ConfigurationError, match="items"):
        recommender.explain(Question(HISTORY), "i03")


def test_a_scorer_of_anybody_can_be_explained() -> None:
    """Of equal scores the first items are listed, and each is ranked where it is listed."""
    ids = Catalog(outcome("popularity").prepared.log.items.ids).ids
    known = Known(PopularityScorer(torch.ones(ITEMS).double()), ItemFeatures.none(ids), torch.ones(ITEMS))
    found = Recommender(replace(known, hide="nothing")).explain(Question(["i01", "i05"], k=3))
    assert found.filtered == ()
    assert [(one.item, one.rank) for one in found.items] == [("i00", 1), ("i01", 2), ("i02", 3)]
    assert not found.goes_by_history
