"""Conditions on the columns of items, from a text or a mapping."""

from typing import Any

import pytest

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ConfigurationError
from nextitem.serving.narrowing.where import Condition, conditions, fulfilled
from nextitem.serving.question import Question, Terms
from worlds.shop import FEATURES, FILMS, shop


def films(where: Any) -> list[str]:
    return [film for film, is_in in zip(FILMS, fulfilled(conditions(where), FEATURES).tolist(), strict=True) if is_in]


@pytest.mark.parametrize(
    ("text", "mapping", "expected"),
    [
        ("genres=Comedy", {"genres": "Comedy"}, ["brazil", "elf", "fargo"]),
        ("genres=Horror|Crime", {"genres": ["Horror", "Crime"]}, ["alien", "fargo"]),
        ("genres!=Comedy", {"genres": {"!=": "Comedy"}}, ["alien", "casablanca", "duel", "gattaca"]),
        ("genres!=Comedy|Drama", {"genres": {"!=": ("Comedy", "Drama")}}, ["alien", "duel"]),
        ("year<1979", {"year": {"<": 1979}}, ["casablanca", "duel"]),
        ("year<=1979", {"year": {"<=": 1979}}, ["alien", "casablanca", "duel"]),
        ("year >= 1985 , year < 1997", {"year": {">=": 1985, "<": 1997.0}}, ["brazil", "fargo"]),
        ("year=1979|2003", {"year": [1979, 2003]}, ["alien", "elf"]),
        ("year!=1979", {"year": {"!=": 1979}}, ["brazil", "casablanca", "duel", "elf", "fargo", "gattaca"]),
        ("genres=Sci-Fi,genres=Drama", {"genres": {"=": "Drama"}, "year": 1997}, ["gattaca"]),
        ('maker="Warner, Bros"', {"maker": "Warner, Bros"}, ["casablanca", "heat"]),
        ('maker="Warner, Bros"|Fox, year<2000', {"maker": ["Fox", "Warner, Bros"], "year": {"<": 2000}},
         ["alien", "casablanca"]),
        ("maker!=Universal", {"maker": {"!=": "Universal"}}, ["alien", "casablanca", "fargo", "gattaca", "heat"]),
        ("title=Duel", {"title": "Duel"}, ["duel"]),
        ("year>3000", {"year": {">": 3000}}, []),
    ],
)  # fmt: skip
def test_a_text_and_a_mapping_say_the_same(text: str, mapping: dict[str, object], expected: list[str]) -> None:
    assert films(text) == expected
    assert films(mapping) == expected


def test_an_item_of_which_a_value_is_not_known_fulfils_no_condition_on_it() -> None:
    assert "heat" not in films("genres=Comedy") + films("genres!=Comedy") + films("year<9999") + films("year!=1")
    assert "elf" not in films("maker=Fox") + films("maker!=Fox")


def test_quotes_and_signs_in_names_and_values() -> None:
    asked = conditions(r'"in, stock"=1, "a \"b\""="c=d|e", x=y=z')
    assert asked == (
        Condition("in, stock", "=", ("1",)), Condition('a "b"', "=", ("c=d|e",)), Condition("x", "=", ("y=z",)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("genre=Comedy", r"have no column 'genre'; did you mean 'genres'\? Known: genres, year, maker, title. "
         r"They have genres \(categories\), year \(a number\), maker \(a text\), title \(a text\); what else "
         r".* --item-columns texts=genre$"),
        ("genres=comedy", r"has genres 'comedy'; did you mean 'Comedy'\? The 6 values of genres: Comedy, Sci"),
        ("genres=Musical", r"no item has genres 'Musical'. The 6 values of genres: "),
        ("maker=Foxx", r"no item has maker 'Foxx'; did you mean 'Fox'\?"),
        ("year=cheap", r"year is a number \(known are 1942 to 2003\), and 'cheap' is none"),
        ("year<1980|1990", r"year<1980\|1990 compares with 2 numbers; give one"),
        ("genres<3", r"genres<3 compares genres, which is categories; only numbers are more or less: year"),
        ("maker>A", "compares maker, which is a text"),
        ("genres", "'genres' is no condition; write COLUMN=VALUE"),
        ("genres=", "'genres=' is no condition"),
        ("year<1990,,year>3", "',year>3' is no condition"),
        ('maker="Fox', "is no condition"),
        ("", "where='' names no condition"),
        ({}, "names no condition"),
        (7, "where=7 should be a text such as genres=Comedy,price<20 or a mapping"),
        ({"year": {"~": 3}}, r"where\['year'\]: '~' is none of = != <= >= < >"),
        ({"year": None}, r"where\['year'\]=None is one value, where a list is meant"),
        ({"genres": [None]}, r"where\['genres'\]: None is no value; give texts or numbers"),
        ({"genres": []}, r"genres= has no value; give at least one"),
    ],
)  # fmt: skip
def test_what_cannot_be_fulfilled_is_told_with_columns_types_and_values(where: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        films(where)


def test_of_items_without_columns_nothing_can_be_asked() -> None:
    with pytest.raises(ConfigurationError, match=r"nothing is known of the items beside their ids, so that year=1979"):
        fulfilled(conditions("year=1979"), ItemFeatures.none(FEATURES.table["item"]))


def test_an_answer_holds_what_fulfils_the_conditions_and_counts_the_others() -> None:
    model, nobody = shop().answer(
        [Question(("brazil",), k=9, terms=Terms(where="genres=Comedy")), Question(terms=Terms(where="genres=Comedy"))]
    )
    assert [(one.item, one.title, one.source) for one in model] == [
        ("elf", "Elf", "model"),
        ("fargo", "Fargo", "model"),
    ]
    assert model.filtered == {"where": 5, "seen": 1}
    assert [(one.item, one.score) for one in nobody] == [("fargo", 6.0), ("elf", 5.0), ("brazil", 2.0)]
    assert (nobody.source, nobody.filtered) == ("popularity", {"where": 5})
