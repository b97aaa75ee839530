"""Which column of a table of items holds what, by name, by number, by a usual name."""

import pytest

from nextitem.data.features.columns import FeatureColumns
from nextitem.data.features.finding import Taken, find_columns
from nextitem.errors import DataError


def found(*header: str, of_events: str | None = None, **asked: object) -> Taken:
    return find_columns("items.csv", header, FeatureColumns(**asked), of_events)


def test_usual_names_are_found_and_everything_else_is_not_read() -> None:
    taken = found("movieId", "Title", "genres", "price", "Release Year", "plot", "embedding")
    assert (taken.id, taken.title, taken.categories) == ("movieId", "Title", {"genres": "pipe"})
    assert taken.numbers == ("price", "Release Year")
    assert taken.unread == ("plot", "embedding")


def test_the_column_is_called_as_that_of_the_events_else_as_usual_else_id() -> None:
    assert found("sku", "ean", "name", of_events="ean").id == "ean"
    assert found("id", "sku", "name", of_events="ean").id == "sku"
    assert found("id", "name").id == "id"


def test_of_several_titles_its_own_word_is_taken() -> None:
    assert found("id", "name", "title").title == "title"
    assert found("id", "name", "title").unread == ("name",)


def test_types_of_recbole_say_how_categories_are_divided() -> None:
    taken = found("item_id:token", "movie_title:token_seq", "class:token_seq", "brand:token")
    assert taken.categories == {"class:token_seq": "space", "brand:token": "pipe"}
    assert found("item_id:token", "class:token_seq", categories=("class:comma",)).categories == {
        "class:token_seq": "comma"
    }


def test_named_columns_take_the_place_of_usual_ones() -> None:
    taken = found("id", "genre", "kind", "year", categories=("kind:comma",), numbers=(), title="genre")
    assert (taken.title, taken.categories, taken.numbers) == ("genre", {"kind": "comma"}, ())
    assert taken.found == set()


def test_columns_go_by_number() -> None:
    taken = found("1", "2", "3", id="1", title="2", categories=("3:space",))
    assert (taken.id, taken.title, taken.categories) == ("1", "2", {"3": "space"})


def test_what_was_taken_is_told() -> None:
    taken = found("id", "title", "genre", "brand", "look", vectors=("look",))
    assert taken.note(["genre", "brand"]) == (
        "ids in 'id', titles in 'title', categories in 'genre' (divided by pipe) and 'brand' (divided by pipe), "
        "vectors in 'look'"
    )
    assert taken.without(["title", "genre"]).note([]) == (
        "ids in 'id', categories in 'brand', vectors in 'look'; not read: title, genre"
    )
    assert "'genre' (one each)" in found("id", "genre", categories=("genre:whole",)).note(["genre"])


@pytest.mark.parametrize(
    ("header", "asked", "fact"),
    [
        (
            ["name", "year"],
            {},
            "items.csv: no column has a usual name for ids of items; known: name, year; name the one",
        ),
        (
            ["sku", "asin"],
            {},
            "'sku' and 'asin' could hold the ids; name the one that holds the ids by features.columns.id",
        ),
        (["17", "Heat"], {}, "of a file without a header give columns by number, such as --item-columns id=1,title=2"),
        (["id", "plot"], {}, "no column but 'id', the ids, has a usual name (id, plot); say what others hold, such as"),
        (["id", "name"], {"title": "nam"}, "there is no column 'nam'; did you mean 'name'?"),
        (["id", "name"], {"title": "3"}, "there is no column '3'"),
        (["id", "name"], {"title": "name", "texts": ("name",)}, "'name' is named for title and for texts"),
        (["id", "year"], {"numbers": ("year", "year")}, "'year' is named twice for numbers"),
        (["id", "title", "x:token", "x:float"], {"texts": ("x:token", "x:float")}, "would be called as a feature, 'x'"),
        (["id", "item:token"], {"id": "id", "texts": ("item:token",)}, "as what every table of features has, 'item'"),
        (["id", "year", "year"], {}, "two columns are called 'year'"),
    ],
)
def test_what_cannot_be_found_is_refused(header: list[str], asked: dict[str, object], fact: str) -> None:
    with pytest.raises(DataError) as refused:
        found(*header, **asked)
    assert fact in str(refused.value)
