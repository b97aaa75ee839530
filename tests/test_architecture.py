"""docs/architecture.md shows the house as it is: every module stands on the floor that the import contract gives it."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
FLOORS = ("roof", "third", "second", "first", "ground")


def modules() -> set[str]:
    """What is in the package, without its public names."""
    names = (entry.name for entry in files("nextitem").iterdir() if not entry.name.endswith(("__init__.py", "typed")))
    return {name.removesuffix(".py") for name in names} - {"__pycache__", "recipes", "studies"}


def shown() -> dict[str, str]:
    """The floor of each module, as the table of the page has it."""
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found, floor = {}, ""
    for cell, names in re.findall(r"^\| (\w*) ?\| (`.*?) \|", page, re.MULTILINE):
        floor = cell or floor
        found |= dict.fromkeys((name.strip("/") for name in re.findall(r"`(\w+/?)`", names)), floor)
    return {name: floor for name, floor in found.items() if floor in FLOORS}


def contract() -> dict[str, str]:
    """The floor of each module that exists, as the import contract has it; the roof has several lines."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(one["layers"] for one in settings["contracts"] if one["id"] == "floors")
    floors = ["roof"] * (len(layers) - len(FLOORS) + 1) + list(FLOORS[1:])
    pairs = zip(layers, floors, strict=True)
    return {name: floor for line, floor in pairs for name in re.findall(r"\w+", line) if name in modules()}


def test_every_module_is_shown_on_its_floor() -> None:
    assert shown() == contract()
    assert shown().keys() == modules()
