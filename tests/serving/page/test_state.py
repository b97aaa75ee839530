"""What somebody looks at stands in the address, and in nothing else."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextitem.serving.page.state import MOST_PICKED, View

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
views = st.builds(
    View,
    history=st.lists(ids, max_size=8).map(tuple),
    models=st.lists(ids, max_size=2, unique=True).map(tuple),
    categories=st.lists(ids, max_size=3, unique=True).map(tuple),
    least=st.sampled_from(["", "1990", "-1.5"]),
    most=st.sampled_from(["", "2000"]),
    mix=st.integers(0, 100),
    limit=st.integers(0, 10),
    further=st.sampled_from([(), (("in.a.b", "x"), ("in.a.b", "y"), ("to.c", "7"))]),
    user=st.one_of(st.just(""), ids),
    shows_seen=st.booleans(),
    near=st.one_of(st.just(""), ids),
    page=st.integers(1, 9),
)


def read(address: str) -> View:
    return View.of(parse_qsl(urlsplit(address).query))


@given(views)
def test_an_address_says_all_that_is_looked_at(view: View) -> None:
    assert read(view.address()) == view


def test_an_empty_view_is_the_bare_address() -> None:
    assert View().address() == "/"
    assert read("/") == View()


def test_items_are_added_moved_left_out_and_removed() -> None:
    view = View(("a", "b")).with_item("c")
    assert view.history == ("a", "b", "c")
    assert view.moved(0, 1).history == ("b", "a", "c")
    assert view.moved(2, -1).history == ("a", "c", "b")
    assert view.without_place(1).history == ("a", "c")
    assert view.told_otherwise("b").told == ("a", "c")
    assert view.told_otherwise("b").told_otherwise("b") == view
    assert view.told_otherwise("b").without_place(1).left_out == frozenset()
    assert view.cleared() == View()


def test_an_item_that_comes_twice_goes_once() -> None:
    view = View(("a", "b", "a"), left_out=frozenset("a"))
    assert view.without_place(0).history == ("b", "a")
    assert view.without_place(0).left_out == frozenset("a")


@pytest.mark.parametrize(
    "query",
    [
        "mix=abc",
        "mix=-3",
        "mix=²",
        "from=nan",
        "to=inf",
        "from.price=nan",
        "limit=x",
        "from=1e999",
        "seen=yes",
        "o=nobody",
        "h=",
        "page=0",
        "page=x",
    ],
)
def test_what_makes_no_sense_in_an_address_is_passed_over(query: str) -> None:
    assert read(f"/?{query}") == View()


def test_an_address_holds_no_more_than_it_may() -> None:
    pairs = [("h", f"i{n}") for n in range(500)] + [
        ("h", "x" * 10_000),
        ("mix", "400"),
        *[("m", str(n)) for n in range(9)],
    ]
    view = View.of(pairs)
    assert view.history == tuple(f"i{n}" for n in range(500 - MOST_PICKED, 500))
    assert view.mix == 100
    assert view.models == ("0", "1")


def test_a_form_asks_again_for_what_it_does_not_hold_itself() -> None:
    view = View(("a",), models=("x", "y"), mix=5, near="b")
    assert view.pairs(without=("m", "mix")) == [("h", "a"), ("near", "b")]
    further = View(categories=("x",), further=(("in.genre", "y"), ("to.price", "3")))
    assert further.pairs(without=("in",)) == [("to.price", "3")]
    assert further.is_narrowed
    assert not further.unfiltered().is_narrowed
