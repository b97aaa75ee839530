import contextlib
import json
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from nextitem.configuration import Configuration
from nextitem.errors import ConfigurationError
from nextitem.overrides import load_toml, parse_override, resolve


class CrossEntropy(Configuration):
    name: Literal["cross_entropy"] = "cross_entropy"
    temperature: Annotated[float, Field(gt=0)] = 1.0


class Gbce(Configuration):
    name: Literal["gbce"] = "gbce"
    t: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Calibration: 0 is plain BCE, 1 unbiased."""
    count: Annotated[int, Field(ge=1)] = 256


class Uniform(Configuration):
    name: Literal["uniform"] = "uniform"
    count: int = 1


class Popularity(Configuration):
    name: Literal["popularity"] = "popularity"
    exponent: float


class Adam(Configuration):
    name: Literal["adam"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)


class Training(Configuration):
    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the training windows."""
    learning_rate: float = 1e-3
    mixed: bool = False
    optimiser: Adam = Adam()


Negatives = Annotated[Uniform | Popularity, Field(discriminator="name")]


class Toy(Configuration):
    title: str = "toy"
    note: str | None = None
    folder: Path = Path("runs")
    device: int | str = "cpu"
    mode: Literal["fast", "slow"] = "fast"
    clip: Annotated[float, Field(gt=0)] | None = None
    cap: Annotated[float, Field(allow_inf_nan=True)] = 1.0
    metrics: tuple[str, ...] = ("ndcg@10",)
    limits: dict[str, float] = Field(default_factory=dict)
    source: Literal["synthetic"] | Uniform = "synthetic"
    loss: Annotated[CrossEntropy | Gbce, Field(discriminator="name")] = CrossEntropy()
    negatives: Negatives | None = None
    training: Training = Training()

    @model_validator(mode="after")
    def _agrees(self) -> "Toy":
        if self.loss.name == "cross_entropy" and self.negatives is not None:
            raise ValueError("cross_entropy takes no negatives; drop them or choose gbce")
        return self


QUOTE_AND_SLASH = '"\\'
GBCE = {"loss": {"name": "gbce", "t": 0.5}}


def toy(*overrides: str, layers: Sequence[tuple[str, Mapping[str, object]]] = ()) -> Toy:
    return resolve(Toy, layers, overrides).value


def said(*overrides: str, layers: Sequence[tuple[str, Mapping[str, object]]] = ()) -> dict[str, str]:
    """Everything whose source is not a default."""
    sources = resolve(Toy, layers, overrides).sources
    return {key: label for key, label in sources.items() if label != "default"}


def complaint(*overrides: str, layers: Sequence[tuple[str, Mapping[str, object]]] = ()) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolve(Toy, layers, overrides)
    return str(caught.value)


# Reading one override


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a=1", "a", 1),
        ("loss.count=3_000", "loss.count", 3000),
        ("a-b.c_d.3=true", "a-b.c_d.3", True),
        ("a=1e-3", "a", 0.001),
        ("a=0x10", "a", 16),
        ("a=inf", "a", inf),
        ("a=x=y", "a", "x=y"),
        ("a=", "a", ""),
        ("a=gbce", "a", "gbce"),
        ("a=no", "a", "no"),
        ("a=True", "a", "True"),
        ("a=007", "a", "007"),
        ("a=.5", "a", ".5"),
        ("a=${oc.env:HOME}", "a", "${oc.env:HOME}"),
        ('a="b c"', "a", "b c"),
        ("a='b'", "a", "b"),
        ("a= 1 # one", "a", 1),
        ("a=#1", "a", "#1"),
        ("a=b\nc", "a", "b\nc"),
        ("a=1\nb=2", "a", "1\nb=2"),
        ("a=2015-01-01", "a", "2015-01-01"),
        ("a=07:30:00.50", "a", "07:30:00.50"),
        ('a=[1, "b", 2015-01-01]', "a", [1, "b", "2015-01-01"]),
        ('a={b=1, c.d="e"}', "a", {"b": 1, "c": {"d": "e"}}),
    ],
)
def test_an_override_is_a_key_and_a_toml_value_or_text(text: str, key: str, value: object) -> None:
    assert parse_override(text) == (tuple(key.split(".")), value)
    assert type(parse_override(text)[1]) is type(value)


