"""What every configuration has in common, its defaults as a tree, and how TOML is read.

The models are the single definition: overrides, recipes, Python construction and stored JSON are all checked by them.
"""

import datetime
import re
import tomllib
from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json, to_jsonable_python

from nextitem.errors import ConfigurationError


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


def as_json(value: object) -> bytes:
    """A value as JSON; infinity and NaN by their names, which JSON has no numbers for."""
    return to_json(value, inf_nan_mode="constants")


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
        protected_namespaces=(),
        ser_json_inf_nan="constants",  # a field that allows infinity gets it back, where null would be refused
    )
    short_keys: ClassVar[Mapping[str, str]] = {}
    """Words that may be written beside the fields, and the field in whose table each belongs: `encoder` in `model`."""
    also_called: ClassVar[Mapping[str, str]] = {}
    """Words by which others call a field, and the field; they are refused with it: `layers`, which is `blocks` here."""


def default_tree(model: type[BaseModel]) -> dict[str, object]:
    """The defaults of a model as JSON would hold them, models written out in full; required fields are absent."""
    fields = {key: field for key, field in model.model_fields.items() if not field.is_required()}
    defaults = {key: field.get_default(call_default_factory=True, validated_data={}) for key, field in fields.items()}
    return {key: to_jsonable_python(value, by_alias=False) for key, value in defaults.items()}
