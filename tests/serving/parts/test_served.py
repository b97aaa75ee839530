"""Lists for many, and the account of who gets none. The small log has items i00 … i11 and users u00 … u29."""

from typing import Any

import polars as pl
import pytest
import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.data.interactions import Interactions
from nextitem.data.log import Catalog
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines.popularity import PopularityScorer
from nextitem.serving.known import Known
from nextitem.serving.parts.batch import Terms, batch_of_events, batch_of_users, known_items
from nextitem.serving.parts.served import Served, serve
from nextitem.serving.recommender import Recommender

ITEMS = ["0663713002", "i1", "i2", "i3"]
USERS = ["ann", "all", "bob"]
SERVED = Terms()
STORED = [[1, 2], [0, 1, 2, 3], [3]]


def recommender(times: list[list[float]] | None = None, *, has_users: bool = True) -> Recommender:
    """A popularity ranking of four items, the first of them the least popular."""
    counts = torch.tensor([1, 2, 3, 4])
    users, histories = (Catalog(pl.Series(USERS)), Sequences.of(STORED, 4, times)) if has_users else (None, None)
    features = ItemFeatures.none(pl.Series(ITEMS))
    return Recommender(Known(PopularityScorer(counts.double()), features, counts, users, histories))


def events(rows: list[tuple[str, str]], times: list[int] | None = None) -> Interactions:
    return Interactions.from_columns([user for user, _ in rows], [item for _, item in rows], times)


def serve_users(recommender: Recommender, users: pl.Series | None, terms: Terms) -> Served:
    return serve(recommender, batch_of_users(recommender, users, terms), terms)


def serve_histories(recommender: Recommender, given: Interactions, terms: Terms, **options: Any) -> Served:
    return serve(recommender, batch_of_events(recommender, given, terms, **options), terms)


def served(rows: list[tuple[str, str]], terms: Terms = SERVED, *, is_for_known_users: bool = False) -> Served:
    return serve_histories(
        recommender(), events(rows), terms, row_of=lambda event: event + 2, is_for_known_users=is_for_known_users
    )


def lists(one: Served) -> dict[str, list[str]]:
    return {
        str(owner): [str(best.item) for best in ones] for owner, ones in zip(one.batch.owners, one.lists, strict=True)
    }


def test_whoever_has_seen_everything_is_counted_and_named() -> None:
    found = serve_users(recommender(), None, Terms(k=2))
    assert lists(found) == {"ann": ["i3", "0663713002"], "all": [], "bob": ["i2", "i1"]}
    assert found.without == ["all"]
    assert found.notes == ("1 user gets no list (has seen all items): 'all'",)


def test_lists_that_are_shorter_than_asked_for_are_counted() -> None:
    found = serve_users(recommender(), None, Terms(k=4))  # ann has seen two of four items, bob one, `all` all of them
    assert (found.shorter, found.notes[-1]) == (2, "2 users get fewer than 4 items: no more may be recommended")
    narrowed = serve_users(recommender(), pl.Series(["bob"]), Terms(k=2, allowed=torch.tensor([0])))
    assert narrowed.notes == ("1 user gets fewer than 2 items: no more may be recommended",)
    assert serve_users(recommender(), pl.Series(["ann"]), Terms(k=2)).shorter == 0


def test_unknown_users_are_counted_and_named_with_those_that_are_spelt_alike() -> None:
    found = serve_users(recommender(), pl.Series(["bob", "Ann", "x"]), Terms(k=1))
    assert (found.batch.owners.to_list(), found.batch.strangers) == (["bob"], ("Ann", "x"))
    assert found.notes == (
        "2 of 3 users are unknown to the run: 'Ann' (did you mean 'ann'?), 'x'; left out (--refuse-unknown makes this "
        "an error)",
    )


def test_unknown_users_are_refused_where_all_are_or_none_may_be() -> None:
    with pytest.raises(DataError, match=r"1 of 1 user is unknown to the run: 'x'; give ids as they stand in the log"):
        serve_users(recommender(), pl.Series(["x"]), Terms())
    with pytest.raises(DataError, match=r"1 of 2 users is unknown to the run: 'x'; refit .* --refuse-unknown out"):
        serve_users(recommender(), pl.Series(["bob", "x"]), Terms(refuse_unknown=True))


def test_many_names_are_cut_and_counted() -> None:
    found = serve_users(recommender(), pl.Series(["bob", *"abcdefg"]), Terms())
    assert "7 of 8 users are unknown to the run: 'a', 'b', 'c', 'd', 'e' and 2 more; left out" in found.notes[0]


