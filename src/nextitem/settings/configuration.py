"""What every configuration has in common, and its defaults as a tree.

The models are the single definition: overrides, recipes, Python construction and stored JSON are all checked by them.
"""

import operator
from collections.abc import Mapping
from typing import Any, ClassVar, SupportsIndex

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_jsonable_python

from nextitem.errors import ConfigurationError
from nextitem.settings.annotations import takes_lists
from nextitem.settings.given import listed
from nextitem.settings.refusals import refusals


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

    path_keys: ClassVar[Mapping[str, str]] = {}
    """Words that choose, and the key that is meant where their value is a path: `items=movies.csv` is `features.file`
    where `items=tied` is a kind of items. What is a path is told by `is_path`, and never by what is on disk."""

    def __init__(self, /, **settings: Any) -> None:
        """A configuration made in Python. Raises ConfigurationError with every setting that is refused."""
        try:
            super().__init__(**{key: self._as_taken(key, value) for key, value in settings.items()})
        except ValidationError as error:
            found = [refusal.text(type(self).__name__) for refusal in refusals(type(self), error)]
            raise ConfigurationError("\n".join(found)) from None

    # What validates from JSON makes parts without coming by here, as it does where nobody has written an `__init__`.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def _as_taken(cls, key: str, value: object) -> object:
        """The value as strict validation takes it: whole numbers of other libraries, and lists where a tuple is."""
        field, value = cls.model_fields.get(key), _plain(value)
        if field is None or value is None or isinstance(value, str) or not takes_lists(field.annotation):
            return value
        return tuple(_plain(one) for one in listed(value, key, ordered=False))


def _plain(value: object) -> object:
    """A whole number of another library as Python's own, and whatever else as it is."""
    if isinstance(value, SupportsIndex) and not isinstance(value, int):
        try:
            return operator.index(value)
        except TypeError:  # an array of several numbers, which is refused, or taken as a list
            pass
    return value


def default_tree(model: type[BaseModel]) -> dict[str, object]:
    """The defaults of a model as JSON would hold them, models written out in full; required fields are absent."""
    fields = {key: field for key, field in model.model_fields.items() if not field.is_required()}
    defaults = {key: field.get_default(call_default_factory=True, validated_data={}) for key, field in fields.items()}
    return {key: to_jsonable_python(value, by_alias=False) for key, value in defaults.items()}
