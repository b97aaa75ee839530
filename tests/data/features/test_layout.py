"""Features laid out for models: a row per item, missing values said by masks, statistics of training items alone."""

import polars as pl
import pytest
import torch

from nextitem.data.features.layout import category_bags, category_matrix, item_vectors, standardised
from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ConfigurationError, DataError

FEATURES = ItemFeatures(
    pl.DataFrame(
        {
            "item": [1, 2, 3, 4],
            "genre": pl.Series([["war", "art", "war"], None, [], ["sea"]], dtype=pl.List(pl.String)),
            "brand": pl.Series([["art"], ["zoo"], None, ["art"]], dtype=pl.List(pl.String)),
            "year": [1990.0, 2010.0, None, 5000.0],
            "price": [3.0, 3.0, 3.0, 3.0],
            "look": pl.Series([[0.5, 1.0], None, [0.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2)),
        }
    )
)


def test_a_word_of_two_columns_is_two_categories() -> None:
    bags = category_bags(FEATURES)
    assert bags.vocabulary.rows() == [
        ("genre", "art"), ("genre", "sea"), ("genre", "war"), ("brand", "art"), ("brand", "zoo"),
    ]  # fmt: skip
    assert bags.offsets.tolist() == [0, 3, 4, 4, 6]
    assert bags.categories_P.tolist() == [0, 2, 3, 4, 1, 3]


def test_an_item_without_categories_is_not_one_of_which_nothing_is_known() -> None:
    bags = category_bags(FEATURES, ["genre"])
    assert bags.is_missing_NF[:, 0].tolist() == [False, True, False, False]
    assert bags.offsets.diff().tolist() == [2, 0, 0, 1]


def test_products_of_rows_count_what_items_have_in_common() -> None:
    matrix_NV = category_matrix(FEATURES)
    rows = matrix_NV.index_select(0, torch.tensor([0, 3])).to_dense()
    assert (rows @ rows.T).tolist() == [[3, 1], [1, 2]]
    assert matrix_NV.is_coalesced()


def test_without_columns_of_categories_there_are_none() -> None:
    assert category_matrix(ItemFeatures.none(pl.Series("item", [1, 2]))).shape == (2, 0)


def test_numbers_are_standardised_by_the_items_of_training() -> None:
    numbers = standardised(FEATURES, torch.tensor([9, 1, 5, 0]))
    assert numbers.names == ("year", "price")
    assert (numbers.means_F.tolist(), numbers.deviations_F.tolist()) == ([2000, 3], [10, 1])
    assert numbers.values_NF.tolist() == [[-1, 0], [1, 0], [0, 0], [300, 0]]
    assert numbers.is_missing_NF[:, 0].tolist() == [False, False, True, False]


def test_numbers_that_no_item_of_training_has_are_as_they_are() -> None:
    assert standardised(FEATURES, torch.tensor([0, 0, 1, 0]), ["year"]).values_NF[0, 0] == 1990


@pytest.mark.parametrize("numbers", [[1.0, 2.0, 1e300], [-1e308, 1e308, 0.0]])
def test_numbers_that_are_not_finite_once_they_are_standardised_are_refused(numbers: list[float]) -> None:
    features = ItemFeatures(pl.DataFrame({"item": [1, 2, 3], "price": numbers}))
    with pytest.raises(DataError, match=r"the numbers in 'price' are too far apart .* to 1e\+30[08]; correct them"):
        standardised(features, torch.tensor([1, 1, 0]))


def test_without_columns_of_numbers_there_are_none() -> None:
    assert standardised(ItemFeatures.none(pl.Series("item", [1, 2])), torch.ones(2)).values_NF.shape == (2, 0)


def test_a_missing_vector_is_zero_and_said_to_be_missing() -> None:
    found = item_vectors(FEATURES, "look")
    assert found.values_Nd.tolist() == [[0.5, 1], [0, 0], [0, 2], [3, 4]]
    assert found.is_missing_N.tolist() == [False, True, False, False]


def test_a_column_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no column of vectors 'lok' .*; did you mean 'look'\?"):
        item_vectors(FEATURES, "lok")
    with pytest.raises(ConfigurationError, match="no column of categories 'year'"):
        category_bags(FEATURES, ["year"])
