"""What is said of a table of items: settings, and the two short forms of them."""

import pandas as pd
import pytest

from nextitem.data.features.columns import NO_FEATURES, FeatureColumns, Features, parse_item_columns
from nextitem.errors import ConfigurationError
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.settings.keys import settings_of


def test_columns_that_may_be_several_are_named_several_times() -> None:
    found = parse_item_columns("title=movie_title, categories=class:space,categories=brand,unusable=missing")
    assert found == FeatureColumns(title="movie_title", categories=("class:space", "brand"), unusable="missing")


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("titel=name", "'titel' is no role of a column; did you mean 'title'?"),
        ("title=a,title=b", "title is given twice"),
        ("title=", "title has no name"),
        ("numbers", "numbers has no name"),
        ("unusable=drop", "unusable"),
    ],
)
def test_another_form_is_refused(text: str, fact: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_item_columns(text)
    assert fact in str(refused.value)


def test_one_column_may_be_named_without_a_list() -> None:
    assert FeatureColumns(categories="genre").categories == ("genre",)
    assert load_recipe("sasrec-ce", "items=a.csv", "features.columns.numbers=year").features.columns.numbers == (
        "year",
    )
    assert load_recipe("sasrec-ce", "items=a.csv", "features.columns.numbers=[]").features.columns.numbers == ()
    with pytest.raises(ConfigurationError, match="should name columns, and one of them is empty"):
        FeatureColumns(categories=("",))


def test_a_frame_is_no_file() -> None:
    with pytest.raises(
        ConfigurationError, match=r"not a frame \(of item, title\); give a frame by prepare\(recipe, it"
    ):
        Features(file=pd.DataFrame({"item": [1], "title": ["a"]}))


def test_without_a_word_nothing_is_known() -> None:
    assert Recipe().features == NO_FEATURES == Features()


@pytest.mark.parametrize("path", ["movies.csv", "./movies", "data/movies", "..\\movies", "~/movies.csv"])
def test_a_path_is_the_file_of_features_whatever_kind_the_items_are(path: str) -> None:
    recipe = load_recipe("sasrec-ce", f"items={path}", "items=separate")
    assert settings_of(recipe)["items.name"] == "separate"
    assert str(recipe.features.file).endswith(path.removeprefix("~/"))


def test_a_word_is_a_kind_of_items() -> None:
    assert load_recipe("sasrec-ce", "items=tied").features == NO_FEATURES
    with pytest.raises(
        ConfigurationError, match=r"did you mean 'tied'\? .*, or the path of a file, as movies.csv or \./"
    ):
        load_recipe("sasrec-ce", "items=tide")
    with pytest.raises(ConfigurationError, match="items is given two values"):
        load_recipe("sasrec-ce", "items=a.csv", "items=b.csv")


def test_a_recipe_in_a_file_may_name_the_table_in_short(tmp_path: object) -> None:
    file = tmp_path / "own.toml"  # type: ignore[operator]
    file.write_text('items = "movies.csv"\nmodel = "popularity"\n')
    assert load_recipe(str(file)).features.file == "movies.csv"


def test_a_baseline_has_features_too() -> None:
    assert load_recipe("popularity", "items=movies.csv").features.file == "movies.csv"
