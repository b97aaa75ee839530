"""What is sent and what comes back, as JSON: checked strictly, unknown keys refused, each with an example."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

Id = (
    Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
    | Annotated[str, StringConstraints(strict=True, min_length=1, max_length=512)]
)
"""An id as the log has it: a string or a whole number."""
Ids = list[Id]
ModelName = Annotated[str, StringConstraints(max_length=255)]
MOST_EVENTS, MOST_IDS, MOST_ITEMS, MOST_QUESTIONS = 10_000, 100_000, 1_000, 256
MOST_PICKED = 100
"""Items of a list that is picked for its diversity or within limits; it is picked out of ten times as many."""
_Column = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_Value = Annotated[str, StringConstraints(max_length=1000)] | float
_Values = _Value | Annotated[list[_Value], Field(min_length=1, max_length=100)]
_Told = (
    Annotated[str, StringConstraints(max_length=1000)]
    | int
    | float
    | Annotated[list[Annotated[str, StringConstraints(max_length=1000)] | int], Field(max_length=1000)]
    | Annotated[list[float], Field(max_length=4096)]
)
_Operator = Literal["=", "!=", "<=", ">=", "<", ">"]
_Compared = Annotated[dict[_Operator, _Values], Field(min_length=1)]
Where = (
    Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    | Annotated[dict[_Column, _Values | _Compared], Field(min_length=1, max_length=20)]
)
"""Conditions on columns of the items: `genres=Comedy,year<1990`, or `{"genres": "Comedy", "year": {"<": 1990}}`."""


class Body(BaseModel):
    """What every body has in common: no value is converted, and a key that nobody knows is refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class HistoryBody(Body):
    """After whose events something is asked, and which items it is about."""

    history: Annotated[Ids, Field(max_length=MOST_EVENTS)] = []
    """Ids of items, oldest first. With a known `user` these are new events after the stored ones."""
    times: Annotated[list[float], Field(max_length=MOST_EVENTS)] | None = None
    """When each was, in unix seconds; models that read times need them."""
    kinds: Annotated[list[Annotated[str, StringConstraints(max_length=200)]], Field(max_length=MOST_EVENTS)] | None = (
        None
    )
    """Of which kind each was, such as `purchase`, where the model learnt from events of several kinds."""
    user: Id | None = None
    """Whose history it is; alone, the stored one is meant."""
    features: Annotated[dict[_Column, _Told | None], Field(max_length=1000)] | None = None
    """What is known of somebody new, by column of the table of users that the model learnt with (`prefix=users`), in
    place of what the model knows of the user: a text or several for a column of categories, a number, a vector."""
    candidates: Annotated[Ids, Field(max_length=MOST_IDS)] | None = None
    """Nothing but these items is listed."""
    exclude: Annotated[Ids, Field(max_length=MOST_IDS)] | None = None
    """These items are not listed."""
    where: Where | None = None
    """Conditions that an item has to fulfil, as a text or by column."""
    hide: Annotated[str, StringConstraints(max_length=20)] | None = None
    """Which items of the history are left out: `history`, `nothing` or `last:n`; none: as in training."""
    histories_only: bool = False
    """Whether what is stored of a known user is left out of account."""
    unknown: Literal["drop", "error"] = "drop"
    """What becomes of ids that the model does not know: they are left out and named, or refused with 422."""


class QuestionBody(HistoryBody):
    """Whose next items are asked for, after which events, and what their list may hold."""

    k: Annotated[int, Field(ge=1, le=MOST_ITEMS)] = 10
    """How many items are asked for."""
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    """From 0, the best items, to 1, items that differ most; lists of 100 items at most."""
    limits: Annotated[dict[_Column, Annotated[int, Field(ge=1, le=MOST_ITEMS)]], Field(max_length=20)] = {}
    """By column of the items, how many of each of its values a list may hold; lists of 100 items at most."""
    cursor: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    """That of an earlier answer, for the items after it: nothing that was shown is listed again."""

    @model_validator(mode="after")
    def _can_be_picked(self) -> Self:
        if (self.diversity or self.limits) and self.k > MOST_PICKED:
            raise ValueError(f"k={self.k} with diversity or limits, which lists of {MOST_PICKED} items may have")
        return self


