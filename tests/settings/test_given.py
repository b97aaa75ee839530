"""What people have where a list, a number, a word or a folder is meant."""

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from nextitem.errors import ConfigurationError
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import (
    column_names,
    listed,
    of_kind,
    path_of,
    real_number,
    seed_number,
    texts,
    whole_number,
    word_of,
    yes_or_no,
)

LISTS: dict[str, Callable[[], Any]] = {
    "list": lambda: [1, 2],
    "tuple": lambda: (1, 2),
    "generator": lambda: (number for number in (1, 2)),
    "iterator": lambda: iter([1, 2]),
    "range": lambda: range(1, 3),
    "keys": lambda: {1: "a", 2: "b"}.keys(),
    "deque": lambda: deque([1, 2]),
    "numpy": lambda: np.array([1, 2]),
    "int8": lambda: np.array([1, 2], dtype=np.int8),
    "strided": lambda: np.array([1, 9, 2])[::2],
    "torch": lambda: torch.tensor([1, 2]),
    "polars": lambda: pl.Series([1, 2]),
    "frame": lambda: pl.DataFrame({"id": [1, 2]}),
}
NO_LISTS = [
    ("12", "is a text, where a list is meant; write users=['12']"),
    (b"12", "is a text, where a list is meant"),
    ({"a": 1}, "where a list is meant; give its keys or its values"),
    (OrderedDict(a=1), "where a list is meant; give its keys or its values"),
    ({1, 2}, "which has no order; give a list, such as sorted(users)"),
    (12, "is one value, where a list is meant; write users=[…]"),
    (None, "is one value, where a list is meant"),
    (True, "is one value, where a list is meant"),
    (np.int64(3), "is one value, where a list is meant"),
    (np.array("12"), "is one value, where a list is meant"),
    (torch.tensor(3), "is one value, where a list is meant"),
    (pl.DataFrame({"a": [1], "b": [2]}), "is a frame of 2 columns ('a', 'b'), where a list is meant; choose one"),
    (pl.DataFrame(), "is a frame of 0 columns (none at all)"),
]


@pytest.mark.parametrize("kind", LISTS)
def test_whatever_is_plainly_a_list_is_one(kind: str) -> None:
    found = listed(LISTS[kind](), "users")
    assert (found, {type(number) for number in found}) == ([1, 2], {int})


@pytest.mark.parametrize(("value", "message"), NO_LISTS, ids=lambda value: type(value).__name__)
def test_what_is_no_list_is_refused_by_its_name(value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^users.*" + re.escape(message)):
        listed(value, "users")


def test_a_set_will_do_where_the_order_does_not_matter() -> None:
    assert sorted(listed({1, 2}, "candidates", ordered=False)) == [1, 2]


def test_arrays_with_rows_are_lists_of_lists() -> None:
    for rows in (np.array([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 4]])):
        assert listed(rows, "histories") == [[1, 2], [3, 4]]


def test_pandas_and_pyarrow_are_understood_where_they_are_installed() -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    numbers = pandas.Series([1, 2], index=["columns", "shape"])
    for values in (numbers, pandas.Index([1, 2]), pandas.DataFrame({"id": [1, 2]}), pyarrow.array([1, 2])):
        assert listed(values, "users") == [1, 2]
    for values in (pyarrow.chunked_array([[1], [2]]), pyarrow.table({"id": [1, 2]})):
        assert listed(values, "users") == [1, 2]
    for frame in (pandas.DataFrame({"a": [1], "b": [2]}), pyarrow.table({"a": [1], "b": [2]})):
        assert column_names(frame) == ["a", "b"]
        with pytest.raises(ConfigurationError, match=r"frame of 2 columns \('a', 'b'\)"):
            listed(frame, "users")


def test_frames_that_behave_like_those_of_pandas_and_pyarrow_are_understood() -> None:
    class Frame:
        """As pandas has it: iterating gives names of columns."""

        columns, shape = ("id",), (2, 1)

        def __iter__(self) -> Any:
            return iter(self.columns)

        def __getitem__(self, name: str) -> object:
            return np.array([1, 2])

    class Table(Frame):
        """As pyarrow has it: `columns` are the columns themselves."""

        columns, column_names = (np.array([1, 2]),), ["id"]  # type: ignore[assignment]

    for frame in (Frame(), Table()):
        assert (column_names(frame), listed(frame, "users")) == (["id"], [1, 2])
    assert column_names("text") == column_names([1]) == []


