import datetime
import json
from enum import Enum
from math import inf, nan
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError, field_validator, model_validator

from nextitem.errors import ConfigurationError
from nextitem.settings.annotations import admits_none, admits_text, choices, table_values
from nextitem.settings.configuration import Configuration, default_tree
from nextitem.settings.refusals import refusals
from nextitem.settings.suggestion import suggest
from nextitem.settings.written import load_toml


class Mean(Configuration):
    name: Literal["mean", "average"] = "mean"


class Power(Configuration):
    name: Literal["power"] = "power"
    exponent: Annotated[float, Field(gt=0, le=2)] = 0.75
    """Of an item's count;
    1 keeps the counts."""


class Stop(Configuration):
    patience: Annotated[int, Field(ge=1)] = 10
    """Epochs without a better score before training stops."""


Weighting = Annotated[Mean | Power, Field(discriminator="name")]


class Toy(Configuration):
    model_name: str = "toy"
    rate: float = 1e-3
    cap: Annotated[float, Field(allow_inf_nan=True)] = inf
    betas: tuple[float, float] = (0.9, 0.999)
    weighting: Weighting = Power(exponent=0.5)
    fallback: Weighting | None = None
    stop: Stop = Stop()
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = ()
    width: int | tuple[int, ...] = 1
    several: tuple[Weighting, ...] = ()
    limits: dict[str, float] = Field(default_factory=dict)

    @field_validator("model_name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "unknown":
            raise ValueError("this one is reserved")
        return value

    @model_validator(mode="after")
    def _fits(self) -> "Toy":
        if len(self.sizes) > 2:
            raise ConfigurationError("at most 2 sizes fit")
        return self


def reasons(**settings: object) -> dict[str, str]:
    """What is refused of a toy's settings: key to reason."""
    with pytest.raises(ValidationError) as caught:
        Toy.model_validate_json(json.dumps(settings))
    return {one.key: one.reason for one in refusals(Toy, caught.value)}


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Stop().patience = 3  # type: ignore[misc]


def test_equal_settings_are_equal_and_hash_alike() -> None:
    assert Power() == Power(exponent=0.75)
    assert hash(Power()) == hash(Power(exponent=0.75))


@pytest.mark.parametrize("patience", [1.0, True, "1", None])
def test_nothing_is_converted_to_a_whole_number(patience: object) -> None:
    with pytest.raises(ConfigurationError, match=r"patience = .* \(Stop\) should be a whole number"):
        Stop(patience=patience)  # type: ignore[arg-type]


def test_a_whole_number_is_a_number() -> None:
    assert Toy.model_validate_json('{"rate": 1}').rate == 1.0


def test_an_unknown_key_is_refused() -> None:
    assert reasons(ratte=1) == {"ratte": "is not a known key"}


def test_a_default_is_validated_too() -> None:
    class Bad(Configuration):
        patience: Annotated[int, Field(ge=1)] = 0

    with pytest.raises(ConfigurationError):
        Bad()


def test_nan_and_infinity_are_refused_unless_the_field_allows_them() -> None:
    assert reasons(rate=nan) == {"rate": "should be a finite number"}
    assert Toy.model_validate_json('{"cap": -Infinity}').cap == -inf


def test_a_full_dump_comes_back_equal() -> None:
    toy = Toy(fallback=Mean(name="average"), sizes=(1, 2), limits={"a": 1.0}, betas=(0.0, 1.0))
    assert Toy.model_validate_json(toy.model_dump_json()) == toy


def test_the_default_tree_is_the_full_dump_of_the_defaults() -> None:
    assert default_tree(Toy) == Toy().model_dump(mode="json")


def test_the_default_tree_leaves_out_what_is_required_and_calls_factories() -> None:
    class Partly(Configuration):
        path: Path
        folder: Path = Path("runs")
        stop: Stop = Field(default_factory=lambda: Stop(patience=2))

    assert default_tree(Partly) == {"folder": "runs", "stop": {"patience": 2}}


def test_choices_are_the_models_of_a_union_by_every_name_they_have() -> None:
    assert choices(Weighting | None) == {"mean": Mean, "average": Mean, "power": Power}
    assert choices(Stop | None) == {"": Stop}
    assert choices(int | str) == {}


def test_a_union_of_models_needs_a_name_in_each() -> None:
    with pytest.raises(TypeError, match=r'needs `name: Literal\["…"\]` in each of them: Stop, Power'):
        choices(Stop | Power)


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("annotation", "text", "none"),
    [
        (str, True, False),
        (str | None, True, True),
        (Annotated[str, Field(min_length=1)] | int, True, False),
        (Path, True, False),
        (Colour, True, False),
        (datetime.date | None, True, True),
        (Literal["a", 1], True, False),
        (Literal[1, 2], False, False),
        (int | float | None, False, True),
        (tuple[str, ...], False, False),
        (Weighting | None, False, True),
    ],
)
def test_a_type_says_whether_it_admits_text_and_none(annotation: Any, text: bool, none: bool) -> None:
    assert (admits_text(annotation), admits_none(annotation)) == (text, none)


