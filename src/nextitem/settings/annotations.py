"""What the type of a setting says about its values."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

_WRITTEN_AS_TEXT = (str, Path, Enum, datetime.date, datetime.time)


@dataclass(frozen=True)
class OrTable:
    """Beside a type: what a validator makes of a table of such values is of that type."""

    values: Any


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


def with_nothing(annotation: Any, value: object) -> object:
    """A value for a field of this type, `none` and `null` in the tables of its lists as None where that is admitted."""
    if isinstance(value, list):
        element = next((get_args(one)[0] for one in members(annotation) if get_origin(one) is tuple), None)
        return [with_nothing(element, one) for one in value]
    if isinstance(value, dict):
        models = choices(annotation)
        model = models.get("") or models.get(str(value.get("name")))
        fields = {} if model is None else model.model_fields
        return {key: with_nothing(fields[key].annotation, one) if key in fields else one for key, one in value.items()}
    is_word = value in ("none", "null") and admits_none(annotation) and not admits_text(annotation)
    return None if is_word else value


def takes_lists(annotation: Any) -> bool:
    """Whether a field of this type may hold a list of any length."""
    return any(get_origin(member) is tuple for member in members(annotation))


def table_values(annotation: Any) -> Any | None:
    """The type of the values of a table whose keys are free (`dict[str, float]` gives float), None for other types.

    Where a type has a table beside it (`OrTable`), it is that table's.
    """
    for known in get_args(annotation)[1:] if get_origin(annotation) is Annotated else ():
        if isinstance(known, OrTable):
            return known.values
    for member in members(annotation):
        if member is Any:
            return Any
        origin = get_origin(member) or member
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return (*get_args(member), Any, Any)[1]
    return None
