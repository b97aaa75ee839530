"""A recipe: everything that decides a result except the seed. TOML in, JSON out, `key=value` overrides on top."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from nextitem.data.features.columns import NO_FEATURES, Features
from nextitem.data.filters import Filters
from nextitem.data.kinds import Kinds
from nextitem.data.reading.columns import Columns
from nextitem.data.splits import AnySplit, LeaveOneOut
from nextitem.errors import ConfigurationError
from nextitem.evaluation.hiding import Hide
from nextitem.evaluation.ranking import Ranking
from nextitem.experiment.baseline import BaselineLearner
from nextitem.experiment.combined import AnyCombined
from nextitem.experiment.learner import Learner
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.baselines import AnyBaseline
from nextitem.model.baselines.baseline import Baseline
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import column_names, expanded, of_kind

AnyModel = Annotated[SequenceRecipe | AnyCombined | AnyBaseline, Field(discriminator="name")]


class Recipe(Configuration):
    """Which events are learnt from, and what learns from them."""

    short_keys: ClassVar[Mapping[str, str]] = dict.fromkeys(SequenceRecipe.sections(), "model")
    path_keys: ClassVar[Mapping[str, str]] = {"items": "features.file", "users": "user_features.file"}
    also_called: ClassVar[Mapping[str, str]] = {"baseline": "model", "preparation": "filters"}

    name: str = Field("unnamed", pattern=r"^[^/\\\x00-\x1f]{1,100}$")
    """What the run is called; part of its folder's name, so without slashes."""
    data: str = "synthetic"
    """A dataset's name (`synthetic`, `ml-100k`, `ml-1m`, `beauty`, `ml-20m`, `steam`, `yelp`), the path of a file of
    events, of several (a folder, or a pattern with `*`), or a prepared folder."""
    columns: Columns = Columns()
    """Which columns of a file hold the events: names or, without a header, numbers."""
    kinds: Kinds = Field({})
    """What each kind of event means (`kinds.purchase=1`, `kinds.view=0.2`), and what those mean that are not named
    (`kinds.others=ignored`): a weight above 0, `history`, `disliked`, `ignored`, `retracts KIND` or `retracts`. Without
    any no kinds are read."""
    features: Features = NO_FEATURES
    """What is known of the items beside their ids, such as titles: `features.file`, for which `items=movies.csv` is
    short, and which of its columns hold what."""
    user_features: Features = NO_FEATURES
    """What is known of the users beside their ids: `user_features.file`, for which `users=users.csv` is short, and
    which of its columns hold what. `prefix=users` learns from it; nothing else reads it."""
    filters: Filters = Filters()
    """Filters applied before the split."""
    split: AnySplit = LeaveOneOut()
    """Which events are held out, and which may be learnt from."""
    hide: Hide = "history"
    """Which items are neither ranked nor recommended: those of the `history`, `nothing`, or with `last:n` those of its
    latest n events. A target that is hidden counts as missed; where people come back to the same items, `nothing`."""
    model: AnyModel = SequenceRecipe()
    """What learns: a sequence model, put together of parts, several of them as one, or a baseline."""

    @field_validator("data", mode="before")
    @classmethod
    def _is_named(cls, data: object) -> object:
        if names := column_names(data):
            raise ValueError(
                f"should be a name or a path, and not a frame (of {', '.join(names[:10])}); give that as events: "
                f"prepare(recipe, events=frame), or run and train"
            )
        named = str(data) if isinstance(data, PurePath) else data
        return str(expanded(named)) if isinstance(named, str) and named.startswith("~") else named

    @model_validator(mode="after")
    def _knows_whom_it_is_asked_about(self) -> Self:
        if self.split.asks_strangers and self.learner.has_users:
            raise ValueError(
                f"split={self.split.name} asks here about users of whom nothing is learnt, and "
                f"{self.learner.parts[0]} has a vector for each user that is learnt from: "
                f"choose another split, or a model that goes by histories"
            )
        return self

    @property
    def ranking(self) -> Ranking:
        """What targets are ranked against: the whole catalogue, but for what is hidden."""
        return Ranking(self.hide)

    @classmethod
    def required(cls, recipe: object) -> "Recipe":
        """The recipe, where it is one. Raises ConfigurationError."""
        return of_kind(recipe, cls, "recipe", "load_recipe('sasrec-ce', 'data=events.csv') loads one")

    @property
    def learner(self) -> Learner:
        """The model by the face that all kinds have."""
        return BaselineLearner(self.model) if isinstance(self.model, Baseline) else self.model

    @property
    def sequence(self) -> SequenceRecipe:
        """The parts of a sequence model. Raises ConfigurationError for what has none of its own."""
        if isinstance(self.model, Baseline):
            raise ConfigurationError(f"{self.name} is the baseline {self.model.name}, which has no encoder and no loss")
        if not isinstance(self.model, SequenceRecipe):
            raise ConfigurationError(
                f"{self.name} is an {self.model.name}, which is made of models: encoder and loss are theirs"
            )
        return self.model
