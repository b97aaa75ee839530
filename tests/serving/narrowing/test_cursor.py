"""A list page by page: nothing is shown twice, whatever happens between two pages."""

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextitem.errors import ConfigurationError
from nextitem.serving.narrowing.cursor import MOST_SHOWN, Fingerprints, cursor_of, shown_by
from nextitem.serving.question import Answer, Question, Terms
from nextitem.serving.recommender import Recommender
from worlds.shop import FILMS, shop, with_retired

NOTHING = np.empty(0, dtype=np.int64)


def ids(answer: Answer) -> list[Any]:
    return [one.item for one in answer]


def page(recommender: Recommender, cursor: str | None, *history: str, k: int = 3, **terms: Any) -> Answer:
    (answer,) = recommender.answer([Question(history, k=k, terms=Terms(cursor=cursor, **terms))])
    return answer


def test_pages_are_the_list_in_parts_and_the_last_one_has_no_cursor() -> None:
    first = page(shop(), None, "elf")
    second = page(shop(), first.cursor, "elf")
    third = page(shop(), second.cursor, "elf")
    assert [ids(one) for one in (first, second, third)] == [FILMS[:3], ["duel", "fargo", "gattaca"], ["heat"]]
    assert third.cursor is None
    assert (second.filtered, third.filtered) == ({"seen": 1, "shown": 3}, {"seen": 1, "shown": 6})
    assert page(shop(), None, "elf", k=7).cursor is None
    assert page(shop(), None, "elf", k=6).cursor is not None


def test_nothing_is_shown_twice_though_history_model_and_terms_changed() -> None:
    shown = ids(first := page(shop(), None, "elf"))
    other = with_retired(shop([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), "heat")
    second = page(other, first.cursor, "elf", "gattaca", diversity=0.3)
    assert ids(second) == ["fargo", "duel"]
    assert set(shown) & set(ids(second)) == set()
    assert second.cursor is None


def test_an_item_that_was_shown_and_is_in_the_history_now_counts_as_seen() -> None:
    first = page(shop(), None, "elf")
    second = page(shop(), first.cursor, "elf", "alien")
    assert second.filtered == {"seen": 2, "shown": 2}


@given(
    pages=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    histories=st.lists(st.lists(st.sampled_from(FILMS), max_size=3), min_size=6, max_size=6),
    limit=st.none() | st.just({"genres": 1}),
    diversity=st.sampled_from([0.0, 0.5]),
)
def test_pages_of_any_sizes_never_repeat(
    pages: list[int], histories: list[list[str]], limit: dict[str, int] | None, diversity: float
) -> None:
    cursor, shown = None, list[Any]()
    for k, history in zip(pages, histories, strict=False):
        answer = page(shop(), cursor, *history, k=k, diversity=diversity, limits=limit or {})
        shown += ids(answer)
        if answer.cursor is None:
            break
        cursor = answer.cursor
    assert len(set(shown)) == len(shown)


def test_a_cursor_is_of_bounded_size_and_a_list_ends_there() -> None:
    cursor = cursor_of(NOTHING, [f"item-{number}" for number in range(MOST_SHOWN)])
    assert cursor is not None
    assert len(cursor) < 8_100
    assert cursor_of(shown_by(cursor), ["one more"]) is None


def test_items_are_named_by_their_ids_whatever_their_places() -> None:
    cursor = cursor_of(NOTHING, [7, "x", "ünïcode \ud800"])
    assert Fingerprints(["a", "7", "x", "ünïcode \ud800"]).places(shown_by(cursor)) == [1, 2, 3]
    assert Fingerprints([70, 7]).places(shown_by(cursor)) == [1]


@given(place=st.integers(0, 30), letter=st.sampled_from("AZaz09-_"))
def test_a_cursor_with_another_letter_is_refused(place: int, letter: str) -> None:
    cursor = cursor_of(NOTHING, ["alien", "brazil", "casablanca"])
    assert cursor is not None
    damaged = cursor[: place % len(cursor)] + letter + cursor[place % len(cursor) + 1 :]
    if base64.urlsafe_b64decode(damaged + "==") != base64.urlsafe_b64decode(cursor + "=="):
        with pytest.raises(ConfigurationError, match="is none, or was cut off or altered on its way; give the cursor"):
            shown_by(damaged)


@pytest.mark.parametrize("cursor", ["", "abc", "é", "AAAA" * 9_000, 7, b"AQ", cursor_of(NOTHING, [1])[:-3]])  # type: ignore[index]
def test_what_is_no_cursor_is_refused(cursor: Any) -> None:
    with pytest.raises(ConfigurationError, match="give the cursor of an answer as it is, or none for the first page"):
        page(shop(), cursor, "elf")
