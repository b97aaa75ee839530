from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from nextitem.data.interactions import Interactions
from nextitem.data.log import Catalog, index
from nextitem.errors import DataError

Event = tuple[str, str]

events = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("vwxyz")), max_size=30)


def log_of(pairs: list[Event]) -> Interactions:
    users = pl.Series([user for user, _ in pairs], dtype=pl.String)
    return Interactions.from_columns(users, pl.Series([item for _, item in pairs], dtype=pl.String))


# the catalogue


def test_a_catalogue_is_sorted_whatever_came_first() -> None:
    assert Catalog.of(pl.Series(["b", "a", "b", "Z"])).ids.to_list() == ["Z", "a", "b"]
    assert Catalog.of(pl.Series([10, 9, 10])).ids.to_list() == [9, 10]  # numbers by size
    assert Catalog.of(pl.Series(["10", "9"])).ids.to_list() == ["10", "9"]  # text by code point


def test_text_ids_are_never_read_as_numbers() -> None:
    catalog = Catalog.of(pl.Series(["7", "007", "7.0"]))
    assert catalog.ids.to_list() == ["007", "7", "7.0"]
    assert catalog.lookup(pl.Series(["7", "007", "07"])).tolist() == [1, 0, -1]


def test_a_catalogue_of_integers_finds_them_in_text() -> None:
    assert Catalog.of(pl.Series([12, 5])).lookup(pl.Series(["12", "B00X", "5"])).tolist() == [1, -1, 0]


def test_a_missing_id_is_unknown() -> None:
    assert Catalog.of(pl.Series(["a", "b"])).lookup(pl.Series(["b", None])).tolist() == [1, -1]


def test_looking_up_no_ids_gives_no_positions() -> None:
    assert Catalog.of(pl.Series(["a"])).lookup(pl.Series([], dtype=pl.String)).tolist() == []


@given(st.lists(st.text(), min_size=1))
def test_raw_ids_and_positions_are_inverse(ids: list[str]) -> None:
    catalog = Catalog.of(pl.Series(ids))
    assert catalog.raw(catalog.index(pl.Series(ids))).to_list() == ids
    assert len(catalog) == len(set(ids))


def test_raw_flattens_positions() -> None:
    assert Catalog.of(pl.Series(["a", "b", "c"])).raw(tensor([[2, 0], [1, 1]])).to_list() == ["c", "a", "b", "b"]


def test_an_unknown_id_is_named_with_its_place_and_the_remedy() -> None:
    catalog = Catalog.of(pl.Series([str(number) for number in range(1500)]))
    with pytest.raises(DataError) as caught:
        catalog.index(pl.Series(["3", "B00X", "4", "B00Y"]))
    assert str(caught.value) == (
        "item 'B00X' (number 2 of 4) is not among the 1,500 items of this catalogue; "
        "refit with it, or leave it out (2 ids are unknown)"
    )
    with pytest.raises(DataError, match=r"user 'ann' .* 1,500 users"):
        catalog.index(pl.Series(["ann"]), "user")


# columns


def test_columns_of_unequal_length_are_refused_with_their_lengths() -> None:
    with pytest.raises(DataError, match=r"unequal length: \{'user': 2, 'item': 1\}; every event needs a value"):
        Interactions.from_columns(["ann", "bob"], ["x"])


def test_a_missing_value_is_refused_with_its_column_and_row() -> None:
    with pytest.raises(DataError, match=r"column 'item' has 2 missing values, the first in row 2"):
        Interactions.from_columns(["ann", "bob", "eve"], pl.Series(["x", None, None]))
    with pytest.raises(DataError, match=r"column 'time' has 1 missing value, the first in row 1"):
        Interactions.from_columns(["ann", "bob"], ["x", "y"], pl.Series([None, 3]))


def test_a_time_that_is_no_number_is_refused() -> None:
    with pytest.raises(DataError, match=r"column 'time' holds String; times are numbers"):
        Interactions.from_columns(["ann"], ["x"], pl.Series(["2024-01-01"]))
    with pytest.raises(DataError, match=r"column 'time' has 1 missing value, the first in row 2"):
        Interactions.from_columns(["ann", "ann"], ["x", "y"], [1.0, float("nan")])


def test_an_id_beyond_64_signed_bits_is_refused() -> None:
    for beyond in (pl.Series([2**63], dtype=pl.UInt64), [2**63], [2**70], [10**40], [-(2**70)]):
        with pytest.raises(DataError, match=r"column 'item' has integers of 2⁶³ or more, .*; pass all .* as strings"):
            Interactions.from_columns(["ann"], beyond)
    with pytest.raises(DataError, match=r"column 'item' has integers of 2⁶³ or more"):
        Interactions.from_columns(["ann", "bob"], [1, 2**70])


@pytest.mark.parametrize(("ids", "kinds"), [(["a", 1], "int and str"), ([1, 1.5], "float and int")])
def test_ids_of_mixed_kinds_are_refused(ids: list[Any], kinds: str) -> None:
    with pytest.raises(DataError, match=f"^column 'user' has {kinds}, mixed; give all its values as one kind"):
        Interactions.from_columns(ids, ["x", "y"])


def test_times_may_mix_whole_and_other_numbers() -> None:
    log = Interactions.from_columns(["ann", "ann"], ["x", "y"], [2, 1.5])
    assert log.in_time_order()["item"].to_list() == ["y", "x"]
    with pytest.raises(DataError, match="column 'time' holds String; times are numbers"):
        Interactions.from_columns(["ann", "ann"], ["x", "y"], [1.5, "2024"])  # type: ignore[list-item]


def test_an_id_with_leading_zeros_is_not_the_number_without_them() -> None:
    assert Catalog.of(pl.Series([7, 12])).lookup(pl.Series(["007", "12"])).tolist() == [-1, 1]


