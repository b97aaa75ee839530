"""Nobody outside a shelf asks which of its entries there is: what differs is a fact or a method of the entry itself."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from nextitem.settings.annotations import choices

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "nextitem"
SHELVES = {
    "model/encoders": "AnyEncoder",
    "model/items": "AnyItems",
    "model/objectives": "AnyObjective",
    "model/losses": "AnyLoss",
    "model/negatives": "AnyNegatives",
    "model/baselines": "AnyBaseline",
    "data/splits": "AnySplit",
}
PROBES = {"getattr", "hasattr"}


def entries(shelf: str) -> set[str]:
    """The classes on a shelf."""
    contents = import_module(f"nextitem.{shelf.replace('/', '.')}")
    return {model.__name__ for model in choices(getattr(contents, SHELVES[shelf])).values()}


def calls(file: Path, *functions: str) -> Iterator[ast.Call]:
    """The calls of these functions in a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            yield node


def names_in(node: ast.AST) -> set[str]:
    """Names and last attributes that an expression mentions."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} | {
        part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)
    }


@pytest.mark.parametrize("shelf", SHELVES)
def test_no_entry_is_asked_for_by_its_class_outside_its_shelf(shelf: str) -> None:
    outside = [file for file in PACKAGE.rglob("*.py") if not file.is_relative_to(PACKAGE / shelf)]
    asked = {
        f"{file.relative_to(PACKAGE)}:{call.lineno}: {ast.unparse(call)}"
        for file in outside
        for call in calls(file, "isinstance", "issubclass")
        if names_in(call.args[1]) & entries(shelf)
    }
    assert not asked


def test_no_configuration_is_probed_for_a_setting_it_may_not_have() -> None:
    """A probe with a name in quotes is a fact that has no place yet; the exceptions are no configurations of ours."""
    elsewhere = {"ctypes.CDLL(None)", "error"}
    probed = {
        f"{file.relative_to(PACKAGE)}:{call.lineno}: {ast.unparse(call)}"
        for file in PACKAGE.rglob("*.py")
        if not file.is_relative_to(PACKAGE / "settings")  # which reads annotations of any kind
        for call in calls(file, *PROBES)
        if isinstance(call.args[1], ast.Constant) and ast.unparse(call.args[0]) not in elsewhere
    }
    assert not probed
