"""What every configuration has in common, what the type of a setting says about its values, and how TOML is read.

The models are the single definition: overrides, recipes, Python construction and stored JSON are all checked by them.
"""

import datetime
import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, to_json, to_jsonable_python

from nextitem.errors import ConfigurationError

_WRITTEN_AS_TEXT = (str, Path, Enum, datetime.date, datetime.time)
_REASONS = {  # pydantic's own words are for programmers, or for JSON; those about ranges and patterns are kept
    "missing": "is missing and has no default",
    "extra_forbidden": "is not a known key",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be text",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "set_type": "should be a list",
    "frozen_set_type": "should be a list",
    "dict_type": "should be a table",
    "model_type": "should be a table",
}
_HINTS = {  # where text was given
    "should be a whole number": " (written 12 or 3_000)",
    "should be a number": " (written 0.001 or 1e-3)",
    "should be a list": ' (written ["a", "b"])',
}


def load_toml(text: str, where: str) -> dict[str, object]:
    """The tree that `text` holds, dates as ISO text. Raises ConfigurationError naming `where`, line and column."""
    try:
        return {key: without_dates(value) for key, value in read_toml(text).items()}
    except RecursionError:
        raise ConfigurationError(f"{where}: lists or tables are nested too deeply") from None
    except ValueError as error:
        fact, place = str(error), where
        if found := re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", fact, re.DOTALL):
            fact = found[1]
            place = f"{where}:{found[2]}:{found[3]}" if found[2] else f"{where}:{len(text.splitlines())}"
        raise ConfigurationError(f"{place}: this is not TOML: {fact}") from None


def read_toml(text: str) -> dict[str, object]:
    """As tomllib. Raises ValueError, also where tomllib would exhaust the stack."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("lists or tables are nested too deeply") from None


def without_dates(value: object) -> object:
    """A value read from TOML, each date or time in it as ISO text, since JSON has none."""
    if isinstance(value, dict):
        return {key: without_dates(below) for key, below in value.items()}
    if isinstance(value, list):
        return [without_dates(element) for element in value]
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


class Configuration(BaseModel):
    """Settings that cannot change, take no unknown key and convert no value; NaN and infinity are refused.

    The string under a field gives its meaning and unit, and is shown when its value is refused. A field that chooses
    between configurations names them by `name: Literal["gbce"] = "gbce"` and `Field(discriminator="name")`; its default
    should be one of them with its own defaults. Validate from JSON (strict mode then accepts a list for a tuple) and
    dump in full. `validate_default` cannot accept a `Path` as a default from JSON: make such a field required.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
        ser_json_inf_nan="constants",  # a field that allows infinity gets it back, where null would be refused
    )


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives that a type is made of: unions opened, Annotated removed; None stays, as NoneType.

    >>> members(Annotated[int | str, "words"] | None)
    (<class 'int'>, <class 'str'>, <class 'NoneType'>)
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(member for part in get_args(annotation) for member in members(part))
    return (annotation,)


def choices(annotation: Any) -> dict[str, type[BaseModel]]:
    """The models that a field of this type may hold, by the name that chooses each; "" for one without a name.

    Raises TypeError for a union of models that a name cannot tell apart.
    """
    found: dict[str, type[BaseModel]] = {}
    models = [m for m in members(annotation) if isinstance(m, type) and issubclass(m, BaseModel)]
    for model in models:
        for name in model_names(model) or ("",):
            found[name] = model
    if "" in found and len(models) > 1:
        known = ", ".join(model.__name__ for model in models)
        raise TypeError(f'a union of configurations needs `name: Literal["…"]` in each of them: {known}')
    return found


