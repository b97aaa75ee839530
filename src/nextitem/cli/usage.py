"""The options of verbs as usage.json has them, so that help and completion import nothing of what verbs do.

A verb's file takes seconds to import, most of them torch's, and its options stand in it, as they should.
`tools/reference.py` writes them down, and proves in every check that usage.json still says the same.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import typer
from typer.core import TyperCommand
from typer.models import ArgumentInfo

USAGE = "usage.json"
_PLAIN: Mapping[str, type] = {kind.__name__: kind for kind in (bool, int, float, str, Path)}
_SAID = ("metavar", "help", "min", "max")


def command_of(name: str, verb: Callable[..., None]) -> TyperCommand:
    """The command of one function."""
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    one.command(name)(verb)
    return cast(TyperCommand, typer.main.get_command(one))  # of a single verb


def usage_of(name: str) -> TyperCommand:
    """A verb as far as its options go, which does nothing: what is typed is understood and refused as by the verb."""

    def verb() -> None:
        """Says what the verb says, and takes what it takes."""

    said = _usages()[name]
    verb.__doc__ = said["help"]
    verb.__signature__ = inspect.Signature([_read(**one) for one in said["options"]])  # type: ignore[attr-defined]
    return command_of(name, verb)


def written(verbs: Mapping[str, Callable[..., None]]) -> str:
    """What usage.json has to hold: an option a line."""
    sections = []
    for name, verb in verbs.items():
        options = map(_written, inspect.signature(verb).parameters.values())
        lines = ",\n".join(f"    {json.dumps(one, ensure_ascii=False)}" for one in options)
        said = json.dumps(inspect.getdoc(verb), ensure_ascii=False)
        sections.append(f'  "{name}": {{\n   "help": {said},\n   "options": [\n{lines}\n   ]\n  }}')
    return "{\n" + ",\n".join(sections) + "\n}\n"


@cache
def _usages() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((files("nextitem.cli") / USAGE).read_text(encoding="utf-8"))
    return found


def _written(parameter: inspect.Parameter) -> dict[str, Any]:
    kind, declared = get_args(parameter.annotation)  # Annotated, as all options are
    is_list, inner = _inner(kind)
    is_required = parameter.default is inspect.Parameter.empty
    default = None if is_required else parameter.default
    one = {
        "name": parameter.name,
        "is_argument": isinstance(declared, ArgumentInfo),
        "kind": [choice.value for choice in inner] if issubclass(inner, Enum) else inner.__name__,
        "is_list": is_list,
        "is_parsed": declared.parser is not None,
        "is_required": is_required,
        "names": [one for one in (declared.default, *(declared.param_decls or ())) if isinstance(one, str)],
        **{word: getattr(declared, word) for word in _SAID},
    }
    said = {word: value for word, value in one.items() if value is not None and value is not False and value != []}
    return (
        said if default is None else {**said, "default": default if isinstance(default, int | float) else str(default)}
    )


def _inner(kind: Any) -> tuple[bool, Any]:
    """(whether it is a list, what one value is) of a type that may be None too."""
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    return (True, get_args(kind)[0]) if get_origin(kind) is list else (False, kind)


def _read(
    name: str,
    kind: str | list[str],
    *,
    is_argument: bool = False,
    is_list: bool = False,
    is_parsed: bool = False,
    is_required: bool = False,
    **said: Any,
) -> inspect.Parameter:
    """A parameter as `_written` wrote it."""
    names, default = said.pop("names", ()), said.pop("default", None)
    one: Any = Literal[tuple(kind)] if isinstance(kind, list) else type(kind, (), {}) if is_parsed else _PLAIN[kind]
    if is_parsed:  # by the verb, to a type of its own: here its name is what help shows of it
        said["parser"] = str
    of_all: Any = list[one] if is_list else one
    declared = (typer.Argument if is_argument else typer.Option)(*names, **said)
    annotation: Any = Annotated[of_all if is_required or default is not None else of_all | None, declared]
    default = inspect.Parameter.empty if is_required else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
