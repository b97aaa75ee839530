"""What a configuration does not accept, in words for the user."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from nextitem.settings.annotations import members, model_names, table_values
from nextitem.settings.given import told
from nextitem.settings.meanings import meanings
from nextitem.settings.written import as_json

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
    "model_attributes_type": "should be a choice of this package, or a table with its name",
    "union_tag_not_found": "should be a choice of this package, or a table with its name",
}
_FIRST = 3  # refusals of a stored file that are told
_HINTS = {  # where text was given
    "should be a whole number": " (written 12 or 3_000)",
    "should be a number": " (written 0.001 or 1e-3)",
    "should be a list": ' (written ["a", "b"])',
}


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
        subject = f"{self.key} = {shown(self.value)} ({source})" if is_value else self.key
        joint = "" if not subject else " " if self.reason.startswith(("should ", "is ")) else ": "
        return f"{subject}{joint}{self.reason}" + (f"\n    {self.key}: {self.meaning}" if self.meaning else "")


def refusals(model: type[BaseModel], error: ValidationError) -> list[Refusal]:
    """What `error` says about values for `model`: one entry a key, in the order found."""
    grouped: dict[tuple[str, str], list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        if details["type"] == "default_factory_not_called":
            continue  # its default follows from another value, which is refused itself
        grouped.setdefault(_locate(model, details["loc"]), []).append(details)
    return [Refusal(key, of[0]["input"], _reason(of), meaning) for (key, meaning), of in grouped.items()]


def _reason(several: Collection[ErrorDetails]) -> str:
    """What pydantic says about one value; it says it once for each member of a union."""
    is_text = all(isinstance(one["input"], str) for one in several)
    reasons = dict.fromkeys(_REASONS.get(one["type"]) or _in_our_words(one["msg"]) for one in several)
    first, *others = [reason + _HINTS.get(reason, "") * is_text for reason in reasons]
    return " or ".join([first, *(other.removeprefix("should be ") for other in others)])


def _in_our_words(message: str) -> str:
    if found := re.fullmatch(r"Input tag .* does not match any of the expected tags: (.*)", message, re.DOTALL):
        return f"is of no known choice; known: {found[1].replace(chr(39), '')}"
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
            key, meaning = f"{key}.{step}" if key else step, meanings(options[0]).get(step, "") if field else ""
    return key, meaning


def _names_of(annotation: Any) -> tuple[str, ...]:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return model_names(annotation) if is_model else ()


def shown(value: object) -> str:
    """A value as a message shows it: as JSON, and not all of a long one; of what JSON has no words for, its kind."""
    try:
        text = as_json(value).decode()
    except PydanticSerializationError:
        return told(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def in_words(model: type[BaseModel], error: ValidationError) -> str:
    """What `error` says about stored values for `model`, on one line: `test.ceiling = 7 should be …`; the first three.

    >>> from nextitem.settings.configuration import Configuration
    >>> class Card(Configuration):
    ...     epochs: int
    >>> try:
    ...     Card.model_validate_json('{"epochs": "many"}')
    ... except ValidationError as error:
    ...     print(in_words(Card, error))
    epochs = "many" should be a whole number
    """
    found = refusals(model, error)
    texts = [_stored(one) for one in found[:_FIRST]]
    more = f"; and {len(found) - _FIRST} more" if len(found) > _FIRST else ""
    return "; ".join(texts) + more


def _stored(refusal: Refusal) -> str:
    reason = next((reason for reason in _HINTS if refusal.reason == reason + _HINTS[reason]), refusal.reason)
    if not refusal.key:
        return reason
    if reason in (_REASONS["missing"], _REASONS["extra_forbidden"]):
        return f"{refusal.key} {reason}"
    return f"{refusal.key} = {shown(refusal.value)} {reason}"
