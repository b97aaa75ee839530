"""What a recommender is asked with. The small log of small_runs.py has items i00 … i11 and users u00 … u29."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from nextitem.errors import ConfigurationError, DataError
from nextitem.model.baselines.popularity import PopularityScorer
from nextitem.serving.known import Known
from nextitem.serving.question import Recommendation
from nextitem.serving.recommender import Recommender
from worlds.small_runs import FOR_KNOWN_USERS, ITEMS, chains, outcome

ALL_ITEMS = [f"i{item:02}" for item in range(ITEMS)]
HISTORIES = [[f"i{item:02}" for item in history] for history in chains()]
each_model_for_known_users = pytest.mark.parametrize("name", FOR_KNOWN_USERS)


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.from_outcome(outcome("sasrec-ce"))


def items(lists: list[list[Recommendation]]) -> list[list[str | int]]:
    return [[one.item for one in ones] for ones in lists]


LISTS_OF_USERS = {
    "generator": lambda: (user for user in ("u00", "u07")),
    "iterator": lambda: iter(["u00", "u07"]),
    "tuple": lambda: ("u00", "u07"),
    "keys": lambda: {"u00": 1, "u07": 2}.keys(),
    "numpy": lambda: np.array(["u00", "u07"]),
    "polars": lambda: pl.Series(["u00", "u07"]),
    "frame": lambda: pl.DataFrame({"user": ["u00", "u07"]}),
}


@pytest.mark.parametrize("kind", LISTS_OF_USERS)
def test_users_are_asked_for_by_whatever_is_a_list(kind: str, recommender: Recommender) -> None:
    assert recommender.recommend(users=LISTS_OF_USERS[kind]()) == recommender.recommend(users=["u00", "u07"])


def test_histories_are_whatever_are_lists_of_ids(recommender: Recommender) -> None:
    expected = recommender.recommend([["i01", "i02"], ["i03", "i04"]])
    for given in (
        (iter(history) for history in (["i01", "i02"], ["i03", "i04"])),
        np.array([["i01", "i02"], ["i03", "i04"]]),
        pl.Series([["i01", "i02"], ["i03", "i04"]]),
        [np.array(["i01", "i02"]), pl.Series(["i03", "i04"])],
    ):
        assert recommender.recommend(given) == expected


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"users": "12"}, r"users='12' is a text, where a list is meant; write users=\['12'\]"),
        ({"histories": ["12", "34"]}, r"histories\[0\]='12' is a text, where a list is meant"),
        ({"histories": "i01"}, "histories='i01' is a text"),
        ({"users": {"u00": 1}}, "users is <dict>, where a list is meant; give its keys or its values"),
        ({"users": {"u00"}}, "users is <set>, which has no order"),
        ({"users": 7}, "users=7 is one value"),
        ({"users": ["u00"], "k": "3"}, "k='3': the number of recommendations must be a whole number"),
        ({"users": ["u00"], "k": True}, "k=True: the number of recommendations must be a whole number"),
        ({"users": ["u00"], "k": 3.0}, r"k=3\.0: the number of recommendations must be a whole number"),
        ({"users": ["u00"], "k": None}, "k=None: the number of recommendations must be a whole number"),
        ({"users": ["u00"], "candidates": "i01"}, "candidates='i01' is a text"),
        ({"users": ["u00"], "exclude": "i01"}, "exclude='i01' is a text"),
        ({"users": ["u00"], "hide": "no"}, "hide='no' should be history, nothing, or last:n"),
        ({"users": ["u00"], "hide": False}, "hide=False should be history, nothing, or last:n"),
        ({"users": ["u00"], "unknown": "dorp"}, "unknown='dorp': did you mean 'drop'"),
        ({"histories": [["i01"]], "users": ["u00"], "histories_only": 1}, "histories_only=1 should be True or False"),
    ],
)
def test_what_is_not_meant_is_refused_by_its_name(
    asked: dict[str, Any], message: str, recommender: Recommender
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        recommender.recommend(**asked)


def test_a_number_of_another_library_is_a_k(recommender: Recommender) -> None:
    expected = recommender.recommend(users=["u00"], k=3)
    assert recommender.recommend(users=["u00"], k=np.int64(3)) == expected  # type: ignore[arg-type]
    assert recommender.recommend(users=["u00"], k=torch.tensor(3)) == expected  # type: ignore[arg-type]


def test_events_of_a_known_user_go_on_from_the_stored_history(recommender: Recommender) -> None:
    ((*found,),) = recommender.recommend([["i03"]], k=ITEMS, users=["u00"])
    assert [found] == recommender.recommend([[*HISTORIES[0], "i03"]], k=ITEMS)
    assert not {one.item for one in found} & {*HISTORIES[0], "i03"}
    alone = recommender.recommend([["i03"]], k=ITEMS, users=["u00"], histories_only=True)
    assert alone == recommender.recommend([["i03"]], k=ITEMS)


def test_events_of_a_user_that_is_new_stand_alone(recommender: Recommender) -> None:
    lists = items(recommender.recommend([["i03"], []], users=["nobody", "u01"]))
    assert lists == items([*recommender.recommend([["i03"]]), *recommender.recommend(users=["u01"])])


def test_users_and_their_events_are_as_many(recommender: Recommender) -> None:
    with pytest.raises(DataError, match="2 users and 1 histories; give each user one history of new events"):
        recommender.recommend([["i03"]], users=["u00", "u01"])


@each_model_for_known_users
def test_a_model_with_user_vectors_goes_on_from_known_users(name: str) -> None:
    asked = Recommender.from_outcome(outcome(name))
    ((*found,),) = items(asked.recommend([["i03"]], k=ITEMS, users=["u00"]))
    assert sorted(found) == sorted({*ALL_ITEMS} - {*HISTORIES[0], "i03"})
    assert items(asked.recommend([["i03"]], k=ITEMS, users=["u00"], histories_only=True))


def test_unknown_users_can_be_left_without_a_list(recommender: Recommender) -> None:
    lists = items(recommender.recommend(users=["u00", "u99", "u01"], unknown="drop"))
    one, other = items(recommender.recommend(users=["u00", "u01"]))
    assert lists == [one, [], other]


def test_nothing_that_is_excluded_is_recommended(recommender: Recommender) -> None:
    ((*everything,),) = items(recommender.recommend([["i00"]], k=ITEMS))
    out = set(everything[:3])
    for given in (out, list(out), iter(out), pl.Series(sorted(out))):
        assert items(recommender.recommend([["i00"]], k=ITEMS, exclude=given)) == [everything[3:]]
    both = recommender.recommend([["i00"]], k=ITEMS, candidates=everything[2:5], exclude=out)
    assert items(both) == [everything[3:5]]
    with pytest.raises(DataError, match="'i99'"):
        recommender.recommend([["i00"]], exclude=["i99"])
    assert items(recommender.recommend([["i00"]], k=ITEMS, exclude=["i99"], unknown="drop")) == [everything]


def test_popular_items_are_excluded_too(recommender: Recommender) -> None:
    ((first, *others),) = items(recommender.recommend([[]], k=ITEMS))
    assert items(recommender.recommend([[]], k=ITEMS, exclude=[first])) == [others]


def test_an_item_that_scores_minus_infinity_is_never_listed(recommender: Recommender) -> None:
    scores_N = torch.arange(ITEMS, dtype=torch.float64)
    scores_N[3] = -torch.inf
    asked = Recommender(Known(PopularityScorer(scores_N), recommender.known.features, torch.ones(ITEMS)))
    ((*found,),) = items(asked.recommend([["i05"]], k=ITEMS, hide="nothing"))
    assert found == [item for item in reversed(ALL_ITEMS) if item != "i03"]


@pytest.mark.parametrize("given", [None, "runs", 3])
def test_what_is_no_outcome_and_no_run_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"outcome=.* should be an Outcome; run\(…\) returns one"):
        Recommender.from_outcome(given)
    with pytest.raises(ConfigurationError, match=r"run=.* should be a Run; read_run\(folder\) returns one"):
        Recommender.from_run(given)