class RecommendBody(QuestionBody):
    """A question, and maybe the model that is to answer it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"history": [1, 2, 3], "k": 3},
                {"user": 1, "where": {"year": {"<": 1990}}, "limits": {"genres": 2}, "diversity": 0.3},
                {"history": [1, 2, 3], "features": {"gender": "F", "age": 33, "interests": ["jazz", "film"]}, "k": 3},
            ]
        }
    )

    model: ModelName | None = None
    """The model that is to answer; none: the one that the user was dealt to."""


class ModelNamed(BaseModel):
    """Which model answered."""

    name: str
    version: str
    """The first 12 digits of the sha256 of its manifest."""


class Recommended(BaseModel):
    """One recommended item."""

    item: int | str
    score: float
    """Comparable within one list only."""
    title: str | None = None
    source: Literal["model", "popularity"]
    is_cold: bool = False
    """Whether the item was added after the training, by what is known of it."""


_LIST: JsonDict = {
    "items": [{"item": 260, "score": 9.1, "title": "Star Wars", "source": "model", "is_cold": False}],
    "source": "model",
    "fallback": None,
    "model": {"name": "sasrec", "version": "0f3a9c21d4b7"},
    "cursor": None,
    "filtered": {"seen": 3},
    "unknown": [],
    "continued": False,
}


class RecommendReply(BaseModel):
    """A list of items, best first, and how it came about."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LIST]})

    items: list[Recommended]
    source: Literal["model", "popularity"]
    fallback: Literal["deadline", "nothing known"] | None = None
    """Why the most popular items are the answer: the model did not come to it in time, or had nothing to go by."""
    model: ModelNamed
    cursor: str | None = None
    """What to send for the items after these; null at the end."""
    filtered: dict[str, int]
    """How many items were left out, by reason."""
    unknown: list[int | str]
    """Given ids that the model does not know."""
    continued: bool
    """Whether the given events went on from stored ones."""


class Live(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "live"}]})

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """The models are loaded, and questions are taken."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "ready", "models": [{"name": "sasrec", "version": "0f3a9c21d4b7"}]}]}
    )

    status: Literal["ready"] = "ready"
    models: list[ModelNamed]


class ModelState(ModelNamed):
    """A model as it answers now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "sasrec",
                    "version": "0f3a9c21d4b7",
                    "loaded": 1.7e9,
                    "share": 0.9,
                    "items": 3416,
                    "in_doubt": 0,
                    "recall": None,
                },
            ]
        }
    )

    loaded: float
    """When it was loaded, in unix seconds."""
    share: float
    """Of the users that are dealt out, from 0 to 1."""
    items: int
    """How many items it knows."""
    in_doubt: int = 0
    """Events that count as learnt and happened after the model was made: where the database was put back to an earlier
    copy and told of others since, these are lost to this model. Learn it anew from all events then."""
    recall: float | None = None
    """The share of exact lists that its index found when it was measured; null: it has none, and lists are exact."""


class SharesBody(Body):
    """Shares of the users by model; they add up to 1, and a model that is not named gets none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"shares": {"sasrec": 0.9, "bert4rec": 0.1}}]})

    shares: Annotated[dict[ModelName, Annotated[float, Field(ge=0, le=1)]], Field(min_length=1, max_length=100)]


class BatchBody(Body):
    """Several questions."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"questions": [{"history": [1, 2], "k": 3}, {"history": [3], "k": 3}]}]}
    )

    questions: Annotated[list[QuestionBody], Field(min_length=1, max_length=MOST_QUESTIONS)]
    model: ModelName | None = None
    """The model that is to answer all; none: the one that each user was dealt to."""


class BatchReply(BaseModel):
    """An answer for each question, in their order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"answers": [_LIST]}]})

    answers: list[RecommendReply]
