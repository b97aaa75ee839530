"""What a prepared folder says of itself."""

from pathlib import Path

from pydantic import Field

from nextitem.data.features.columns import NO_FEATURES, Features
from nextitem.data.filters import Filters
from nextitem.data.kinds import Kinds
from nextitem.data.notes import Counts, notes
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.shards import note_on
from nextitem.data.splits import AnySplit
from nextitem.data.splits.split import Split
from nextitem.storage import SHA256, Kind
from nextitem.storage import Manifest as AnyManifest


class Manifest(AnyManifest):
    """What is known about a prepared log without reading its events."""

    source: tuple[str, ...]
    """The files that were read."""
    called: str = ""
    """What the data are called wherever they lie, as in a training on the files; "" where an earlier version did not
    say."""
    columns: Columns
    """As they were asked for."""
    columns_found: Columns | None = None
    """As they were found: with the name that each has in the files."""
    kinds: Kinds = Field({})
    """What kinds of events meant; empty where there were none."""
    kinds_note: str = ""
    """What became of the events of each kind, as a sentence."""
    dislikes: int = Field(0, ge=0)
    """How many items users said no to, beside the events."""
    order: str = ""
    """By what the events of a user are in order, as a sentence; "" where an earlier version did not say."""
    filters: Filters
    features: Features = NO_FEATURES
    """As they were asked for."""
    item_notes: tuple[str, ...] = ()
    """How features came by their values, in words."""
    user_features: Features = NO_FEATURES
    """As they were asked for."""
    user_notes: tuple[str, ...] = ()
    """How features of users came by their values, in words."""
    split: AnySplit
    """What the training counts and the fingerprints of cases are of."""
    events: int = Field(ge=1)
    users: int = Field(ge=1)
    items: int = Field(ge=1)
    events_read: int = Field(ge=0)
    repeated_events: int = Field(ge=0)
    tied_events: int = Field(ge=0)
    doubled_events: int = Field(0, ge=0)
    """Beside the first of each user with each item at each time; 0 too where an earlier version did not count."""
    rejected: dict[str, int] = Field(default_factory=dict)
    """Rows that are no events and were left out, by what is wrong with them: rejected.csv has them."""
    rejected_items: dict[str, int] = Field(default_factory=dict)
    """The same of the table of items: rejected_items.csv has them."""
    log_sha256: str = Field(pattern=SHA256)
    validation_sha256: str = Field(pattern=SHA256)
    test_sha256: str = Field(pattern=SHA256)
    cuts: tuple[float, ...] = ()
    """The moments that part the log by this split, latest first, in unix seconds."""
    notes: tuple[str, ...]
    """What was left out or is ambiguous, in words."""
    odd: tuple[str, ...] = ()
    """Those of them that are about ids and times, however the log is split."""

    def name_in(self, folder: Path) -> str:
        """What the data are called: as what was prepared, or as its folder where several files were and nobody said."""
        return self.called or Path(self.source[0] if len(self.source) == 1 else folder).name

    def notes_with(self, split: Split) -> tuple[str, ...]:
        """`notes`, where the log is split in this way."""
        of_split = notes(self.order, self.counts, split.told)
        return (*told(self.kinds_note), *of_split, *self.odd, *note_on(self.source))

    @property
    def counts(self) -> Counts:
        """What was read, and what is there."""
        again, tied, doubled = self.repeated_events, self.tied_events, self.doubled_events
        return Counts(self.events_read, self.events, again, tied, doubled, self.rejected)


PREPARED = Kind("prepared log", 2, "`nextitem prepare` wrote", "prepare the log anew", Manifest)


def told(*sentences: str) -> tuple[str, ...]:
    """Those that say something."""
    return tuple(one for one in sentences if one)
