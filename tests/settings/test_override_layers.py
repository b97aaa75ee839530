"""Layers are merged, the later ones win, and every value has a source."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nextitem.errors import ConfigurationError
from nextitem.settings.configuration import Configuration
from nextitem.settings.overrides import resolve
from nextitem.settings.written import load_toml
from worlds.toys import GBCE, CrossEntropy, Gbce, Popularity, Toy, Training, Uniform, said, toy


def test_later_layers_win_and_the_command_line_wins_over_all() -> None:
    layers = [
        ("recipe", {"title": "a", "mode": "slow", "training": {"epochs": 1, "learning_rate": 0.1}}),
        ("profile", {"title": "b", "training": {"epochs": 2}}),
    ]
    found = resolve(Toy, layers, ["title=c"])
    assert found.value == Toy(title="c", mode="slow", training=Training(epochs=2, learning_rate=0.1))
    assert {key: label for key, label in found.sources.items() if label != "default"} == {
        "title": "command line",
        "mode": "recipe",
        "training.epochs": "profile",
        "training.learning_rate": "recipe",
    }


def test_every_leaf_of_the_full_dump_has_a_source() -> None:
    assert resolve(Toy, [], ["limits.a=1", "negatives=none"]).sources == {
        "title": "default",
        "note": "default",
        "folder": "default",
        "device": "default",
        "mode": "default",
        "clip": "default",
        "cap": "default",
        "metrics": "default",
        "limits.a": "command line",
        "source": "default",
        "loss.name": "default",
        "loss.temperature": "default",
        "negatives": "command line",
        "training.epochs": "default",
        "training.learning_rate": "default",
        "training.mixed": "default",
        "training.optimiser.name": "default",
        "training.optimiser.betas": "default",
    }


def test_nothing_said_is_the_default() -> None:
    assert toy() == Toy()


def test_layers_are_left_as_they_were() -> None:
    recipe = {"loss": {"name": "gbce"}, "metrics": ["mrr"]}
    before = json.dumps(recipe)
    toy("loss.t=1", "metrics=[]", layers=[("recipe", recipe)])
    assert json.dumps(recipe) == before


def test_the_default_name_is_filled_in() -> None:
    assert toy("loss.temperature=2").loss == CrossEntropy(temperature=2.0)


def test_the_same_name_keeps_what_lower_layers_said() -> None:
    layers = [("recipe", GBCE), ("profile", {"loss": {"name": "gbce", "count": 7}})]
    assert toy("loss=gbce", layers=layers).loss == Gbce(t=0.5, count=7)
    assert said("loss=gbce", layers=layers) == {
        "loss.name": "command line",
        "loss.t": "recipe",
        "loss.count": "profile",
    }


def test_another_name_starts_from_its_own_defaults() -> None:
    layers: list[tuple[str, Mapping[str, object]]] = [("recipe", {"loss": {"name": "cross_entropy", "temperature": 3}})]
    assert toy("loss=gbce", "loss.count=7", layers=layers).loss == Gbce(count=7)
    assert said("loss=gbce", "loss.count=7", layers=layers) == {
        "loss.name": "command line",
        "loss.count": "command line",
    }


def test_the_order_of_overrides_does_not_matter() -> None:
    assert toy("loss.count=7", "loss=gbce") == toy("loss=gbce", "loss.count=7")


def test_a_profile_may_choose_another_name_too() -> None:
    layers = [("recipe", GBCE), ("profile", {"loss": "cross_entropy"})]
    assert toy(layers=layers).loss == CrossEntropy()
    assert said(layers=layers) == {"loss.name": "profile"}
    assert toy("loss=gbce", layers=layers).loss == Gbce()


def test_an_optional_choice_comes_and_goes() -> None:
    layers: list[tuple[str, Mapping[str, object]]] = [
        ("recipe", {**GBCE, "negatives": {"name": "uniform", "count": 9}})
    ]
    assert toy("negatives.count=3", layers=layers).negatives == Uniform(count=3)
    assert toy("negatives=none", layers=layers).negatives is None
    assert toy(layers=[*layers, ("profile", {"negatives": "none"})]).negatives is None
    assert toy(layers=[*layers, ("profile", {"negatives": None})]).negatives is None
    assert said("negatives=none", layers=layers)["negatives"] == "command line"
    assert toy("negatives=popularity", "negatives.exponent=1", layers=layers).negatives == Popularity(exponent=1.0)


def test_a_choice_of_one_needs_no_name() -> None:
    betas = "training.optimiser.betas=[0.8, 0.9]"
    assert toy(betas).training.optimiser == toy("training.optimiser=adam", betas).training.optimiser
    assert said("training.optimiser=adam", betas) == {
        "training.optimiser.name": "command line",
        "training.optimiser.betas": "command line",
    }


def test_a_free_table_is_merged_and_a_list_is_replaced() -> None:
    layers = [("recipe", {"limits": {"a": 1, "b": 2}, "metrics": ["mrr", "ndcg@5"]})]
    settings = toy("limits.b=3", 'metrics=["mrr"]', layers=layers)
    assert settings.limits == {"a": 1.0, "b": 3.0}
    assert settings.metrics == ("mrr",)
    assert said("limits.b=3", layers=layers) == {"limits.a": "recipe", "limits.b": "command line", "metrics": "recipe"}


def test_a_required_setting_may_come_from_any_layer() -> None:
    class Strict(Configuration):
        training: Training
        path: Path

    found = resolve(Strict, [("recipe", {"path": "a"})], ["training.epochs=3"])
    assert found.value == Strict(training=Training(epochs=3), path=Path("a"))
    assert found.sources["path"] == "recipe"


def test_toml_is_a_layer() -> None:
    tree = load_toml('loss = "gbce"\nmetrics = ["mrr"]\n[training]\nepochs = 5\n', "r.toml")
    assert toy(layers=[("r.toml", tree)]) == Toy(loss=Gbce(), metrics=("mrr",), training=Training(epochs=5))


# Settling


def _without_idle_negatives(tree: dict[str, object], sources: Mapping[str, str]) -> dict[str, object]:
    loss: Any = tree["loss"]
    is_idle = loss["name"] == "cross_entropy" and sources.get("negatives.name") != "command line"
    return tree | {"negatives": None} if is_idle else tree


def test_a_choice_can_settle_what_else_was_said() -> None:
    layers = [("recipe", {**GBCE, "negatives": "uniform"})]
    found = resolve(Toy, layers, ["loss=cross_entropy"], _without_idle_negatives)
    assert found.value == Toy()
    assert found.sources["loss.name"] == "command line"
    assert found.sources["negatives"] == "default"
    assert resolve(Toy, layers, [], _without_idle_negatives).sources["negatives.name"] == "recipe"
    with pytest.raises(ConfigurationError, match=r"^cross_entropy takes no negatives"):
        resolve(Toy, layers, ["loss=cross_entropy", "negatives=uniform"], _without_idle_negatives)


def test_nothing_is_settled_where_something_is_wrong() -> None:
    with pytest.raises(ConfigurationError, match=r"^losss "):
        resolve(Toy, [], ["losss=gbce"], lambda tree, sources: {"title": 1 // 0})