@pytest.mark.parametrize("text", ["loss", "=3", "a b=3", ".a=3", "a.=3", "a..b=3", '"a"=3', "é=3"])
def test_a_key_is_words_and_dots(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_override(text)
    assert str(caught.value) == f"{text!r} is not an override: write key=value, such as loss.count=3000"


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("a=[x, y]", "Invalid value"),
        ('a="x', "Unterminated string"),
        ("a='x' y", "Expected newline or end of document after a statement"),
        ("a={b=1}\n[c]", "more than one value"),
        ("a=" + "[" * 9999, "lists or tables are nested too deeply"),
    ],
)
def test_what_begins_with_a_quote_or_bracket_must_be_toml(text: str, fact: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_override(text)
    assert str(caught.value) == (
        f"{text!r} begins like TOML but is not ({fact}): "
        "text in it needs quotes, and the shell needs quotes around the whole to keep them"
    )


def test_an_override_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^the override 'a=\\udcff' is not valid UTF-8: type it anew$"):
        parse_override("a=\udcff")


# What a field makes of a value


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("title=007", "007"),
        ("title=1e3", "1e3"),
        ("title=true", "true"),
        ("title=none", "none"),
        ("title= x ", " x "),
        ("title=", ""),
        ('title="007"', "007"),
        ("title=[1, 2]", "[1, 2]"),
        ("title=2015-01-01", "2015-01-01"),
        ("note=5", "5"),
        ("note=none", None),
        ("note=null", None),
        ('note="none"', "none"),
        ("folder=7", Path("7")),
        ("mode=slow", "slow"),
        ("device=1", 1),
        ("device=01", "01"),
        ("device=cuda:0", "cuda:0"),
        ("clip=2", 2.0),
        ("clip=none", None),
        ("cap=inf", inf),
        ('metrics=["ndcg@5", "mrr"]', ("ndcg@5", "mrr")),
        ("metrics=[]", ()),
        ("limits={a=1, b=2.5}", {"a": 1.0, "b": 2.5}),
        ("limits.a=1", {"a": 1.0}),
        ("source=synthetic", "synthetic"),
        ("source=uniform", Uniform()),
        ("source.count=5", Uniform(count=5)),
        ("loss=gbce", Gbce()),
        ('loss="gbce"', Gbce()),
        ('loss={name="gbce", count=7}', Gbce(count=7)),
        ("negatives=none", None),
        ("training={epochs=3}", Training(epochs=3)),
    ],
)
def test_a_field_takes_its_own_kind_of_value(override: str, value: object) -> None:
    settings = toy(override, layers=[("recipe", {"loss": {"name": "gbce"}})])
    found = getattr(settings, override.partition("=")[0].partition(".")[0])
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("override", "value"),
    [("training.learning_rate=1", 1.0), ("training.epochs=3", 3), ("training.mixed=true", True)],
)
def test_a_nested_field_takes_its_own_kind_of_value(override: str, value: object) -> None:
    found = getattr(toy(override).training, override[len("training.") : override.index("=")])
    assert found == value
    assert type(found) is type(value)


def test_in_a_file_none_is_a_word_only_to_a_field_that_takes_words() -> None:
    settings = toy(layers=[("recipe", {"note": "none", "clip": 1.0}), ("profile", {"clip": "none"})])
    assert (settings.note, settings.clip) == ("none", None)


def test_in_a_file_a_number_is_no_text() -> None:
    assert complaint(layers=[("recipe", {"title": 7})]) == "title = 7 (recipe) should be text"


# Merging


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


# Messages

