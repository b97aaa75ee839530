"""What is sent to be stored, and what comes back of it, as JSON."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from nextitem.serving.service.bodies import Body, Id

MOST_STORED = 1000
"""Events of one request."""
_EXAMPLE: dict[str, Any] = {"user": 1, "item": 260, "time": 1700000000.0}


_Feature = str | float | Annotated[list[str], Field(max_length=1000)] | Annotated[list[float], Field(max_length=10_000)]


class EventBody(Body):
    """Something that a user did with an item."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    user: Id
    item: Id
    """One that the model does not know is stored, and used as soon as a model knows it."""
    time: Annotated[float, Field(ge=-253_402_300_799, le=253_402_300_799)] | None = None
    """When it happened, in unix seconds; none: now."""
    kind: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    """One of the kinds that the run learnt from; of a run without kinds none, or `retraction`."""


FORMS = ("one event", "a list of events")
"""What a body of events may be; no field has such a name."""


def _how_many(value: Any) -> str:
    return FORMS[isinstance(value, list)]


EventsBody = Annotated[
    Annotated[EventBody, Tag(FORMS[0])]
    | Annotated[list[EventBody], Field(min_length=1, max_length=MOST_STORED), Tag(FORMS[1])],
    Discriminator(_how_many),
]
"""One event, or a list of them that is stored as a whole or not at all."""


class EventsReply(BaseModel):
    """The events are on disk, and the next answer sees them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"accepted": 1, "is_repeat": False, "unknown_items": []}]}
    )

    accepted: int
    """How many events the request held."""
    is_repeat: bool
    """Whether they had been stored before by the same idempotency key, and were not stored again."""
    unknown_items: list[int | str]
    """Items among them that no model of the service knows yet."""


class StoredEventReply(BaseModel):
    """An event as it is stored."""

    item: int | str
    time: float
    kind: str | None


class LearntHistory(BaseModel):
    """What a model's run holds of a user."""

    model: str
    history: list[int | str]
    """Items, oldest first."""
    times: list[float] | None
    """Their times in unix seconds, where the run keeps them."""
    disliked: list[int | str]


class UserReply(BaseModel):
    """All that is stored of a user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user": 1,
                    "is_forgotten": False,
                    "events": [{"item": 260, "time": 1700000000.0, "kind": None}],
                    "learnt": [{"model": "sasrec", "history": [1, 2], "times": None, "disliked": []}],
                }
            ]
        }
    )

    user: int | str
    is_forgotten: bool
    """Whether the user was deleted: what the runs hold is not used any more."""
    events: list[StoredEventReply]
    """What the service was told, in order of time; what was taken back and what took it back are among them."""
    learnt: list[LearntHistory]


class DeletedReply(BaseModel):
    """The user is deleted: for this service nothing is known of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user": 1, "deleted": 3, "held_by": ["sasrec"]}]})

    user: int | str
    deleted: int
    """Events that were deleted."""
    held_by: list[str]
    """Models whose run still has a history of the user, which is not used; `nextitem forget` takes it out of a run."""


class ItemBody(Body):
    """A new item, and what is known of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"item": 9001, "title": "A new film", "features": {"genres": ["Comedy"]}}]}
    )

    item: Id
    title: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    features: Annotated[dict[str, _Feature], Field(max_length=1000)] = Field(default_factory=dict)
    """Columns of the table of items that the run was trained with: a text, a number, a list of categories, a vector."""


class ItemChange(Body):
    """What is to be otherwise about an item."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"is_retired": True}, {"title": "Another title"}]})

    title: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    """What it is called from now on; none: as before."""
    is_retired: bool | None = None
    """Whether it is never recommended any more, while histories go on to be read with it; none: as before."""


class ItemReply(BaseModel):
    """An item of the catalogue."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"item": 260, "title": "Star Wars", "is_retired": False, "is_cold": False, "models": ["sasrec"]}
            ]
        }
    )

    item: int | str
    title: str | None
    is_retired: bool
    is_cold: bool
    """Whether it was added, and no model learnt from an event of it."""
    models: list[str]
    """Those that know it."""


class ItemsReply(BaseModel):
    """Items that were found, the popular first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": []}]})

    items: list[ItemReply]
