"""docs/architecture.md shows the house as it is: rooms, files, and the signatures of what travels between them."""

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = Path(str(files("nextitem")))
PAGE = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")


def shown() -> dict[str, set[str]]:
    """The words that the page has about each room or file beside them."""
    (tree,) = re.findall(r"```\nsrc/nextitem/\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, set[str]] = {}
    for line in tree.splitlines():
        if start := re.match(r"  (\w+)(/|\.py) ", line):
            assert start[1] not in found, f"{start[1]} has two lines"
            room = found[start[1]] = set()
            line = line[start.end() :]
        room |= set(re.findall(r"\w+", line))
    return found


def built() -> dict[str, set[str]]:
    """The files and folders below each room."""
    rooms = [
        entry for entry in PACKAGE.iterdir() if not entry.name.startswith(("__", ".")) and entry.suffix != ".typed"
    ]
    return {
        room.stem: {file.stem for file in room.rglob("*.py")} - {"__init__"}
        | {folder.name for folder in room.rglob("*") if folder.is_dir() and folder.name != "__pycache__"}
        for room in rooms
    }


def test_every_room_has_its_line() -> None:
    assert shown().keys() == built().keys()


def test_every_file_is_named_in_its_room() -> None:
    missing = {room: names - shown()[room] for room, names in built().items()}
    assert not any(missing.values()), missing


def signatures() -> dict[str, list[list[str]]]:
    """By name of a function, a class or a method (with its dot) the parameters of everything that is called so."""
    found: dict[str, list[list[str]]] = {}
    for file in PACKAGE.rglob("[!_]*.py"):
        module = import_module(f"nextitem.{file.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.')}")
        for name, one in vars(module).items():
            if getattr(one, "__module__", None) != module.__name__:
                continue
            found.setdefault(name, []).append(parameters(one))
            for method, function in vars(one).items() if inspect.isclass(one) else ():
                if inspect.isroutine(function) or isinstance(function, classmethod):
                    found.setdefault(f".{method}", []).append(parameters(getattr(one, method)))
    return found


def parameters(one: Callable[..., Any]) -> list[str]:
    """What it is called with, or made of."""
    if inspect.isclass(one) and issubclass(one, BaseModel):
        return list(one.model_fields)
    if not callable(one) or (inspect.isclass(one) and issubclass(one, Exception)):
        return []
    return list(inspect.signature(one).parameters)


def shown_calls() -> Iterator[tuple[str, list[str]]]:
    """Each name that the page calls in its list of nouns (a method with its dot), with the parameters shown."""
    (block,) = re.findall(r"## Nouns and signatures\n\n```\n(.*?)```", PAGE, re.DOTALL)
    for name, arguments in re.findall(r"(\.?\w+)\(([^()]*)\)", block):
        words = [re.match(r"\w+", word.strip()) for word in arguments.split(",")]
        yield name, [word[0] for word in words if word]


def is_within(shown: list[str], parameters: list[str]) -> bool:
    """Whether the parameters are there, in that order."""
    rest = iter(parameters)
    return all(word in rest for word in shown)


def test_every_signature_that_is_shown_is_one_of_the_code() -> None:
    known = signatures()
    wrong = [
        (name, shown) for name, shown in shown_calls()
        if not any(is_within(shown, parameters) for parameters in known.get(name, []))
    ]  # fmt: skip
    assert not wrong
