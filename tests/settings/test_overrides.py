"""One override is read; a field takes its own kind of value; what is written comes back."""

import contextlib
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextitem.errors import ConfigurationError
from nextitem.settings.overrides import parse_override, resolve
from worlds.toys import QUOTE_AND_SLASH, Adam, Gbce, Popularity, Toy, Training, Uniform, complaint, toy

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
        ("a=.5", "a", 0.5),
        ("a=-.5e1", "a", -5.0),
        ("a=1.", "a", 1.0),
        ("a=.", "a", "."),
        ("a=.5.", "a", ".5."),
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


@pytest.mark.parametrize("text", ["loss", "=3", "a b=3", ".a=3", "a.=3", "a..b=3", '""=3', '"a=3', "é=3"])
def test_a_key_is_words_and_dots(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_override(text)
    assert str(caught.value) == f"{text!r} is not an override: write key=value, such as negatives.count=3000"


def test_a_word_that_is_not_bare_stands_in_quotes() -> None:
    assert parse_override('kinds."add to cart"=0.5') == (("kinds", "add to cart"), 0.5)
    assert parse_override('kinds."a.b"=1') == (("kinds", "a.b"), 1)


def test_a_file_without_a_key_is_taken_for_the_data() -> None:
    with pytest.raises(ConfigurationError, match=r"^'log/L\.csv' is not an override: .* such as data=log/L\.csv$"):
        parse_override("log/L.csv")


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
