"""Encoders from elsewhere: one more choice of `encoder`, once its class has been registered.

A run stores its settings alone and no code, so whoever reads it has to know the class: it is registered by a call, or
by the entry point of an installed package. Nothing is imported because a run names it.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from inspect import isabstract
from typing import Annotated, Any, TypeVar, Union

from pydantic import Field
from pydantic.fields import FieldInfo

from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.combined import Blend, Ensemble, Member
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.encoders.encoder import Encoder
from nextitem.settings.annotations import choices, model_names
from nextitem.settings.suggestion import suggest

GROUP = "nextitem.encoders"
"""Entry points of this group are classes to be registered."""

_Own = TypeVar("_Own", bound=type[Encoder])


def register_encoder(encoder: _Own) -> _Own:
    """The same class, which is one more choice of `encoder` from now on: in Python, on the command line, in runs.

    It is a subclass of `Encoder` with `name: Literal["…"]` and a default for every setting. Registered again, as when
    its file was changed, it takes its own place. Raises ConfigurationError for another kind of class, and for a name
    that another encoder has.
    """
    name = _checked(encoder)
    known = known_encoders()
    taken = known.get(name)
    if taken is not None and (taken.__module__, taken.__qualname__) != (encoder.__module__, encoder.__qualname__):
        raise ConfigurationError(
            f"there is an encoder '{name}' already, {taken.__module__}.{taken.__qualname__}; give "
            f"{encoder.__qualname__} another name"
        )
    _offer({**known, name: encoder})
    return encoder


def _offer(encoders: Mapping[str, type[Encoder]]) -> None:
    """Let recipes choose among these: the models check their settings, so they are told."""
    shelf: Any = Union[tuple(encoders.values())]  # noqa: UP007 - of as many as there are
    annotation = Annotated[shelf, Field(discriminator="name")]
    default = SequenceRecipe.model_fields["encoder"].default
    SequenceRecipe.__annotations__["encoder"] = annotation
    SequenceRecipe.model_fields["encoder"] = FieldInfo.from_annotated_attribute(annotation, default)
    for model in (SequenceRecipe, Member, Ensemble, Blend, Recipe):  # each before those that hold it
        model.model_rebuild(force=True)


def _checked(encoder: object) -> str:
    """The name of what can be registered; raises as `register_encoder`."""
    if not isinstance(encoder, type) or not issubclass(encoder, Encoder):
        raise ConfigurationError(f"{encoder!r} is no encoder; give a class that inherits from nextitem.Encoder")
    names, is_said = model_names(encoder), any("is_causal" in vars(base) for base in encoder.__mro__)
    required = [key for key, field in encoder.model_fields.items() if field.is_required() and key != "name"]
    missing = [fact for fact, is_there in (
        ('`name: Literal["…"] = "…"`, one word by which it is chosen', len(names) == 1),
        ("`is_causal: ClassVar[bool] = …`, whether a state depends on its own past only", is_said),
        (f"a default for {', '.join(required)}", not required),
        ("`build`, which gives the module", not isabstract(encoder)),
    ) if not is_there]  # fmt: skip
    if missing:
        raise ConfigurationError(
            f"{encoder.__qualname__} cannot be registered as an encoder without {'; and without '.join(missing)}"
        )
    return str(names[0])


def known_encoders() -> dict[str, type[Encoder]]:
    """All choices of `encoder` by name."""
    found: dict[str, Any] = choices(SequenceRecipe.model_fields["encoder"].annotation)
    return found


@cache
def register_installed() -> None:
    """Register the encoders of installed packages, once. Raises ConfigurationError for one that cannot be."""
    for point in sorted(entry_points(group=GROUP)):
        try:
            encoder = point.load()
        except Exception as error:
            raise ConfigurationError(
                f"the encoder {point.name} of the entry point {point.value} cannot be loaded: {type(error).__name__}: "
                f"{error}; repair or remove the package that installed it"
            ) from error
        register_encoder(encoder)


def check_encoder(content: bytes) -> None:
    """Raises ArtefactError for a stored recipe whose encoder nobody has registered; looks at nothing else."""
    register_installed()
    try:
        name = json.loads(content)["model"]["encoder"]["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # whoever reads the whole will say what is wrong
    if isinstance(name, str) and name not in known_encoders():
        raise ArtefactError(
            f"the encoder '{name}' is not known here; {suggest(name, known_encoders())}. One from elsewhere has to be "
            f"registered before: nextitem.register_encoder(Its_Class), or an installed package's entry point in {GROUP}"
        )
