"""Lists whose items differ, and lists with no more than some of each category."""

import numpy as np
import pytest

from nextitem.errors import ConfigurationError
from nextitem.serving.narrowing.picking import Limit, picked
from nextitem.serving.question import Answer, Question, Terms
from worlds.shop import shop, with_retired

# Relevance of the scores 10, 9, 8, 6, 5 is 1, 0.8, 0.6, 0.2, 0. Items 0, 1, 2 are alike, and 3, 4 are.
SCORES = [10.0, 9.0, 8.0, 6.0, 5.0]
ALIKE = np.array(
    [
        [1.0, 0.9, 0.5, 0.0, 0.1],
        [0.9, 1.0, 0.4, 0.0, 0.0],
        [0.5, 0.4, 1.0, 0.2, 0.0],
        [0.0, 0.0, 0.2, 1.0, 0.9],
        [0.1, 0.0, 0.0, 0.9, 1.0],
    ]
)


def places(diversity: float, k: int = 5) -> list[int]:
    return picked(range(5), SCORES, k, diversity, lambda items: ALIKE[np.ix_(items, items)]).places


def test_by_hand() -> None:
    """With diversity 0.5: first item 0. Then 1: .4 − .45 = −.05; 2: .3 − .25 = .05; 3: .1 − 0 = .1; 4: 0 − .05. So 3.
    Then 1: −.05; 2: .3 − .25 = .05 (nearest is 0, not 3); 4: 0 − .45. So 2. Then 1: −.05; 4: −.45. So 1, and 4.
    """
    assert places(0.5) == [0, 3, 2, 1, 4]
    assert places(0.5, k=2) == [0, 3]


def test_without_diversity_the_best_are_taken_and_with_nothing_else_the_least_alike() -> None:
    assert places(0.0) == [0, 1, 2, 3, 4]
    # 1: −.9, 2: −.5, 3: 0, 4: −.1, so 3. Then 1: −.9, 2: −.5, 4: −.9, so 2. Then 1 and 4 tie: the better one.
    assert places(1.0) == [0, 3, 2, 1, 4]


def test_equal_scores_are_all_as_relevant_as_the_best() -> None:
    assert picked([0, 1], [3.0, 3.0], 2, 0.5, lambda items: np.eye(2)).places == [0, 1]
    assert picked([], [], 3, 0.5, lambda items: np.eye(0)).places == []


def test_an_item_counts_for_all_of_its_categories_and_none_without() -> None:
    categories = [("a", "b"), ("a",), ("b", "c"), (), ("c",), ()]
    found = picked(range(6), [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 4, limits=[Limit(1, categories)])
    assert found.places == [0, 3, 4, 5]
    assert found.passed_over == 2


def ids(answer: Answer) -> list[object]:
    return [one.item for one in answer]


def test_a_list_holds_no_more_of_a_category_than_its_limit() -> None:
    (answer,) = shop().answer([Question(("heat",), k=4, terms=Terms(limits={"genres": 1}))])
    # alien has Sci-Fi, so that brazil is out; then come casablanca with Drama, duel with Thriller, elf with Comedy.
    assert ids(answer) == ["alien", "casablanca", "duel", "elf"]
    assert answer.filtered == {"seen": 1, "limit": 1}
    (answer,) = shop().answer([Question(("heat",), k=8, terms=Terms(limits={"genres": 1, "maker": 1}))])
    assert ids(answer) == ["alien", "casablanca", "duel", "elf"]
    assert answer.filtered == {"seen": 1, "limit": 3}


def test_a_list_of_diversity_is_picked_by_the_vectors_of_the_model() -> None:
    vectors = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    plain, diverse = shop(vectors=vectors).answer(
        [Question(("heat",), k=2), Question(("heat",), k=2, terms=Terms(diversity=0.6))]
    )
    assert (ids(plain), ids(diverse)) == (["alien", "brazil"], ["alien", "duel"])


def test_retired_items_are_counted_first() -> None:
    (answer,) = with_retired(shop(), "alien", "elf").answer(
        [Question(("alien", "duel"), k=9, terms=Terms(where="year<1990", exclude=("elf", "brazil")))]
    )
    assert ids(answer) == ["casablanca"]
    assert answer.filtered == {"retired": 2, "where": 3, "excluded": 1, "seen": 1}


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (Terms(diversity=1.5), r"diversity=1\.5: the weight of likeness must be from 0 to 1"),
        (Terms(diversity=float("nan")), "diversity=nan: the weight of likeness must be a finite number"),
        (Terms(limits={"genre": 1}), r"limits: the items have no column 'genre' of categories or texts; did you mean"),
        (Terms(limits={"year": 1}), "no column 'year' of categories or texts; known: genres, maker"),
        (Terms(limits={"genres": 0}), r"limits\['genres'\]=0: the number of items of a category must be at least 1"),
        (Terms(limits=2), r"limits=2 should be a mapping of columns to numbers"),  # type: ignore[arg-type]
    ],
)
def test_terms_that_mean_nothing_are_refused(terms: Terms, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        shop().understood(Question(("heat",), terms=terms))
