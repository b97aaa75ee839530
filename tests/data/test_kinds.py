"""What kinds of events mean, worked out by hand on logs of a few events."""

from pathlib import Path

import pytest

from nextitem.data.interactions import Interactions
from nextitem.data.kinds import Interpreted, interpret, measured, weighed
from nextitem.data.log import index
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe

Event = tuple[str, str, float, str]
LIKES: dict[str, float | str] = {
    "buy": 1.0,
    "like": 1.0,
    "unlike": "retracts like",
    "undo": "retracts",
    "view": "history",
}


def log_of(*events: Event) -> Interactions:
    user, item, time, kind = zip(*events, strict=True)
    return Interactions.from_columns(user, item, time, kind=kind)


def kept(*events: Event, kinds: dict[str, float | str] = LIKES) -> list[tuple[str, str, float]]:
    """What is left of a log of whole weights, in the order of the file."""
    events_left = interpret(log_of(*events), kinds).events.events
    return events_left.select("user", "item", "time").rows()


def refused(log: Interactions, kinds: dict[str, float | str]) -> str:
    with pytest.raises(DataError) as caught:
        interpret(log, kinds)
    return str(caught.value)


def test_kinds_become_weights_of_targets_and_what_is_ignored_is_gone() -> None:
    kinds: dict[str, float | str] = {"buy": 1.0, "view": 0.25, "seen": "history", "shown": "ignored"}
    log = log_of(("a", "x", 1, "shown"), ("a", "x", 2, "seen"), ("a", "x", 3, "view"), ("a", "y", 4, "buy"))
    meant = interpret(log, kinds)
    assert meant.events.events.select("item", "time", "weight").rows() == [
        ("x", 2, 0.0), ("x", 3, 0.25), ("y", 4, 1.0)
    ]  # fmt: skip
    assert meant.note == (
        "kinds of events: 1 'buy' (targets of weight 1), 1 'seen' (in histories and never a target), 1 'shown' (left "
        "out), 1 'view' (targets of weight 0.25)"
    )


def test_where_all_weigh_1_there_are_no_weights() -> None:
    meant = interpret(log_of(("a", "x", 1, "buy"), ("a", "y", 2, "buy")), {"buy": 1.0})
    assert meant.events.events.columns == ["user", "item", "time"]


def test_a_retraction_takes_back_the_latest_event_of_its_user_item_and_kind() -> None:
    assert kept(
        ("a", "x", 1, "like"), ("a", "x", 2, "like"), ("a", "x", 3, "buy"), ("a", "y", 4, "like"),
        ("b", "x", 5, "like"), ("a", "x", 6, "unlike"),
    ) == [("a", "x", 1), ("a", "x", 3), ("a", "y", 4), ("b", "x", 5)]  # fmt: skip


def test_one_without_a_kind_takes_back_the_latest_of_any() -> None:
    assert kept(("a", "x", 1, "like"), ("a", "x", 2, "buy"), ("a", "x", 3, "undo")) == [("a", "x", 1)]


def test_each_retraction_takes_back_one_event_more() -> None:
    events = [("a", "x", 1, "like"), ("a", "x", 2, "like"), ("a", "x", 3, "unlike"), ("a", "x", 4, "unlike")]
    assert kept(*events, ("a", "y", 5, "buy")) == [("a", "y", 5)]
    assert kept(*events, ("a", "x", 6, "like")) == [("a", "x", 6)]


def test_what_comes_later_is_not_taken_back_and_time_decides_not_the_row() -> None:
    meant = interpret(log_of(("a", "x", 1, "unlike"), ("a", "x", 2, "like")), LIKES)
    assert len(meant.events) == 1
    assert meant.note.endswith("; 0 retractions took back an event, which is as if it had not happened; 1 had nothing "
                               "to take back")  # fmt: skip
    assert kept(("a", "x", 9, "unlike"), ("a", "x", 2, "like"), ("a", "y", 3, "buy")) == [("a", "y", 3)]


def test_at_one_time_rows_are_in_order() -> None:
    assert kept(("a", "x", 1, "like"), ("a", "x", 1, "unlike"), ("a", "y", 1, "buy")) == [("a", "y", 1)]
    assert len(kept(("a", "x", 1, "unlike"), ("a", "x", 1, "like"))) == 1


def test_without_times_rows_are_in_order() -> None:
    log = Interactions.from_columns(["a"] * 3, ["x", "x", "y"], kind=["like", "unlike", "buy"])
    assert interpret(log, LIKES).events.events["item"].to_list() == ["y"]


def test_a_dislike_is_in_no_history_and_may_be_taken_back() -> None:
    kinds: dict[str, float | str] = {"buy": 1.0, "no": "disliked", "yes": "retracts no"}
    log = log_of(("a", "x", 1, "no"), ("a", "y", 2, "buy"), ("a", "x", 3, "yes"), ("a", "z", 4, "no"))
    meant = interpret(log, kinds)
    assert meant.events.events["item"].to_list() == ["y"]
    assert meant.disliked.events.select("user", "item", "time").rows() == [("a", "z", 4)]


