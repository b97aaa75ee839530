"""Words are found in one place, and pages are filled in without a surprise."""

from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from nextitem.words import NOTHING, filled

PACKAGE = Path(str(files("nextitem")))
CARD = {
    "name": "<b> {{ name }} | *x*", "data": "events.csv", "kind": "popularity", "is_counted": True, "epochs": 0,
    "best_epoch": 0, "users": 1234, "items": 5, "validation": {"ndcg@10": 0.5}, "test": {"ndcg@10": 0.25},
    "intervals": {"ndcg@10": (0.125, 0.375)}, "ceiling": 0.75, "split": "Leave-one-out", "cases": 1234,
    "asked": "1,234 cases", "baselines": {}, "notes": (), "made_of": None, "hidden": "the history hidden",
    "made": dict.fromkeys(("seed", "nextitem", "torch", "device", "processor", "started"), "?") | {"threads": 4},
}  # fmt: skip
TEMPLATE = "experiment/folder/templates/card.md"


def test_what_is_filled_into_markdown_stays_as_it_is() -> None:
    first, *lines = filled(TEMPLATE, CARD).splitlines()
    assert first == "# <b> {{ name }} | *x* on events.csv"
    assert "Next-item recommender (popularity) over 5 items, counted on the training events of 1,234 users." in lines
    assert "| ndcg@10 | 0.5000 | 0.2500 | 0.1250 – 0.3750 |" in lines
    assert any("25.00 % of the test targets" in line for line in lines)


def test_a_page_ends_with_its_line() -> None:
    assert filled(TEMPLATE, CARD).endswith("Every file's sha256 is in manifest.json.\n")


def test_what_a_template_asks_for_has_to_be_there() -> None:
    with pytest.raises(UndefinedError, match="'kind' is undefined"):
        filled(TEMPLATE, {key: value for key, value in CARD.items() if key != "kind"})


def test_the_sign_for_nothing_is_written_in_one_place() -> None:
    found = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if any(f"{quote}{NOTHING}{quote}" in file.read_text(encoding="utf-8") for quote in "\"'")
    ]
    assert found == ["words.py"]