KEYS = "title, note, folder, device, mode, clip, cap, metrics, limits, source, loss, negatives, training"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["titel=x"], f"titel (command line): no such key; did you mean 'title'? Known: {KEYS}"),
        (["loss.cuont=3"], "loss.cuont (command line): no such key; did you mean 'count'? Known: name, t, count"),
        (
            ["epoch=3"],
            f"epoch (command line): no such key; perhaps you mean training.epochs; known: {KEYS}",
        ),
        (
            ["loss.temperature=3"],
            "loss.temperature (command line): no such key; it belongs to loss=cross_entropy; known: name, t, count",
        ),
        (
            ["loss=gcbe"],
            "loss = \"gcbe\" (command line): no such choice; did you mean 'gbce'? Known: cross_entropy, gbce",
        ),
        (["loss=3"], "loss = 3 (command line): no such choice; known: cross_entropy, gbce"),
        (["loss=none"], 'loss = "none" (command line): no such choice; known: cross_entropy, gbce'),
        (
            ["negatives.count=3"],
            "negatives (command line) needs negatives.name to say which; known: uniform, popularity",
        ),
        (
            ["training=fast"],
            'training = "fast" (command line) should be a table; its keys: epochs, learning_rate, mixed, optimiser',
        ),
        (["title.x=1"], "title (command line) takes one value and no keys below it; given: x"),
        (["title=a", "title.x=1"], "title (command line) takes one value and no keys below it; given: x"),
        (
            ["negatives=none", "negatives.count=3"],
            "negatives (command line) takes one value and no keys below it; given: count",
        ),
        (["clip={}"], "clip (command line) takes one value and no keys below it; given: an empty table"),
        (["limits.a.b=1"], "limits.a (command line) takes one value and no keys below it; given: b"),
        (["title=a", "title=b"], 'title is given two values, "a" and "b": keep one'),
        (["training.epochs=1", "training={epochs=2}"], "training.epochs is given two values, 1 and 2: keep one"),
        (
            ["loss=gbce", "loss.name=cross_entropy"],
            'loss.name is given two values, "cross_entropy" and "gbce": keep one',
        ),
        (
            ["training.epochs=0"],
            "training.epochs = 0 (command line) should be greater than or equal to 1\n"
            "    training.epochs: Passes over the training windows.",
        ),
        (
            ["training.epochs=1.0"],
            "training.epochs = 1.0 (command line) should be a whole number\n"
            "    training.epochs: Passes over the training windows.",
        ),
        (
            ["training.epochs=true"],
            "training.epochs = true (command line) should be a whole number\n"
            "    training.epochs: Passes over the training windows.",
        ),
        (
            ["loss.t=2"],
            "loss.t = 2 (command line) should be less than or equal to 1\n"
            "    loss.t: Calibration: 0 is plain BCE, 1 unbiased.",
        ),
        (
            ["training.learning_rate=.001"],
            'training.learning_rate = ".001" (command line) should be a number (written 0.001 or 1e-3)',
        ),
        (["training.learning_rate=nan"], "training.learning_rate = NaN (command line) should be a finite number"),
        (["training.mixed=True"], 'training.mixed = "True" (command line) should be true or false'),
        (["clip=0"], "clip = 0 (command line) should be greater than 0"),
        (["mode=fsat"], "mode = \"fsat\" (command line) should be 'fast' or 'slow'"),
        (["mode=7"], "mode = \"7\" (command line) should be 'fast' or 'slow'"),
        (["metrics=mrr"], 'metrics = "mrr" (command line) should be a list (written ["a", "b"])'),
        (['metrics=["mrr", 5]'], "metrics[1] = 5 (command line) should be text"),
        (["limits=3"], "limits = 3 (command line) should be a table"),
        (["limits.a=x"], 'limits.a = "x" (command line) should be a number (written 0.001 or 1e-3)'),
        (["negatives=popularity"], "negatives.exponent is missing and has no default"),
        (["loss=cross_entropy", "negatives=uniform"], "cross_entropy takes no negatives; drop them or choose gbce"),
    ],
)
def test_a_message_names_the_key_the_value_and_the_remedy(overrides: list[str], message: str) -> None:
    assert complaint(*overrides, layers=[("recipe", {"loss": {"name": "gbce"}})]) == message


def test_a_message_names_the_layer_that_is_wrong() -> None:
    assert complaint(layers=[("recipe", GBCE), ("profile", {"loss": {"t": 2}})]).startswith(
        "loss.t = 2 (profile) should"
    )
    assert complaint("title=x", layers=[("recipe", {"los": "gbce"})]).startswith("los (recipe): no such key; did you")


