"""What is advised follows from what was found."""

from dataclasses import replace
from pathlib import Path

import pytest

from nextitem.data.checkup.advice import Advice, advice
from nextitem.data.checkup.examination import Examination, examine
from nextitem.data.checkup.held_out import HeldOut
from nextitem.data.checkup.leak import Leak
from nextitem.data.checkup.repeats import Repeats
from nextitem.data.checkup.ties import Ties
from nextitem.data.checkup.windows import Window, Windows
from nextitem.experiment.recipe import Recipe


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Examination:
    """Of a small log with times that has nothing remarkable."""
    file = tmp_path_factory.mktemp("log") / "log.csv"
    rows = [f"u{user},i{(user + n) % 7},{1_000_000_000 + 86_400 * n + user}" for user in range(8) for n in range(6)]
    Path(file).write_text("\n".join(["user,item,time", *rows]))
    return examine(Recipe(data=str(file))).found


def said(found: Examination) -> dict[str, Advice]:
    return {one.key: one for one in advice(found)}


def test_every_setting_is_advised_with_a_reason(found: Examination) -> None:
    settings = said(found)
    assert list(settings) == [
        "split", "filters.minimum_per_user", "filters.minimum_per_item", "objective.maximum_length", "objective.stride",
        "hide", "loss",
    ]  # fmt: skip
    assert all(one.reason for one in settings.values())


def test_a_log_is_split_by_time_where_leave_one_out_learns_from_the_future(found: Examination) -> None:
    by_time = HeldOut("temporal cut=0.8", {"split": "temporal", "split.cut": "0.8"}, test=500)
    future = Leak(1.0, 0.4, 0.4, 0.4, 0.0)
    asked = said(replace(found, splits=(*found.splits, by_time), leak=future))
    assert (asked["split"].value, asked["split.cut"].value) == ("temporal", "0.8")
    few = replace(by_time, test=20)
    assert said(replace(found, splits=(*found.splits, few), leak=future))["split"].value == "leave_one_out"
    nothing = Leak(0.0, 0.0, 0.0, 0.0, 0.0)
    assert said(replace(found, splits=(*found.splits, by_time), leak=nothing))["split"].value == "leave_one_out"
    tied = Ties(events=48, users=8, tied=8, users_with_tied_end=4)
    chosen = said(replace(found, splits=(*found.splits, by_time), leak=nothing, ties=tied))["split"]
    assert (chosen.value, "arbitrary for 50 %" in chosen.reason) == ("temporal", True)
    without = said(replace(found, times=None, leak=None, ties=None))["split"]
    assert (without.value, without.reason) == ("leave_one_out", "there are no times to split by")


@pytest.mark.parametrize(
    ("repeated", "immediate", "hide"), [(0, 0, "history"), (9, 9, "history"), (300, 5, "last:1"), (300, 200, "nothing")]
)
def test_what_is_hidden_follows_from_who_comes_back(
    found: Examination, repeated: int, immediate: int, hide: str
) -> None:
    repeats = Repeats(events=1000, repeated=repeated, immediate=immediate, doubled=0, users=5)
    assert said(replace(found, repeats=repeats))["hide"].value == hide


def test_the_length_loses_little_or_has_a_stride(found: Examination) -> None:
    losses = {20: 0.5, 50: 0.3, 100: 0.04, 200: 0.01, 500: 0.0}
    short = Windows(1000, tuple(Window(length, lost, 2.0) for length, lost in losses.items()))
    settings = said(replace(found, windows=short))
    assert (settings["objective.maximum_length"].value, settings["objective.stride"].value) == ("100", "none")
    losses |= {100: 0.5, 200: 0.34, 500: 0.01}
    long = Windows(1000, tuple(Window(length, lost, 1.4) for length, lost in losses.items()))
    settings = said(replace(found, windows=long))
    assert (settings["objective.maximum_length"].value, settings["objective.stride"].value) == ("200", "200")
    assert settings["objective.stride"].reason == "keeps these 34.0 %, by 1.4 windows a user in place of one"


def test_short_users_and_rare_items_are_left_out_where_that_costs_little(found: Examination) -> None:
    short = replace(found.lengths, users=10, under_3=6)
    rare = replace(found.popularity, items=100, under_5=60, share_under_5=0.03)
    settings = said(replace(found, lengths=short, popularity=rare))
    assert (settings["filters.minimum_per_user"].value, settings["filters.minimum_per_item"].value) == ("3", "5")
    none_left = replace(found.lengths, users=10, under_3=10)
    assert said(replace(found, lengths=none_left))["filters.minimum_per_user"].value == "1"
    dear = replace(rare, share_under_5=0.2)
    assert said(replace(found, popularity=dear))["filters.minimum_per_item"].value == "1"


def test_a_large_catalogue_is_learnt_from_samples(found: Examination) -> None:
    assert said(found)["loss"].value == "cross_entropy"
    assert said(replace(found, size=replace(found.size, items=2_000_000)))["loss"].value == "sampled_cross_entropy"
