"""Which events are asked for: the settings that decide what is prepared, and nothing of what is learnt from them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from nextitem.data.features.columns import NO_FEATURES, Features
from nextitem.data.filters import Filters
from nextitem.data.kinds import Kinds
from nextitem.data.notes import named_in_errors
from nextitem.data.reading.columns import Columns
from nextitem.data.splits import AnySplit
from nextitem.settings.given import column_names, must_be


@runtime_checkable
class EventSettings(Protocol):
    """Whatever says which events it wants: a recipe does, and so does a `Source`."""

    @property
    def data(self) -> str:
        """A dataset's name, the path of a file, or a prepared folder."""

    @property
    def columns(self) -> Columns:
        """Which columns of a file hold the events: names or, without a header, numbers."""

    @property
    def features(self) -> Features:
        """What is known of the items beside their ids."""

    @property
    def user_features(self) -> Features:
        """What is known of the users beside their ids."""

    @property
    def filters(self) -> Filters:
        """Filters applied before the split."""

    @property
    def split(self) -> AnySplit:
        """Which events are held out."""

    @property
    def kinds(self) -> Kinds:
        """What the kinds of events mean; empty where events are all alike."""


@dataclass(frozen=True)
class Source:
    """The settings that decide which events are prepared."""

    data: str
    columns: Columns
    filters: Filters
    split: AnySplit
    kinds: Kinds = field(default_factory=dict)
    features: Features = NO_FEATURES
    user_features: Features = NO_FEATURES

    @classmethod
    def of(cls, settings: EventSettings) -> "Source":
        """Those of a recipe, and no other of its settings. Raises ConfigurationError for what has none."""
        remedy = "give a recipe, such as load_recipe('sasrec-ce', 'data=events.csv')"
        if names := column_names(settings):
            remedy = f"give the frame (of {', '.join(names[:10])}) as events: prepare(recipe, events=frame)"
        must_be(settings, EventSettings, "settings", remedy)
        return cls(
            settings.data, settings.columns, settings.filters, settings.split, settings.kinds, settings.features,
            settings.user_features,
        )  # fmt: skip

    @contextmanager
    def named_in_errors(self, rejected: Mapping[str, int] | None = None) -> Iterator[None]:
        """What is raised of the data here names them, and says how many rows were left out before."""
        with named_in_errors(self.data, rejected or {}):
            yield

    @property
    def name(self) -> str:
        """What the data is called wherever it lies: the dataset's name, or the file's without its folder."""
        return Path(self.data).name
