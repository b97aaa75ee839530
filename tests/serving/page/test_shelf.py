"""Items as the page shows and finds them."""

import polars as pl
import pytest
from torch import tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.serving.page.shelf import Shelf, folded, ordinal

TABLE = pl.DataFrame(
    {
        "item": [7, 8, 9, 10],
        "title": ["Amélie", "Alien", "Aliens", None],
        "genre": [["romance", "comedy"], ["horror"], ["horror", "action"], None],
        "year": [2001.0, 1979.0, 1986.0, None],
    }
)
SHELF = Shelf(ItemFeatures(TABLE), tensor([5, 9, 3, 0]))


def test_a_card_says_what_is_known_of_an_item() -> None:
    card = SHELF.card(7)
    assert (card.id, card.title, card.note) == ("7", "Amélie", "2001 · romance · comedy")
    assert card.popularity == "5 training events, 2nd of 4 in popularity"


def test_a_number_that_the_title_tells_already_is_not_told_again() -> None:
    shelf = Shelf(ItemFeatures(TABLE.with_columns(title=pl.lit("Alien (1979)"))), tensor([1, 1, 1, 1]))
    assert shelf.card(8).note == "horror"


def test_an_item_without_a_title_is_called_by_its_id() -> None:
    card = SHELF.card(10)
    assert (card.title, card.titled, card.note, card.level) == ("10", False, "", 0)
    assert card.popularity == "in no training history"


def test_an_item_that_is_not_there_is_shown_all_the_same() -> None:
    assert SHELF.raw("404") is None
    assert SHELF.card("404").popularity == "not in the catalogue"


def test_addresses_name_items_by_text_and_models_by_raw_id() -> None:
    assert SHELF.raw("8") == 8


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("alien", [8, 9]),
        ("ALIENS", [9]),
        ("amelie", [7]),
        ("li", [8, 7, 9]),
        ("10", [10]),
        ("alien horror", []),
        ("  ", []),
    ],
)
def test_items_are_found_by_their_titles_whatever_accents_and_case(words: str, found: list[int]) -> None:
    assert SHELF.found(words, 9) == (found, len(found))


def test_only_as_many_are_listed_as_asked_for_and_all_are_counted() -> None:
    assert SHELF.found("li", 1) == ([8], 3)


def test_what_was_retired_is_not_offered_and_still_has_a_card() -> None:
    shelf = Shelf(ItemFeatures(TABLE), tensor([5, 9, 3, 0]), tensor([False, True, False, False]))
    assert (shelf.found("alien", 9), shelf.popular(2)) == (([9], 1), [7, 9])
    assert shelf.card(8).title == "Alien"


def test_popular_items_come_in_order_and_by_category() -> None:
    assert SHELF.popular(2) == [8, 7]
    assert SHELF.popular(9, "horror") == [8, 9]


def test_what_narrows_is_found_in_the_features() -> None:
    [choice], [span] = SHELF.choices, SHELF.spans
    assert (choice.key, choice.name, choice.words) == ("in", "genre", ["action", "comedy", "horror", "romance"])
    assert (span.least_key, span.most_key, span.name) == ("from", "to", "year")
    assert (span.least, span.most) == ("1979", "2001")
    assert SHELF.where([("in", "action"), ("from", "1980"), ("in.year", "no column of words")]) == {
        "genre": ["action"],
        "year": {">=": 1980.0},
    }
    assert (SHELF.limits(2), SHELF.limits(0)) == ({"genre": 2}, {})


def test_a_catalogue_of_bare_ids_has_nothing_to_narrow_by() -> None:
    shelf = Shelf(ItemFeatures.none(pl.Series(["a", "b"])), tensor([1, 2]))
    assert (shelf.choices, shelf.spans, shelf.examples, shelf.category_name) == ([], [], [], "")
    assert (shelf.where([("in", "action")]), shelf.limits(2)) == (None, {})
    assert shelf.card("a").title == "a"


def test_examples_are_popular_items_of_a_category_and_of_nobody() -> None:
    many = 60
    table = pl.DataFrame({"item": range(many), "genre": [["odd"] if n % 2 else ["even"] for n in range(many)]})
    shelf = Shelf(ItemFeatures(table), tensor(range(many, 0, -1)))
    assert shelf.examples == [("even", [0, 2, 4, 6]), ("odd", [1, 3, 5, 7])]


@pytest.mark.parametrize(
    ("number", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (112, "112th"), (1021, "1,021st")]
)
def test_places_are_told_as_people_say_them(number: int, word: str) -> None:
    assert ordinal(number) == word


def test_signs_and_marks_do_not_count_in_a_search() -> None:
    assert folded("  L’Été — (1996)!") == "l ete 1996"
