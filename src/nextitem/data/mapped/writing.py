"""A log prepared into a folder, and the folder as what an experiment starts from."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from nextitem.data.features.columns import NO_FEATURES, Features
from nextitem.data.features.files import rows_asked_for, rows_of_users
from nextitem.data.features.finding import find_columns
from nextitem.data.features.joining import Joined, join
from nextitem.data.features.rows import Rows
from nextitem.data.features.table import FILE as FEATURES
from nextitem.data.features.table import OF_USERS, ItemFeatures
from nextitem.data.filters import Filters
from nextitem.data.kinds import Kinds, refuse_unknown
from nextitem.data.log import Log
from nextitem.data.mapped.folder import (
    EVENT_ITEMS,
    EVENT_TIMES,
    EVENT_WEIGHTS,
    Origin,
    read_manifest,
    write_log,
    write_manifest,
)
from nextitem.data.mapped.manifest import Manifest
from nextitem.data.mapped.ordering import Ordered, order_events
from nextitem.data.notes import named_in_errors
from nextitem.data.reading.checks import EventPart
from nextitem.data.reading.columns import Columns, Found
from nextitem.data.reading.files import found_in, is_text, read_parts
from nextitem.data.reading.kinds import with_kinds
from nextitem.data.reading.paths import files_of
from nextitem.data.reading.rejected import REJECTED, REJECTED_ITEMS, RejectedRows
from nextitem.data.splits import AnySplit, LeaveOneOut
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import expanded
from nextitem.settings.overrides import resolve
from nextitem.storage import append_csv, whole_folder


class Settings(Configuration):
    """What `nextitem prepare` lets be changed: the settings of a recipe that concern the events alone."""

    path_keys: ClassVar[Mapping[str, str]] = {"items": "features.file", "users": "user_features.file"}
    also_called: ClassVar[Mapping[str, str]] = {"preparation": "filters"}

    columns: Columns = Columns()
    kinds: Kinds = Field({})
    features: Features = NO_FEATURES
    user_features: Features = NO_FEATURES
    filters: Filters = Filters()
    split: AnySplit = LeaveOneOut()


def settings_from(overrides: Sequence[str] = ()) -> Settings:
    """The settings that overrides describe. Raises ConfigurationError for any that a training alone has."""
    return resolve(Settings, [], overrides).value


def prepare_into(folder: Path, source: str, overrides: Sequence[str] = ()) -> Manifest:
    """Read, filter, index and order the events of a file, or of all files that a pattern with `*` fits, into a folder.

    Memory is bounded whatever the number of events. Raises what reading, filtering and splitting raise; then, and
    when interrupted, there is no folder.
    """
    folder, asked = expanded(folder), Asked.of(source, overrides)
    kinds, columns = asked.settings.kinds, asked.columns
    with whole_folder(folder) as draft:
        events = _known(_parts(source, columns, asked.rejected, draft / REJECTED), kinds)
        arrays = {"item": draft / EVENT_ITEMS, "time": draft / EVENT_TIMES, "weight": draft / EVENT_WEIGHTS}
        ordered = order_events(events, asked.settings.filters, arrays, is_text=is_text(source, columns), kinds=kinds)
        asked.complete(draft, ordered)
    return read_manifest(folder)


@dataclass(frozen=True)
class Asked:
    """A log that is to be prepared."""

    source: str
    files: tuple[Path, ...]
    settings: Settings
    columns: Columns
    """Those of the settings, and that of kinds."""
    found: Found
    rows: Rows | None
    """The table of items."""
    users: Rows | None
    """That of users."""
    rejected: RejectedRows

    @classmethod
    def of(cls, source: str, overrides: Sequence[str]) -> "Asked":
        """What overrides say of the files of a source, whose first rows are read, and the tables of items and users."""
        settings, files = settings_from(overrides), files_of(source)
        columns = with_kinds(source, settings.columns, settings.kinds, source)
        found = found_in(source, columns)
        rows = _rows(settings.features, columns, found)  # before minutes of events are read
        users = _user_rows(settings.user_features, columns, found)
        return cls(source, tuple(files), settings, columns, found, rows, users, RejectedRows())

    def complete(self, draft: Path, ordered: Ordered) -> None:
        """Write all that is not there yet beside the events of a draft."""
        log = write_log(draft, ordered, self.settings.kinds)
        with named_in_errors(self.source, self.rejected.reasons):
            parts = self.settings.split.split(log.sequences)
        items = _write_features(draft, log, self.settings.features, self.rows, self.found)
        known = {"called": Path(self.source).name, **dict(self.settings)}
        of_users = _write_users(draft, log, self.settings.user_features, self.users, self.found)
        origin = Origin([str(file) for file in self.files], self.found, self.rejected.reasons, items, of_users)
        write_manifest(draft, log, ordered, parts, origin, **known)


def _known(parts: Iterator[EventPart], kinds: Mapping[str, float | str]) -> Iterator[EventPart]:
    """The events of all files. Raises DataError at the end of one with kinds whose meaning is not said."""
    for file, of_file in groupby(parts, attrgetter("file")):
        counts, rows = Counter[str](), dict[str, list[str]]()
        for part in of_file:
            if part.kind is not None:
                counts.update(dict(part.kind.value_counts().iter_rows()))
                for kind in counts.keys() - kinds.keys():
                    more = part.row.filter(part.kind == kind).head(5 - len(rows.setdefault(kind, [])))
                    rows[kind] += [f"{file}:{row}" for row in more]
            yield part
        refuse_unknown(counts, kinds, rows.__getitem__)


def _rows(features: Features, of_events: Columns, found: Found) -> Rows | None:
    """The table of items, where one is asked for, once its columns are known to be there."""
    if (rows := rows_asked_for(features, None, of_events)) is not None:
        find_columns(rows.place, rows.table.columns, features.columns, found.columns.item)
    return rows


def _user_rows(features: Features, of_events: Columns, found: Found) -> Rows | None:
    """The same of users."""
    if (rows := rows_of_users(features, of_events)) is not None:
        find_columns(rows.place, rows.table.columns, features.columns, found.columns.user, rows.of)
    return rows


def _write_users(draft: Path, log: Log, features: Features, rows: Rows | None, found: Found) -> Joined | None:
    """What is known of the users of a log, written into a draft where there is a table of them."""
    if rows is None:
        return None
    known = join(rows, log.users, features.columns, found.columns.user)
    known.features.write(draft / OF_USERS)
    return known


def _write_features(draft: Path, log: Log, features: Features, rows: Rows | None, found: Found) -> Joined:
    """What is known of the items of a log, written into a draft where it is anything."""
    if rows is None:
        return Joined(ItemFeatures.none(log.items.ids))
    known = join(rows, log.items, features.columns, found.columns.item)
    known.features.write(draft / FEATURES)
    append_csv(draft / REJECTED_ITEMS, known.rejected.drain())
    return known


def _parts(source: str, columns: Columns, rejected: RejectedRows, rest: Path) -> Iterator[EventPart]:
    """The events of all files; rows that are none go to the file `rest` as they are found, and are counted."""
    for part in read_parts(source, columns, rejected=rejected):
        append_csv(rest, rejected.drain())
        yield part
    append_csv(rest, rejected.drain())
