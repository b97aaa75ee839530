"""What `nextitem check` lets be changed."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from nextitem.data.features.columns import NO_FEATURES, Features
from nextitem.data.filters import Filters
from nextitem.data.kinds import Kinds
from nextitem.data.reading.columns import Columns
from nextitem.data.source import Source
from nextitem.data.splits import AnySplit, LeaveOneOut
from nextitem.settings.configuration import Configuration
from nextitem.settings.overrides import resolve


class Asked(Configuration):
    """The settings of a recipe that concern the events alone."""

    path_keys: ClassVar[Mapping[str, str]] = {"items": "features.file"}
    also_called: ClassVar[Mapping[str, str]] = {"preparation": "filters"}

    columns: Columns = Columns()
    features: Features = NO_FEATURES
    filters: Filters = Filters()
    kinds: Kinds = Field({})
    split: AnySplit = LeaveOneOut()
    hide: str | None = None
    """Which items of a history count as missed where they are targets: `history`, `nothing` or `last:n`; none: history,
    and what is advised follows from the log."""

    def source(self, data: str) -> Source:
        """Where the events of `data` come from, and how they are read, kept and split."""
        return Source(data, self.columns, self.filters, self.split, self.kinds, self.features)


def asked_from(overrides: Sequence[str] = ()) -> Asked:
    """The settings that overrides describe. Raises ConfigurationError for any that a training alone has."""
    return resolve(Asked, [], overrides).value
