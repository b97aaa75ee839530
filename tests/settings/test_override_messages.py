"""What cannot be used is named by its key, its value, who said so, and the remedy."""

from typing import Annotated

import pytest
from pydantic import Field

from nextitem.errors import ConfigurationError
from nextitem.settings.configuration import Configuration
from nextitem.settings.overrides import resolve
from worlds.toys import GBCE, CrossEntropy, Gbce, complaint

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
            "loss.temperature (command line): no such key; it belongs to loss=cross_entropy, not to loss=gbce; known: "
            "name, t, count",
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
            ["training.learning_rate=0,001"],
            'training.learning_rate = "0,001" (command line) should be a number (written 0.001 or 1e-3)',
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
        "- 'foo' is not an override: write key=value, such as negatives.count=3000\n"
        "- loss = \"gcbe\" (command line): no such choice; did you mean 'gbce'? Known: cross_entropy, gbce"
    )


def test_a_number_beyond_all_bounds_is_refused() -> None:
    assert complaint(f"training.epochs=0x1{'0' * 5000}").startswith("Invalid JSON: number out of range")
