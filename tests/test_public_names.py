"""The names that `import nextitem` gives: all there are to build on, in the order of the road."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import nextitem
from nextitem import errors, public
from nextitem.experiment.recipe import Recipe
from nextitem.settings.annotations import members

ROAD = ["data", "model", "training", "experiment", "evaluation", "engine", "studies", "serving", "errors"]
SHELVES = ["items", "encoders", "prefix", "objectives", "losses", "negatives", "baselines"]


NAMES = [name for name in nextitem.__all__ if not name.startswith("Any")]  # those are unions, which have no home


def home(name: str) -> str:
    """The module in which a public name is defined."""
    return str(getattr(nextitem, name).__module__)


def test_public_names_stand_in_the_order_of_the_road() -> None:
    rooms = [ROAD.index(home(name).split(".")[1]) for name in NAMES]
    assert rooms == sorted(rooms)
    assert set(rooms) == set(range(len(ROAD)))


def test_the_names_of_a_shelf_stand_together() -> None:
    shelves = [home(name).split(".")[2] for name in NAMES if home(name).startswith("nextitem.model.")]
    assert sorted(shelves, key=SHELVES.index) == shelves


def test_no_name_stands_there_twice_and_all_can_be_seen() -> None:
    assert len(set(nextitem.__all__)) == len(nextitem.__all__)
    assert set(nextitem.__all__) <= set(dir(nextitem))


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(nextitem, name))


def choices(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Every configuration that may stand in a field of the model, or in one of theirs."""
    for field in model.model_fields.values():
        for member in members(field.annotation):
            if isinstance(member, type) and issubclass(member, BaseModel):
                yield member
                yield from choices(member)


def test_whatever_a_recipe_may_be_made_of_is_public() -> None:
    public = {getattr(nextitem, name) for name in nextitem.__all__}
    assert [choice.__name__ for choice in {*choices(Recipe)} if choice not in public] == []


def test_every_error_is_public() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert {name for name in nextitem.__all__ if name.endswith("Error")} == kinds


def test_what_is_imported_later_is_told_to_type_checkers_and_comes_from_the_same_place() -> None:
    tree = ast.parse(Path(inspect.getfile(public)).read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in checked.body if isinstance(node, ast.ImportFrom)]
    told = {alias.name: node.module for node in imports for alias in node.names}
    assert told == public._LATER
    for name, module in told.items():
        assert getattr(nextitem, name) is getattr(importlib.import_module(str(module)), name)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'nextitem' has no attribute 'foresee'"):
        _ = nextitem.foresee


def test_importing_the_package_waits_for_nothing_that_few_programs_need() -> None:
    told = subprocess.run(
        (sys.executable, "-c", "import sys; from nextitem import Recipe; print(*sys.modules)"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    later = {"matplotlib", "jinja2", "rich", "typer", "optuna", "implicit", "scipy", "mlflow", "tensorboard"}
    rooms = {"nextitem.cli", "nextitem.report", "nextitem.studies", "nextitem.engine", *public._LATER.values()}
    assert set(told) & (later | rooms) == set()


def test_the_package_alone_imports_no_library_so_that_help_and_completion_answer_at_once() -> None:
    asks = "import sys; from nextitem.cli import app; from nextitem import __main__; print(*sys.modules)"
    told = subprocess.run((sys.executable, "-c", asks), capture_output=True, text=True, check=True).stdout.split()
    assert set(told) & {"torch", "numpy", "polars", "pydantic", "nextitem.public"} == set()


@pytest.mark.parametrize("page", ["README.md", "examples/quickstart.ipynb"])
def test_what_is_shown_to_beginners_uses_public_names_alone(page: str) -> None:
    text = (Path(__file__).resolve().parent.parent / page).read_text(encoding="utf-8")
    assert re.findall(r"(?:from|import) nextitem\.\S+", text) == []
    imported = re.findall(r"from nextitem import (?:\(([^)]*)\)|(.*))", text)
    names = {name for pair in imported for name in re.findall(r"\w+", "".join(pair).replace("\\n", ""))}
    assert names
    assert names <= set(nextitem.__all__)