def test_ids_that_are_neither_text_nor_integers_are_refused() -> None:
    with pytest.raises(DataError, match=r"column 'item' holds Float64; ids are strings or integers"):
        Interactions.from_columns(["ann"], [1.5])  # type: ignore[list-item]


def test_integer_ids_of_any_width_become_one_type() -> None:
    narrow = Interactions.from_columns(pl.Series([1, 2], dtype=pl.UInt8), [7, 7])
    assert narrow.events["user"].dtype == pl.Int64
    assert (len(narrow), narrow.number_of_users, narrow.number_of_items) == (2, 2, 1)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"user": ["ann", None]}, "column 'user' has 1 missing value, the first in row 2"),
        ({"item": [1.5, 2.5]}, "column 'item' holds Float64; ids are strings or integers"),
        ({"item": pl.Series([2**63, 1], dtype=pl.UInt64)}, "column 'item' has integers of 2⁶³ or more"),
        ({"time": [None, 3]}, "column 'time' has 1 missing value, the first in row 1"),
        ({"time": [1.0, float("nan")]}, "column 'time' has 1 missing value, the first in row 2"),
        ({"time": [1.0, float("inf")]}, "column 'time' has 1 missing value, the first in row 2"),
        ({"time": ["2024-01-02", "2024-01-01"]}, "column 'time' holds String; times are numbers"),
        ({"nanoseconds": [0.5, 1.0]}, "column 'nanoseconds' holds Float64; it is in whole numbers"),
    ],
)
def test_a_frame_is_held_to_what_columns_are_held_to(column: dict[str, Any], message: str) -> None:
    frame = pl.DataFrame({"user": ["ann", "ann"], "item": ["x", "y"], "time": [2, 1]} | column)
    with pytest.raises(DataError, match=message):
        Interactions(frame)


def test_integers_of_a_frame_become_one_type_and_other_columns_stay() -> None:
    columns = {"user": [1, 2], "price": [1.5, None], "item": [7, 7]}
    frame = pl.DataFrame(columns, {"user": pl.Int16, "price": pl.Float32, "item": pl.UInt8})
    assert Interactions(frame).events.schema == {"user": pl.Int64, "price": pl.Float32, "item": pl.Int64}


# order in time


def test_events_are_sorted_by_time_and_ties_keep_file_order() -> None:
    log = Interactions.from_columns(["b", "a", "b", "b", "a"], ["p", "q", "r", "s", "t"], [5, 9, 5, 1, 2])
    assert log.in_time_order()["item"].to_list() == ["t", "q", "s", "p", "r"]
    assert log.tied_events == 2  # p and r, both of b at 5


def test_events_without_times_keep_file_order_and_none_is_tied() -> None:
    log = Interactions.from_columns(["b", "a", "b"], ["p", "q", "r"])
    assert log.in_time_order()["item"].to_list() == ["q", "p", "r"]
    assert log.tied_events == 0


def test_one_time_shared_by_two_users_is_no_tie() -> None:
    assert Interactions.from_columns(["a", "b"], ["p", "p"], [5, 5]).tied_events == 0


# indexing


def test_indexing_gives_each_user_a_history_in_time_order() -> None:
    log = index(Interactions.from_columns(["u2", "u1", "u2", "u2"], ["b", "c", "a", "b"], [20, 5, 10, 20]))
    assert log.users.ids.to_list() == ["u1", "u2"]
    assert log.items.ids.to_list() == ["a", "b", "c"]
    assert log.sequences.tolist() == [[2], [0, 1, 1]]
    assert log.sequences.users_U.tolist() == [0, 1]
    assert log.sequences.number_of_items == 3


@given(events.filter(len), st.randoms(use_true_random=False))
def test_indexing_equals_naive_grouping(pairs: list[Event], random) -> None:  # type: ignore[no-untyped-def]
    times = [random.randrange(5) for _ in pairs]
    users, items = sorted({user for user, _ in pairs}), sorted({item for _, item in pairs})
    histories: list[list[int]] = [[] for _ in users]
    for place in sorted(range(len(pairs)), key=times.__getitem__):  # stable: ties keep file order
        histories[users.index(pairs[place][0])].append(items.index(pairs[place][1]))
    log = index(Interactions.from_columns([user for user, _ in pairs], [item for _, item in pairs], times))
    assert log.sequences.tolist() == histories


def test_a_log_without_events_cannot_be_indexed() -> None:
    with pytest.raises(DataError, match=r"the log has no events; give a file"):
        index(log_of([]))


def test_indexing_changes_nothing_of_the_log_it_was_given() -> None:
    log = Interactions.from_columns(["b", "a", "b"], ["x", "y", "x"], [2, 3, 1])
    before = log.events.clone()
    index(log)
    assert log.events.equals(before)


@pytest.mark.parametrize("word", ["NaN", "None", "<NA>", "\\N"])
def test_words_for_missing_values_are_no_ids_in_python_either(word: str) -> None:
    with pytest.raises(DataError) as caught:
        Interactions.from_columns(["ann", word, word], ["x", "y", "z"])
    assert str(caught.value) == (
        f"column 'user' has 2 words for missing values, the first {word!r} in row 2 (rows count from 1); give them, "
        f"drop the rows, or say by missing='ids' that they are ids"
    )
    assert len(Interactions.from_columns(["ann", word], ["x", "y"], missing="ids")) == 2


def test_nanoseconds_order_events_of_one_time() -> None:
    log = Interactions.from_columns(["ann"] * 3, ["x", "y", "z"], [5, 5, 5], nanoseconds=pl.Series([2, 1, 2]))
    assert log.in_time_order()["item"].to_list() == ["y", "x", "z"]
    assert log.tied_events == 2
