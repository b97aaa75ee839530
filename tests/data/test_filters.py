"""What is left out of a log before it is split."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextitem.data.filters import Filters, deduplicate, k_core
from nextitem.data.interactions import Interactions

Event = tuple[str, str]

events = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("vwxyz")), max_size=30)


def log_of(pairs: list[Event]) -> Interactions:
    users = pl.Series([user for user, _ in pairs], dtype=pl.String)
    return Interactions.from_columns(users, pl.Series([item for _, item in pairs], dtype=pl.String))


def pairs_of(interactions: Interactions) -> list[Event]:
    return interactions.events.select("user", "item").rows()


def test_deduplicating_keeps_the_first_or_the_last_in_time() -> None:
    log = Interactions.from_columns(["a"] * 4, ["x", "y", "x", "y"], [3, 1, 2, 4])
    times = {keep: deduplicate(log, keep).events.select("item", "time").rows() for keep in ("all", "first", "last")}
    assert times == {
        "all": [("x", 3), ("y", 1), ("x", 2), ("y", 4)],
        "first": [("y", 1), ("x", 2)],
        "last": [("x", 3), ("y", 4)],
    }


def test_deduplicating_keeps_the_same_item_of_another_user() -> None:
    assert len(deduplicate(log_of([("a", "x"), ("b", "x"), ("a", "x")]), "first")) == 2


def naive_k_core(pairs: list[Event], user_minimum: int, item_minimum: int, *, iterate: bool) -> list[Event]:
    while True:
        items = Counter(item for _, item in pairs)
        kept = [pair for pair in pairs if items[pair[1]] >= item_minimum]
        users = Counter(user for user, _ in kept)
        kept = [pair for pair in kept if users[pair[0]] >= user_minimum]
        if not iterate or kept == pairs:
            return kept
        pairs = kept


@given(events, st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_the_k_core_equals_naive_dropping(pairs: list[Event], users: int, items: int, iterate: bool) -> None:
    found = k_core(log_of(pairs), users, items, iterate=iterate)
    assert pairs_of(found) == naive_k_core(pairs, users, items, iterate=iterate)


def test_iterating_goes_on_where_one_pass_stops() -> None:
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "z"), ("c", "y"), ("d", "x")]
    # z falls first, then b, c and d with one event left each; now y has one event and x one.
    assert pairs_of(k_core(log_of(pairs), 2, 2, iterate=False)) == [("a", "x"), ("a", "y")]
    assert pairs_of(k_core(log_of(pairs), 2, 2)) == []


def test_without_filters_a_log_is_left_as_it_is() -> None:
    log = log_of([("a", "x"), ("a", "x")])
    assert Filters().apply(log) is log


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (Filters(repeats="first"), [("a", "x"), ("a", "y"), ("b", "x")]),
        (Filters(minimum_per_user=2), [("a", "x"), ("a", "y"), ("a", "x")]),
        (Filters(repeats="first", minimum_per_item=2), [("a", "x"), ("b", "x")]),  # y and the second x of a
    ],
)
def test_repeats_are_dropped_before_events_are_counted(filters: Filters, kept: list[Event]) -> None:
    log = log_of([("a", "x"), ("a", "y"), ("a", "x"), ("b", "x")])
    assert pairs_of(filters.apply(log)) == kept


def test_filters_change_nothing_of_the_log_they_were_given() -> None:
    log = Interactions.from_columns(["b", "a", "b"], ["x", "y", "x"], [2, 3, 1])
    before = log.events.clone()
    deduplicate(log, "last")
    k_core(log, 2, 2)
    assert log.events.equals(before)
