"""What is sent and what comes back where answers are looked into: similar items, given items in order, and why."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nextitem.serving.service.bodies import (
    MOST_IDS,
    MOST_ITEMS,
    Body,
    HistoryBody,
    Ids,
    ModelName,
    ModelNamed,
    QuestionBody,
    RecommendReply,
    Where,
)

MOST_EXPLAINED = 100
"""Items that one request may ask about."""
MOST_NEIGHBOURS = 10_000
"""Items that the lists of one request may hold together."""
MOST_PAIRS = 5_000
"""Items that are explained times items of the history that are left out: what one request may cost."""
_Few = Annotated[Ids, Field(max_length=MOST_EXPLAINED)]


class SimilarBody(Body):
    """Items, each of which others are to be like."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [260], "k": 3}]})

    items: Annotated[Ids, Field(min_length=1, max_length=MOST_EXPLAINED)]
    k: Annotated[int, Field(ge=1, le=MOST_ITEMS)] = 10
    """How many are listed for each."""
    candidates: Annotated[Ids, Field(max_length=MOST_IDS)] | None = None
    """Nothing but these items is listed."""
    exclude: Annotated[Ids, Field(max_length=MOST_IDS)] | None = None
    """These items are not listed."""
    where: Where | None = None
    """Conditions that an item has to fulfil, as a text or by column."""
    unknown: Literal["drop", "error"] = "drop"
    """What becomes of ids that the model does not know: their list is empty, or they are refused with 422."""
    model: ModelName | None = None
    """The model that is to answer; none: the first."""

    @model_validator(mode="after")
    def _is_not_too_much(self) -> Self:
        if len(self.items) * self.k > MOST_NEIGHBOURS:
            raise ValueError(
                f"k={self.k} for each of {len(self.items)} items, and {MOST_NEIGHBOURS:,} may be listed in all"
            )
        return self


class Neighbour(BaseModel):
    """An item that is like another."""

    item: int | str
    score: float
    """A cosine: 1 for items that are the same to the model."""
    by: str
    """Of what: `vectors` that the model learnt, or `histories` that hold both."""
    title: str | None = None
    is_cold: bool = False
    """Whether the item was added after the training, by what is known of it."""


class NeighboursReply(BaseModel):
    """What is like one item, best first, and never that item itself."""

    item: int | str
    title: str | None = None
    similar: list[Neighbour]


class SimilarReply(BaseModel):
    """A list for each item, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "item": 260,
                            "title": "Star Wars",
                            "similar": [
                                {"item": 1196, "score": 0.93, "by": "vectors", "title": "The Empire Strikes Back"}
                            ],
                        }
                    ],
                    "model": {"name": "sasrec", "version": "0f3a9c21d4b7"},
                }
            ]
        }
    )

    items: list[NeighboursReply]
    model: ModelNamed


class RerankBody(HistoryBody):
    """A history, and the items that are to be put in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"history": [1, 2, 3], "items": [4, 260, 1196]}]})

    items: Annotated[Ids, Field(min_length=1, max_length=MOST_ITEMS)]
    """None of them is left out unless `hide`, `exclude`, `candidates` or `where` say so."""
    model: ModelName | None = None
    """The model that is to answer; none: the one that the user was dealt to."""


class ExplainBody(QuestionBody):
    """A question, and what of its answer is to be explained."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"history": [1, 2, 3], "k": 3}, {"history": [1, 2, 3], "without": [3]}]}
    )

    k: Annotated[int, Field(ge=1, le=MOST_EXPLAINED)] = 10
    """How many items are asked for."""
    items: _Few | None = None
    """What is explained; none: the items of the list."""
    without: _Few = Field(default_factory=list)
    """What if these were not in the history?"""
    added: _Few = Field(default_factory=list)
    """What if the history went on with these?"""
    latest: Annotated[int, Field(ge=0, le=200)] = 50
    """How many items of the history are left out in turn, the newest first; each costs one more pass of the model."""
    model: ModelName | None = None
    """The model that is to answer; none: the one that the user was dealt to."""

    @model_validator(mode="after")
    def _is_not_too_much(self) -> Self:
        explained = self.k if self.items is None else len(self.items)
        if explained * self.latest > MOST_PAIRS:
            raise ValueError(
                f"{explained} items times latest={self.latest} are more than {MOST_PAIRS:,}; ask about "
                f"{MOST_PAIRS // self.latest} items, or give latest={MOST_PAIRS // explained}"
            )
        return self


class CarrierReply(BaseModel):
    """What one item of the history does to the score of an explained one."""

    item: int | str
    title: str | None = None
    change: float | None = None
    """The score less that without this item: above 0 where it speaks for the other; null where nothing is left."""
    rank: int
    """The rank that the explained item would have without this one."""


class ExplainedReply(BaseModel):
    """An item, and why it is where it is."""

    item: int | str
    title: str | None = None
    is_cold: bool
    score: float
    rank: int
    """Its place by score among all that may be listed, from 1."""
    filtered: str | None = None
    """Why it is not listed whatever its score, such as `seen`; null where it may be."""
    events: int
    """How often it occurs in training."""
    popularity: int
    """Its place by that, from 1."""
    carriers: list[CarrierReply]
    """The items of the history, the one that speaks most for this one first."""


class LeftOutReply(BaseModel):
    """An item that would be in the list if nothing were left out."""

    item: int | str
    title: str | None = None
    score: float
    reason: str
    """Such as `seen`, `where`, `excluded`, `retired`, `limit` or `diversity`."""


class WhatIfReply(BaseModel):
    """The list after another history."""

    without: list[int | str]
    added: list[int | str]
    answer: RecommendReply
    came: list[int | str]
    """Items that were not in the list before, best first."""
    went: list[int | str]
    """Items that were in the list before and are no more."""


class ExplainReply(BaseModel):
    """A list, and what it rests on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "answer": {
                        "items": [{"item": 260, "score": 9.1, "title": "Star Wars", "source": "model"}],
                        "source": "model",
                        "fallback": None,
                        "model": {"name": "sasrec", "version": "0f3a9c21d4b7"},
                        "cursor": None,
                        "filtered": {"seen": 1},
                        "unknown": [],
                        "continued": False,
                    },
                    "history": [1196],
                    "items": [
                        {
                            "item": 260,
                            "title": "Star Wars",
                            "is_cold": False,
                            "score": 9.1,
                            "rank": 1,
                            "filtered": None,
                            "events": 2991,
                            "popularity": 2,
                            "carriers": [{"item": 1196, "title": "The Empire Strikes Back", "change": 2.4, "rank": 87}],
                        }
                    ],
                    "filtered": [
                        {"item": 1196, "title": "The Empire Strikes Back", "score": 9.7, "reason": "seen"},
                    ],
                    "is_fallback": False,
                    "goes_by_history": True,
                    "untried": 0,
                    "what_if": None,
                }
            ]
        }
    )

    answer: RecommendReply
    history: list[int | str]
    """What the model was given to read, stored events included, oldest first."""
    items: list[ExplainedReply]
    """Those that were asked about, or all of the list, in its order."""
    filtered: list[LeftOutReply]
    """Items that would be in the list if nothing were left out, best first; the first 100 of them."""
    is_fallback: bool
    """Whether the most popular items stand in for the model's, since nothing of the history is known."""
    goes_by_history: bool
    """Whether any item of the history changes the score of any explained item."""
    untried: int
    """Different items of the history that were not left out, since they are older than those that were."""
    what_if: WhatIfReply | None = None
    """The list after the history that `without` and `added` make."""