def test_several_problems_are_listed_together() -> None:
    assert complaint("titel=x", "loss=gcbe", 'metrics="', "clip=0", "training.epochs=0") == (
        "5 settings cannot be used:\n"
        "- 'metrics=\"' begins like TOML but is not (Unterminated string): "
        "text in it needs quotes, and the shell needs quotes around the whole to keep them\n"
        f"- titel (command line): no such key; did you mean 'title'? Known: {KEYS}\n"
        "- loss = \"gcbe\" (command line): no such choice; did you mean 'gbce'? Known: cross_entropy, gbce\n"
        "- clip = 0 (command line) should be greater than 0\n"
        "- training.epochs = 0 (command line) should be greater than or equal to 1\n"
        "    training.epochs: Passes over the training windows."
    )


def test_a_wrong_key_hides_no_other_problem_and_is_reported_once() -> None:
    class Strict(Configuration):
        loss: Annotated[CrossEntropy | Gbce, Field(discriminator="name")]

    with pytest.raises(ConfigurationError) as caught:
        resolve(Strict, [], ["loss=gcbe", "foo"])
    assert str(caught.value) == (
        "2 settings cannot be used:\n"
        "- 'foo' is not an override: write key=value, such as loss.count=3000\n"
        "- loss = \"gcbe\" (command line): no such choice; did you mean 'gbce'? Known: cross_entropy, gbce"
    )


def test_a_number_beyond_all_bounds_is_refused() -> None:
    assert complaint(f"training.epochs=0x1{'0' * 5000}").startswith("Invalid JSON: number out of range")


# Round trip


def _overrides(value: object, key: str = "") -> list[str]:
    """A dump written as overrides; strings are quoted, so that none of them is taken for something else."""
    if isinstance(value, dict):
        return [text for word, inner in value.items() for text in _overrides(inner, f"{key}.{word}".lstrip("."))]
    return [f"{key}={_toml(value)}"]


def _toml(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        escaped = (f"\\U{ord(c):08x}" if c in QUOTE_AND_SLASH or not c.isprintable() else c for c in value)
        return f'"{"".join(escaped)}"'
    return str(value).lower()


numbers = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
counts = st.integers(min_value=1)
texts = st.text(st.characters(exclude_categories=["Cs"]))
losses = st.builds(Gbce, t=st.floats(0, 1), count=counts)
negatives = st.builds(Uniform, count=st.integers()) | st.builds(Popularity, exponent=numbers)
trainings = st.builds(
    Training,
    epochs=counts,
    learning_rate=numbers,
    mixed=st.booleans(),
    optimiser=st.builds(Adam, betas=st.tuples(numbers, numbers)),
)
toys = st.builds(
    Toy,
    title=texts,
    note=st.none() | texts,
    folder=st.sampled_from([Path("a"), Path("7"), Path("a b/c=d")]),
    device=st.integers() | texts,
    mode=st.sampled_from(["fast", "slow"]),
    clip=st.none() | positive,
    cap=st.floats(allow_nan=False),
    metrics=st.lists(texts).map(tuple),
    limits=st.dictionaries(st.from_regex(r"[A-Za-z0-9_-]+", fullmatch=True), numbers),
    source=st.just("synthetic") | st.builds(Uniform),
    loss=losses,
    negatives=st.none() | negatives,
    training=trainings,
)


@given(toys, toys)
def test_a_dump_written_as_overrides_comes_back_equal(wanted: Toy, recipe: Toy) -> None:
    layers = [("recipe", recipe.model_dump(mode="json", exclude={"limits"}))]
    found = resolve(Toy, layers, _overrides(wanted.model_dump(mode="json")))
    assert found.value == wanted
    assert "recipe" not in found.sources.values()


@given(toys)
def test_a_dump_is_a_layer(wanted: Toy) -> None:
    assert resolve(Toy, [("run", wanted.model_dump(mode="json"))], []).value == wanted


@given(st.lists(st.text(max_size=20) | st.from_regex(r"[a-z.]{1,9}=.{0,9}"), max_size=3))
def test_whatever_is_typed_gives_settings_or_a_message(overrides: list[str]) -> None:
    with contextlib.suppress(ConfigurationError):
        assert isinstance(toy(*overrides), Toy)