def model_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The names by which a union chooses this model, () where it has no `name: Literal["…"]`."""
    field = model.model_fields.get("name")
    if field is None or get_origin(field.annotation) is not Literal:
        return ()
    return get_args(field.annotation)


def admits_none(annotation: Any) -> bool:
    """Whether a field of this type may hold None."""
    return NoneType in members(annotation)


def admits_text(annotation: Any) -> bool:
    """Whether a field of this type may hold what is written as text: a string, a path, a date, a word of a Literal."""
    for member in members(annotation):
        if get_origin(member) is Literal:
            if any(isinstance(value, str) for value in get_args(member)):
                return True
        elif isinstance(member, type) and issubclass(member, _WRITTEN_AS_TEXT):
            return True
    return False


def table_values(annotation: Any) -> Any | None:
    """The type of the values of a table whose keys are free (`dict[str, float]` gives float), None for other types."""
    for member in members(annotation):
        if member is Any:
            return Any
        origin = get_origin(member) or member
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return (*get_args(member), Any, Any)[1]
    return None


def default_tree(model: type[BaseModel]) -> dict[str, object]:
    """The defaults of a model as JSON would hold them, models written out in full; required fields are absent."""
    fields = {key: field for key, field in model.model_fields.items() if not field.is_required()}
    defaults = {key: field.get_default(call_default_factory=True, validated_data={}) for key, field in fields.items()}
    return {key: to_jsonable_python(value, by_alias=False) for key, value in defaults.items()}


@dataclass(frozen=True)
class Refusal:
    """One value that a model does not accept."""

    key: str
    """Its dotted key, without the names of the choices on the way: `loss.t`, `metrics[0]`, "" for the whole."""
    value: object
    """The value given; for a missing one, the table or list that lacks it."""
    reason: str
    """What is wrong, to be read after the key and the value: "should be a number"."""
    meaning: str
    """The string under the field, on one line; "" where there is none."""

    def text(self, source: str) -> str:
        """What to tell the user; `source` is who gave the value."""
        is_value = self.key and self.reason != _REASONS["missing"] and not isinstance(self.value, dict)
        told = f"{self.key} = {shown(self.value)} ({source})" if is_value else self.key
        joint = "" if not told else " " if self.reason.startswith(("should ", "is ")) else ": "
        return f"{told}{joint}{self.reason}" + (f"\n    {self.key}: {self.meaning}" if self.meaning else "")


def refusals(model: type[BaseModel], error: ValidationError) -> list[Refusal]:
    """What `error` says about values for `model`: one entry a key, in the order found."""
    grouped: dict[tuple[str, str], list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        grouped.setdefault(_locate(model, details["loc"]), []).append(details)
    return [Refusal(key, of[0]["input"], _reason(of), meaning) for (key, meaning), of in grouped.items()]


def _reason(several: Collection[ErrorDetails]) -> str:
    """What pydantic says about one value; it says it once for each member of a union."""
    is_text = all(isinstance(one["input"], str) for one in several)
    reasons = dict.fromkeys(_REASONS.get(one["type"]) or _in_our_words(one["msg"]) for one in several)
    first, *others = [reason + _HINTS.get(reason, "") * is_text for reason in reasons]
    return " or ".join([first, *(other.removeprefix("should be ") for other in others)])


def _in_our_words(message: str) -> str:
    message = re.sub(r"^[A-Z]\w* should ", "should ", message)
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _locate(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, str]:
    """The dotted key at pydantic's `location`, in which it also names the member of each union, and its meaning."""
    key, meaning = "", ""
    annotation: Any = model
    for step in location:
        options = [member for member in members(annotation) if member is not NoneType]
        if isinstance(step, int):
            key, annotation = f"{key}[{step}]", (*get_args(options[0]), Any)[0] if len(options) == 1 else Any
        elif len(options) > 1:
            taken = [o for o in options if step in (getattr(o, "__name__", ""), str(o), *_names_of(o))]
            annotation = taken[0] if taken else annotation
        else:
            field = getattr(options[0], "model_fields", {}).get(step)
            annotation = field.annotation if field else table_values(options[0]) or Any
            key, meaning = f"{key}.{step}" if key else step, (field and field.description) or ""
    return key, " ".join(meaning.split())


def _names_of(annotation: Any) -> tuple[str, ...]:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return model_names(annotation) if is_model else ()


def shown(value: object) -> str:
    """A value as a message shows it: as JSON, and not all of a long one."""
    text = to_json(value, inf_nan_mode="constants").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known ones, if any is near, then all of them.

    >>> suggest("bce", ["cross_entropy", "binary_cross_entropy"])
    "did you mean 'binary_cross_entropy'? Known: cross_entropy, binary_cross_entropy"
    """
    wanted, names = _spelling(word), list(known)
    nearness = {name: _nearness(wanted, _spelling(name)) for name in names}
    best = max(nearness.values(), default=0.0)
    enough = 0.6 if best < 3 else 3  # nothing beside a name that differs by case and hyphens alone
    near = sorted((name for name in names if nearness[name] >= enough), key=lambda name: -nearness[name])[:3]
    everything = ", ".join(names) or "none at all"
    if not near:
        return f"known: {everything}"
    return f"did you mean {' or '.join(map(repr, near))}? Known: {everything}"


def _spelling(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")


def _nearness(word: str, name: str) -> float:
    """3 for the same spelling, 2 for its initials (`bce`) or without underscores, 1 for a part of it, else below 1."""
    if word == name:
        return 3
    if len(word) >= 2 and word in ("".join(part[:1] for part in name.split("_")), name.replace("_", "")):
        return 2
    return 1 if len(word) >= 3 and word in name else difflib.SequenceMatcher(None, word, name).ratio()
