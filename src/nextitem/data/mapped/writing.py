"""A log prepared into a folder, and the folder as what an experiment starts from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from nextitem.data.features.columns import NO_FEATURES, Features
from nextitem.data.features.files import rows_asked_for
from nextitem.data.features.finding import find_columns
from nextitem.data.features.joining import Joined, join
from nextitem.data.features.rows import Rows
from nextitem.data.features.table import FILE as FEATURES
from nextitem.data.features.table import ItemFeatures
from nextitem.data.filters import Filters
from nextitem.data.kinds import Kinds
from nextitem.data.log import Log
from nextitem.data.mapped.folder import EVENT_ITEMS, EVENT_TIMES, Manifest, read_manifest, write_log, write_manifest
from nextitem.data.mapped.ordering import order_events
from nextitem.data.reading.checks import EventPart
from nextitem.data.reading.columns import Columns, Found
from nextitem.data.reading.files import found_in, is_text, read_parts
from nextitem.data.reading.paths import files_of
from nextitem.data.reading.rejected import REJECTED, RejectedRows
from nextitem.data.splits import AnySplit, LeaveOneOut
from nextitem.errors import ConfigurationError
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import expanded
from nextitem.settings.overrides import resolve
from nextitem.storage import append_csv, whole_folder


class Settings(Configuration):
    """What `nextitem prepare` lets be changed: the settings of a recipe that concern the events alone."""

    path_keys: ClassVar[Mapping[str, str]] = {"items": "features.file"}
    also_called: ClassVar[Mapping[str, str]] = {"preparation": "filters"}

    columns: Columns = Columns()
    kinds: Kinds = Field({})
    features: Features = NO_FEATURES
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
    settings = settings_from(overrides)
    if settings.kinds:
        raise ConfigurationError(
            "a log is prepared without kinds of events; give kinds to `train`, and it the file itself"
        )
    folder, files = expanded(folder), files_of(source)
    found, rejected = found_in(source, settings.columns), RejectedRows()
    rows = _rows(settings.features, found)  # before minutes of events are read
    with whole_folder(folder) as draft:
        events = _parts(source, settings.columns, rejected, draft / REJECTED)
        arrays = (draft / EVENT_ITEMS, draft / EVENT_TIMES)
        ordered = order_events(events, settings.filters, *arrays, is_text=is_text(source, settings.columns))
        log = write_log(draft, ordered)
        parts = settings.split.split(log.sequences)
        items = _write_features(draft, log, settings.features, rows, found)
        known = {key: value for key, value in settings if key != "kinds"}
        names = [str(file) for file in files]
        write_manifest(draft, log, ordered, parts, found, names, rejected.reasons, items.notes, **known)
    return read_manifest(folder)


def _rows(features: Features, found: Found) -> Rows | None:
    """The table of items, where one is asked for, once its columns are known to be there."""
    if (rows := rows_asked_for(features)) is not None:
        find_columns(rows.place, rows.table.columns, features.columns, found.columns.item)
    return rows


def _write_features(draft: Path, log: Log, features: Features, rows: Rows | None, found: Found) -> Joined:
    """What is known of the items of a log, written into a draft where it is anything."""
    if rows is None:
        return Joined(ItemFeatures.none(log.items.ids))
    known = join(rows, log.items, features.columns, found.columns.item)
    known.features.write(draft / FEATURES)
    return known


def _parts(source: str, columns: Columns, rejected: RejectedRows, rest: Path) -> Iterator[EventPart]:
    """The events of all files; rows that are none go to the file `rest` as they are found, and are counted."""
    for part in read_parts(source, columns, rejected=rejected):
        append_csv(rest, rejected.drain())
        yield part
    append_csv(rest, rejected.drain())