def test_an_unknown_item_is_named_with_row_and_user_and_the_others_are_served() -> None:
    found = served([("cia", "i1"), ("cia", "663713002"), ("dan", "i2")])
    assert lists(found) == {"cia": ["i3", "i2", "0663713002"], "dan": ["i3", "i1", "0663713002"]}
    assert len(found.batch.asked.unknown) == 1
    assert found.notes[0] == (
        "1 of 3 events is of an item that the model does not know: row 3, user 'cia', item '663713002' (did you mean "
        "'0663713002'?); left out (--refuse-unknown makes this an error)"
    )
    with pytest.raises(DataError, match=r"row 3, user 'cia', item '663713002' .*leave --refuse-unknown out"):
        served([("cia", "i1"), ("cia", "663713002")], Terms(refuse_unknown=True))


def test_rows_are_those_of_the_file_whatever_the_order_in_time() -> None:
    given = events([("zoe", "i1"), ("cia", "x"), ("cia", "i2")], [5, 9, 3])
    found = serve_histories(recommender(), given, Terms(), row_of=lambda event: 10 * event)
    assert "row 10, user 'cia', item 'x'" in found.notes[0]


def test_whoever_gets_the_most_popular_items_is_counted() -> None:
    found = served([("cia", "x"), ("dan", "y"), ("eva", "i1")])
    assert found.by_popularity == 2
    assert found.notes[-1] == "2 of 3 users get the most popular items: the model knows none of their items"


def test_one_of_one_is_told_in_the_singular() -> None:
    notes = served([("cia", "x")], Terms(k=1)).notes
    assert notes[0].startswith("1 of 1 event is of an item that the model does not know: ")
    assert notes[1:] == (
        "the user is not known: the events of the file are all that is gone by",
        "1 of 1 user gets the most popular items: the model knows none of that user's items",
    )


def test_known_users_go_on_from_what_is_stored_and_it_is_said() -> None:
    found = served([("ann", "i3"), ("cia", "i3")])
    assert lists(found) == {"ann": ["0663713002"], "cia": ["i2", "i1", "0663713002"]}
    assert found.batch.asked.continued == 1
    assert found.notes[0] == (
        "the histories of 1 of 2 users go on from what the run has stored of them, their events after the stored ones "
        "(--histories-only leaves stored ones out)"
    )


def test_stored_histories_can_be_left_out_and_it_is_said() -> None:
    found = served([("ann", "i3")], Terms(histories_only=True))
    assert lists(found) == {"ann": ["i2", "i1", "0663713002"]}
    assert found.notes[0].startswith("stored histories are left out (--histories-only)")


def test_an_export_of_everything_and_late_events_are_told_of() -> None:
    assert "1 of them begin with all stored events" in served([("ann", "i1"), ("ann", "i2")]).notes[0]
    timed = recommender([[10, 20], [1, 2, 3, 4], [5]])
    given = events([("ann", "i1"), ("ann", "i3")], [10, 15])
    found = serve_histories(timed, given, Terms(), row_of=lambda event: event)
    assert "in order of time (--histories-only leaves stored ones out); 1 event with item and time" in found.notes[0]
    assert found.notes[0].endswith("1 event older than the newest stored one stand before it")


def test_a_run_without_users_goes_by_the_file_alone_and_says_so() -> None:
    asked = recommender(has_users=False)
    found = serve_histories(asked, events([("ann", "i3")]), Terms(histories_only=True), row_of=lambda event: event)
    assert lists(found) == {"ann": ["i2", "i1", "0663713002"]}
    assert found.notes[0].startswith("the run has no histories of its users stored")
    with pytest.raises(DataError, match="stored without its users' histories"):
        serve_users(asked, None, Terms())


def test_a_model_for_known_users_alone_serves_these_and_names_the_others() -> None:
    found = served([("ann", "i3"), ("cia", "i3"), ("cia", "i1")], is_for_known_users=True)
    assert (lists(found), found.batch.strangers) == ({"ann": ["0663713002"]}, ("cia",))
    assert found.notes[0].startswith("1 of 2 users is unknown to the run: 'cia'; left out")
    with pytest.raises(DataError, match="1 of 1 user is unknown"):
        served([("cia", "i3")], is_for_known_users=True)


def test_candidates_and_exclusions_that_are_unknown_are_counted_and_named() -> None:
    known, notes = known_items(pl.Series(["i1", "I2"]), "--exclude", recommender(), Terms())
    assert known.to_list() == ["i1"]
    assert notes[0].startswith("1 of 2 items of --exclude is unknown to the run: 'I2' (did you mean 'i2'?); left out")
    with pytest.raises(DataError, match=r"1 of 1 item of --exclude is unknown to the run: 'blocked\.tx'"):
        known_items(pl.Series(["blocked.tx"]), "--exclude", recommender(), Terms())


def test_where_little_may_be_recommended_that_is_the_reason() -> None:
    found = serve_users(recommender(), None, Terms(k=1, allowed=torch.tensor([3])))
    assert found.notes == ("2 users get no list (have seen all items that may be recommended): 'all', 'bob'",)