def test_a_kind_without_a_meaning_is_refused_with_its_count_and_rows() -> None:
    log = log_of(*[("a", "x", n, "click") for n in range(7)], ("a", "y", 8, "buy"), ("a", "y", 9, "tap"))
    assert refused(log, {"buy": 1.0}) == (
        "7 events are of kind 'click' (event 0, event 1, event 2, event 3, event 4, …), and nobody says what that "
        "means; and 1 more: 1 tap; say it, such as kinds.click=1 for a target, =history or =ignored, or "
        "kinds.others=… for all that are not named"
    )
    assert len(interpret(log, {"buy": 1.0, "others": "history"}).events) == 9


def test_a_log_without_any_target_is_refused() -> None:
    message = refused(log_of(("a", "x", 1, "view"), ("a", "y", 2, "view")), {"view": "history"})
    assert message == (
        "of 2 events none is left that is a target (2 view); give the kinds that should be foreseen a weight, such as "
        "kinds.purchase=1"
    )
    assert "the events have none" in refused(Interactions.from_columns(["a"], ["x"]), {"view": 1.0})


def test_events_with_kinds_are_not_indexed_before_they_are_interpreted() -> None:
    with pytest.raises(DataError, match=r"nobody said what they mean; say it by kinds of the recipe"):
        index(log_of(("a", "x", 1, "buy")))


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"buy": 0}, "kinds.buy = 0 (Recipe) should be above 0; what is in histories and never a target is of the"),
        ({"buy": -1.5}, "kinds.buy = -1.5 (Recipe) should be above 0"),
        ({"buy": "twice"}, "should be a weight above 0, or history, disliked, ignored, retracts, or retracts KIND"),
        ({"buy": "histroy"}, "did you mean 'history'?"),
        ({"undo": "retracts buy"}, "undo retracts buy, which has no meaning; say what buy is"),
        ({"undo": "retracts undo"}, "undo retracts undo, which is of the meaning retracts undo"),
        ({"undo": "retracts buy", "buy": "ignored"}, "undo retracts buy, which is of the meaning ignored"),
    ],
)
def test_what_means_nothing_is_refused(kinds: dict[str, float | str], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Recipe(kinds=kinds)
    assert said in str(caught.value)


def test_a_certificate_says_what_kinds_are_and_weights_are_another_matter() -> None:
    kinds = Recipe(kinds={"view": 0.2, "undo": "retracts view", "buy": 1, "seen": "history"}).kinds
    assert measured(kinds) == "buy target, seen history, undo retracts view, view target"
    assert weighed(kinds) == "buy 1, view 0.2"


def test_what_is_interpreted_is_a_log_as_if_the_retracted_had_not_happened() -> None:
    events = [("a", "x", 1, "like"), ("a", "y", 2, "buy"), ("b", "x", 3, "view"), ("b", "y", 4, "like")]
    without = interpret(log_of(*events), LIKES)
    both = [("a", "q", 1.5, "like"), ("a", "q", 3.5, "unlike"), ("b", "y", 0.5, "view"), ("b", "y", 0.7, "undo")]
    taken = interpret(log_of(*both[:3], *events, both[3]), LIKES)

    def bits(meant: Interpreted) -> str:
        return index(meant.events).sha256(with_times=True)

    assert bits(without) == bits(taken)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (("kinds.view.weight=0.2",), 0.2),
        (("kinds.view.target=true",), 1.0),
        (("kinds.view.history=true", "kinds.view.target=false"), "history"),
        (("kinds.view.history=false",), "ignored"),
        (("kinds.view.disliked=true",), "disliked"),
        (("kinds.view.retracts=buy",), "retracts buy"),
        (("kinds.view.retracts=true",), "retracts"),
        (("kinds={view={weight=0.5}}",), 0.5),
    ],
)
def test_a_kind_may_have_a_table_which_is_the_same_in_words(said: tuple[str, ...], meant: float | str) -> None:
    assert load_recipe("popularity", "kinds.buy=1", *said).kinds == {"buy": 1.0, "view": meant}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("wieght = 1", r"kinds.view: has no 'wieght'; did you mean 'weight'"),
        ("weight = 0", r"kinds.view should be above 0"),
        ("weight = 1\nhistory = false", "is a target and so in histories: leave out history=false"),
        ("weight = 1\ntarget = false", "has a weight, which only a target has"),
        ("disliked = true\nweight = 1", "is disliked, retracts, or is in histories .*: one of the three"),
        ("disliked = 1", "should have disliked as true or false"),
        ("retracts = 3", "should have retracts as true, or as the kind"),
        ("retracts = 'buy'", "view retracts buy, which has no meaning"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path: Path, table: str, told: str) -> None:
    (tmp_path / "shop.toml").write_text(f"model = 'popularity'\n[kinds.view]\n{table}\n")
    with pytest.raises(ConfigurationError, match=told):
        load_recipe(str(tmp_path / "shop.toml"))


def test_tables_of_kinds_are_laid_on_each_other(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(
        "model = 'popularity'\n[kinds.view]\nweight = 0.2\n[kinds.buy]\ntarget = true\n"
    )
    file = str(tmp_path / "shop.toml")
    assert load_recipe(file).kinds == {"buy": 1.0, "view": 0.2}
    assert load_recipe(file, "kinds.view.weight=0.4", "kinds.buy=3").kinds == {"buy": 3.0, "view": 0.4}
    assert load_recipe(file, "kinds.view=history").kinds["view"] == "history"