@pytest.mark.parametrize("number", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_a_whole_number_of_any_library_is_one(number: Any) -> None:
    found = whole_number(number, "k", "the number")
    assert (found, type(found)) == (3, int)
    assert seed_number(number) == 3
    assert real_number(number, "time", "a time") == 3


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), 3.0, "3", b"3", None, [3], np.array([3, 4]), torch.tensor([3, 4]), float("nan")]
)
def test_nothing_else_is_a_whole_number(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^k=.*: the number must be a whole number$"):
        whole_number(value, "k", "the number")


def test_a_number_beyond_its_bounds_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^k=0: the number must be at least 1$"):
        whole_number(0, "k", "the number", least=1)
    with pytest.raises(ConfigurationError, match=f"^seed=-1: a seed must be from 0 to {2**64 - 1}$"):
        seed_number(-1)
    assert seed_number(2**64 - 1) == 2**64 - 1


@pytest.mark.parametrize("value", [True, "3.5", None, float("nan"), float("inf"), [1.0], 2**63])
def test_what_is_no_finite_number_is_no_time(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^times\[0\]"):
        real_number(value, "times[0]", "a time, in unix seconds,")
    assert real_number(np.float32(2.5), "times[0]", "a time") == 2.5


def test_words_texts_paths_and_kinds() -> None:
    assert word_of("drop", "unknown", ("error", "drop")) == "drop"
    with pytest.raises(ConfigurationError, match=r"unknown='dorp': did you mean 'drop'\? Known: error, drop"):
        word_of("dorp", "unknown", ("error", "drop"))
    assert texts(iter(["a"]), "metrics") == ["a"]
    with pytest.raises(ConfigurationError, match=r"metrics\[1\]=3 should be a text"):
        texts(["a", 3], "metrics")
    assert path_of("runs", "folder") == path_of(Path("runs"), "folder") == Path("runs")
    for value in (3, None, b"runs", ["runs"]):
        with pytest.raises(ConfigurationError, match=r"folder=.* should be the name of a file or folder"):
            path_of(value, "folder")
    with pytest.raises(ConfigurationError, match=r"recipe='sasrec-ce' should be an? Configuration; load one"):
        of_kind("sasrec-ce", Configuration, "recipe", "load one")
    assert yes_or_no(False, "histories_only") is False
    for value in (1, "no", None):
        with pytest.raises(ConfigurationError, match=r"histories_only=.* should be True or False"):
            yes_or_no(value, "histories_only")


class Toy(Configuration):
    width: int = 8
    layers: tuple[int, ...] = (4, 2)
    words: tuple[str, ...] | None = None


def test_a_configuration_takes_whole_numbers_and_lists_of_any_library() -> None:
    assert Toy(width=np.int64(4), layers=np.array([3, 1]), words=["a"]) == Toy(width=4, layers=(3, 1), words=("a",))  # type: ignore[arg-type]
    assert Toy(layers=torch.tensor([3, 1]), words=None).layers == (3, 1)  # type: ignore[arg-type]
    assert Toy(layers=(number for number in (3, 1))).layers == (3, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": "8"}, r'^width = "8" \(Toy\) should be a whole number'),
        ({"width": 8.0}, r"^width = 8\.0 \(Toy\) should be a whole number"),
        ({"width": np.array([8, 9])}, r"^width = <numpy\.ndarray> \(Toy\) should be a whole number"),
        ({"words": "ab"}, r'^words = "ab" \(Toy\) should be a list \(written \["a", "b"\]\)'),
        ({"layers": 3}, "^layers=3 is one value, where a list is meant"),
        ({"depth": 3}, r"^depth = 3 \(Toy\) is not a known key"),
        ({"width": "8", "depth": 3}, r"(?s)^width = .*\ndepth = 3"),
    ],
)
def test_what_a_configuration_refuses_is_said_in_words_of_ours(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Toy(**settings)