def test_a_type_says_what_its_table_holds() -> None:
    assert table_values(dict[str, float] | None) is float
    assert table_values(dict) is Any
    assert table_values(Any) is Any
    assert table_values(list[int]) is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"rate": True}, {"rate": "should be a number"}),
        ({"rate": ".001"}, {"rate": "should be a number (written 0.001 or 1e-3)"}),
        ({"stop": {"patience": 1.0}}, {"stop.patience": "should be a whole number"}),
        ({"stop": {"patience": "x"}}, {"stop.patience": "should be a whole number (written 12 or 3_000)"}),
        ({"stop": {"patience": 0}}, {"stop.patience": "should be greater than or equal to 1"}),
        ({"stop": 3}, {"stop": "should be a table"}),
        ({"model_name": 7}, {"model_name": "should be text"}),
        ({"model_name": "unknown"}, {"model_name": "this one is reserved"}),
        ({"betas": 0.9}, {"betas": "should be a list"}),
        ({"betas": "0.9"}, {"betas": 'should be a list (written ["a", "b"])'}),
        ({"betas": [0.9]}, {"betas[1]": "is missing and has no default"}),
        ({"limits": {"a": "x"}}, {"limits.a": "should be a number (written 0.001 or 1e-3)"}),
        ({"limits": 1}, {"limits": "should be a table"}),
        ({"width": 1.5}, {"width": "should be a whole number or a list"}),
        (
            {"width": [1, "x"]},
            {"width": "should be a whole number", "width[1]": "should be a whole number (written 12 or 3_000)"},
        ),
        ({"sizes": [1, 2, 3]}, {"": "at most 2 sizes fit"}),
    ],
)
def test_a_refusal_gives_the_key_and_the_reason(settings: dict[str, object], expected: dict[str, str]) -> None:
    assert reasons(**settings) == expected


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"weighting": {"name": "power", "exponent": 3}}, "weighting.exponent"),
        ({"fallback": {"name": "power", "exponent": 3}}, "fallback.exponent"),
        ({"several": [{"name": "mean"}, {"name": "power", "exponent": 3}]}, "several[1].exponent"),
    ],
)
def test_the_key_of_a_refusal_holds_no_name_of_a_choice(settings: dict[str, object], key: str) -> None:
    assert reasons(**settings) == {key: "should be less than or equal to 2"}


def test_the_text_of_a_refusal_gives_value_source_and_meaning() -> None:
    with pytest.raises(ValidationError) as caught:
        Toy.model_validate_json('{"weighting": {"name": "power", "exponent": 3}}')
    (refusal,) = refusals(Toy, caught.value)
    assert refusal.text("recipe") == (
        "weighting.exponent = 3 (recipe) should be less than or equal to 2\n"
        "    weighting.exponent: Of an item's count; 1 keeps the counts."
    )


def test_a_long_value_is_shortened_in_a_message() -> None:
    with pytest.raises(ValidationError) as caught:
        Toy.model_validate_json(json.dumps({"rate": "x" * 99}))
    (refusal,) = refusals(Toy, caught.value)
    assert refusal.text("recipe").startswith(f'rate = "{"x" * 56}... (recipe) should be')


def test_toml_becomes_a_tree_with_dates_as_text() -> None:
    text = "when = 2015-01-01\nat = [07:30:00]\n[loss]\ncount = 3_000\n"
    assert load_toml(text, "r.toml") == {"when": "2015-01-01", "at": ["07:30:00"], "loss": {"count": 3000}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = yes\n", "r.toml:2:5: this is not TOML: Invalid value"),
        ("a = 1\na = 2\n", "r.toml:2:6: this is not TOML: Cannot overwrite a value"),
        ('a = 1\nb = "x', "r.toml:2: this is not TOML: Unterminated string"),
        ("a = " + "[" * 9999, "r.toml: this is not TOML: lists or tables are nested too deeply"),
    ],
)
def test_a_fault_in_toml_is_located(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_toml(text, "r.toml")
    assert str(caught.value) == message


def test_toml_with_a_very_deep_table_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^r.toml: lists or tables are nested too deeply$"):
        load_toml(".".join("a" * 5000) + " = 1", "r.toml")


LOSSES = ["cross_entropy", "binary_cross_entropy", "gbce", "sampled_cross_entropy"]


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("gbec", LOSSES, "'gbce'"),
        ("ce", LOSSES, "'cross_entropy' or 'gbce'"),
        ("bce", LOSSES, "'binary_cross_entropy' or 'gbce'"),
        ("cross", LOSSES, "'cross_entropy' or 'binary_cross_entropy' or 'sampled_cross_entropy'"),
        ("Cross-Entropy", LOSSES, "'cross_entropy'"),
        ("ml1m", ["ml_1m", "ml_20m", "beauty"], "'ml_1m' or 'ml_20m'"),
        ("lr", ["learning_rate", "epochs"], "'learning_rate'"),
        ("recall@10", ["ndcg@10", "recall@5"], "'recall@5'"),
    ],
)
def test_the_nearest_words_are_suggested(word: str, known: list[str], near: str) -> None:
    assert suggest(word, known) == f"did you mean {near}? Known: {', '.join(known)}"


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert suggest("quadratic", ["gbce", "bpr"]) == "known: gbce, bpr"
    assert suggest("x", []) == "known: none at all"
