"""Stored histories and given events as one. Items are i00 … i11, and a stored history is that of its user."""

from typing import Any

import polars as pl
import pytest
import torch

from nextitem.data.log import Catalog
from nextitem.data.sequences import NOBODY, Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.serving.answering.asked import Asked, Given, continued, given_alone, of_stored

ITEMS = Catalog(pl.Series([f"i{item:02}" for item in range(12)]))
STORED = Sequences.of([[0, 1, 2], [5, 6]], len(ITEMS))
TIMED = Sequences.of([[0, 1, 2], [5, 6]], len(ITEMS), [[10, 20, 30], [100, 200]])


def given(histories: Any, times: Any = None) -> Given:
    return Given.of(histories, times, ITEMS)


def found(asked: Asked) -> list[list[int]]:
    return asked.histories.tolist()


def test_given_events_come_after_the_stored_ones_of_their_user() -> None:
    asked = continued(given([["i07"], ["i07"], ["i08"]]), torch.tensor([1, NOBODY, 0]), STORED)
    assert found(asked) == [[5, 6, 7], [7], [0, 1, 2, 8]]
    assert asked.histories.users_U.tolist() == [1, NOBODY, 0]
    assert (asked.continued, asked.contained) == (2, 0)


def test_an_export_of_all_events_is_not_counted_twice() -> None:
    asked = continued(given([["i00", "i01", "i02", "i03"], ["i05", "i06"]]), torch.tensor([0, 1]), STORED)
    assert found(asked) == [[0, 1, 2, 3], [5, 6]]
    assert (asked.continued, asked.contained) == (2, 2)


def test_an_item_that_comes_again_is_another_event() -> None:
    asked = continued(given([["i02", "i00"]]), torch.tensor([0]), STORED)
    assert found(asked) == [[0, 1, 2, 2, 0]]


def test_nothing_new_leaves_the_stored_history() -> None:
    assert found(continued(given([[]]), torch.tensor([1]), STORED)) == [[5, 6]]


def test_where_both_have_times_events_stand_in_their_order() -> None:
    asked = continued(given([["i07", "i08", "i09"]], [[15, 30, 31.5]]), torch.tensor([0]), TIMED)
    assert found(asked) == [[0, 7, 1, 2, 8, 9]]
    assert asked.histories.events.times is not None
    assert asked.histories.events.times.tolist() == [10, 15, 20, 30, 30, 31.5]
    assert (asked.put_before, asked.again) == (1, 0)


def test_an_event_with_item_and_time_of_a_stored_one_is_that_event() -> None:
    asked = continued(given([["i01", "i02", "i01"]], [[20, 30, 40]]), torch.tensor([0]), TIMED)
    assert found(asked) == [[0, 1, 2, 1]]
    assert (asked.again, asked.put_before) == (2, 0)


def test_times_of_given_events_say_nothing_where_none_are_stored() -> None:
    asked = continued(given([["i07"]], [[1]]), torch.tensor([0]), STORED)
    assert found(asked) == [[0, 1, 2, 7]]
    assert asked.histories.events.times is None


def test_given_events_alone_are_of_their_user_all_the_same() -> None:
    asked = given_alone(given([["i07"], []], [[1], []]), torch.tensor([1, NOBODY]), len(ITEMS))
    assert found(asked) == [[7], []]
    assert asked.histories.users_U.tolist() == [1, NOBODY]
    assert asked.is_unknown_C.tolist() == [False, False]


def test_stored_histories_are_those_of_the_users_and_empty_of_nobody() -> None:
    asked = of_stored(torch.tensor([1, NOBODY, 0, 1]), STORED)
    assert found(asked) == [[5, 6], [], [0, 1, 2], [5, 6]]
    assert asked.is_unknown_C.tolist() == [False, True, False, False]


def test_unknown_items_are_left_out_with_their_times_and_told() -> None:
    asked = given([["i01", "x", "i02"], ["y"]], [[1, 2, 3], [4]])
    assert (asked.items, asked.seconds) == ([[1, 2], []], [[1, 3], []])
    assert [(one.history, one.place, one.item) for one in asked.unknown] == [(0, 1, "x"), (1, 0, "y")]


def test_an_unknown_item_is_named_with_one_that_is_spelt_alike() -> None:
    with pytest.raises(DataError) as caught:
        given([["i01"], ["i02", "I-3"]]).require_known(Catalog(pl.Series(["i01", "i02", "i3"])))
    assert "item 'I-3' (history 2, event 2) is not among the 3 items that the model knows (did you mean 'i3'?)" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("histories", "times", "kind", "message"),
    [
        ("i01", None, ConfigurationError, r"histories='i01' is a text, where a list is meant"),
        (["i01", "i02"], None, ConfigurationError, r"histories\[0\]='i01' is a text, where a list is meant"),
        ([["i01"], 5], None, ConfigurationError, r"histories\[1\]=5 is one value"),
        ([["i01", 1.5]], None, DataError, r"histories\[0\]\[1\]=1\.5 is no id"),
        ([{"i01", "i02"}], None, ConfigurationError, r"histories\[0\] is <set>, which has no order"),
        (pl.DataFrame({"user": ["a"], "item": ["i01"]}), None, ConfigurationError, "a frame of 2 columns"),
        ([["i01"]], [1], ConfigurationError, r"times\[0\]=1 is one value"),
        ([["i01"]], [["1"]], ConfigurationError, r"times\[0\]\[0\]='1': a time, in unix seconds, must be a finite"),
        ([["i01"]], [[float("nan")]], ConfigurationError, "must be a finite number"),
        ([["i01", "i02"]], [[2, 1]], DataError, r"times\[0\] go back; histories are given oldest event first"),
        ([["i01"], ["i02"]], [[1]], DataError, "of different lengths"),
    ],
)
def test_what_are_no_histories_or_times_is_refused(histories: Any, times: Any, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        given(histories, times)
