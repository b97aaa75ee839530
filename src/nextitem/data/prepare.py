"""From the name of the data to events that are indexed and split."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from narwhals.typing import IntoFrame

from nextitem.data import acquisition
from nextitem.data.acquisition.addresses import folder_at
from nextitem.data.datasets import DATASETS
from nextitem.data.datasets.synthetic import SyntheticLog, TrueTransitions, generate
from nextitem.data.features.columns import NO_FEATURES, FeatureColumns
from nextitem.data.features.files import rows_asked_for, rows_of_users
from nextitem.data.features.joining import Joined, join
from nextitem.data.features.layout import known_categories
from nextitem.data.features.rows import Rows
from nextitem.data.features.table import ItemFeatures
from nextitem.data.filters import Filters
from nextitem.data.interactions import Interactions
from nextitem.data.kinds import interpret
from nextitem.data.log import Log, index
from nextitem.data.mapped.folder import is_prepared, read_prepared, stored_features, stored_user_features
from nextitem.data.mapped.manifest import Manifest
from nextitem.data.notes import Counts, notes
from nextitem.data.oddities import notes_on_log
from nextitem.data.reading.columns import Columns, Found
from nextitem.data.reading.files import found_in, places_of, read_interactions
from nextitem.data.reading.frames import FRAME
from nextitem.data.reading.kinds import unread_kinds, with_kinds
from nextitem.data.reading.paths import files_of
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.shards import note_on
from nextitem.data.reading.sources import Events
from nextitem.data.source import EventSettings, Source
from nextitem.data.splits.split import Cases, Split
from nextitem.errors import ConfigurationError
from nextitem.settings.given import is_address
from nextitem.settings.suggestion import suggest
from nextitem.settings.written import as_json
from nextitem.storage.places import what_is_at

SYNTHETIC = "synthetic"
GivenEvents = IntoFrame | Interactions
"""Events of a program: a frame of pandas, polars, pyarrow and others, or what was made of one."""
_OF_TIMES = "times, which order the events of a user"
_OF_ROWS = "no times: the order of rows is taken for time"


@dataclass(frozen=True)
class Prepared:
    """The events a recipe asks for, indexed and split."""

    source: Source
    log: Log
    split: Split
    features: ItemFeatures
    """What is known of the items, row i of item i; nothing but their ids where the data has nothing."""
    notes: tuple[str, ...]
    """What was left out or is ambiguous, in words."""
    upper_bound: Callable[[Cases], Mapping[str, float]] | None = None
    """For generated data the expected quality of the generating process itself, which no model can exceed."""
    columns: Columns | None = None
    """The columns that a file was read by, each with its name there; None for a dataset by name."""
    rejected: RejectedRows = field(default_factory=RejectedRows)
    """Rows of the file that were left out, where columns.on_bad_rows=skip; of a prepared folder their counts alone."""
    rejected_items: RejectedRows = field(default_factory=RejectedRows)
    """The same of the table of items."""
    user_features: ItemFeatures | None = None
    """What is known of the users, row u of user u; None where no table of them was named."""

    @property
    def titles(self) -> Mapping[object, str]:
        """Titles by raw item id, where the data has them."""
        return self.features.titles


def prepare(settings: EventSettings, *, events: GivenEvents | None = None, items: IntoFrame | None = None) -> Prepared:
    """Read (or generate) the events that a recipe asks for, filter, index and split them.

    A prepared folder is mapped as it is. Given `events` are taken in place of the recipe's data, which then are called
    `frame`: a frame by its columns as a file by its own, or `Interactions`. Given `items`, a frame with a row for each
    item, take the place of a file that the recipe names; its `features.columns` say which column holds what.

    Raises DataError, ConfigurationError, and ArtefactError for a folder that is not whole.
    """
    source = Source.of(settings)
    rows = rows_asked_for(source.features, items, source.columns)
    if events is not None:
        source = replace(source, data=data_of_given(source.data))
        return with_users(prepared_of(source, load_events(source, events), rows))
    if is_mapped(source):
        return _from_folder(source, rows)
    return with_users(prepared_of(source, load_events(source), rows))


def with_users(prepared: Prepared) -> Prepared:
    """The same with what the table of users says, where its source names one. Raises DataError as `join`."""
    source, columns = prepared.source, prepared.columns
    if (rows := rows_of_users(source.user_features, source.columns)) is None:
        return prepared
    asked, of_events = source.user_features.columns, None if columns is None else columns.user
    known = join(rows, prepared.log.users, asked, of_events)
    return replace(prepared, user_features=known.features, notes=(*prepared.notes, *known.notes))


def is_mapped(source: Source) -> bool:
    """Whether the data are a folder that `nextitem prepare` left, damaged or not, or the address of one."""
    if is_address(source.data):  # nothing else is read from there
        return True
    return source.data not in (SYNTHETIC, *DATASETS) and is_prepared(source.data)


def prepared_of(source: Source, loaded: "Loaded", rows: Rows | None = None) -> Prepared:
    """The events that were loaded of a source, filtered, indexed and split, with what `rows` say of their items.

    Raises DataError where nothing is left, and as `join`.
    """
    with source.named_in_errors(loaded.rejected.reasons):
        kept = source.filters.apply(loaded.events)
        log = index(kept, source.kinds, loaded.disliked)
        split = source.split.split(log.sequences).named(source.name)
    repeated, tied = kept.repeated_events, kept.tied_events
    counts = Counts(len(loaded.events), len(kept), repeated, tied, kept.doubled_events, loaded.rejected.reasons)
    odd = notes_on_log(log, time.time())
    sentences = (*loaded.notes, *notes(loaded.order, counts, split.told), *odd, *note_on(loaded.files))
    # The process knows whole histories only: filtered ones have no exact bound.
    generated = None if len(kept) < len(loaded.events) else loaded.generated
    bound = None if generated is None else partial(_upper_bound, generated, log)
    columns = None if loaded.found is None else loaded.found.columns
    known = joined(log, source, rows, columns) if rows is not None else _own(log, loaded.items)
    said = (*sentences, *known.notes)
    split = split.with_categories(known_categories(known.features))
    return Prepared(source, log, split, known.features, said, bound, columns, loaded.rejected, known.rejected)


def _from_folder(source: Source, rows: Rows | None) -> Prepared:
    """What `nextitem prepare` left, as it is prepared for a recipe."""
    folder = folder_at(source.data)
    log, split, manifest = mapped(source, folder)
    named, columns = split.named(manifest.name_in(Path(source.data))), manifest.columns_found
    if rows is None:
        features, of_items = stored_features(folder, log.items.ids), RejectedRows(manifest.rejected_items)
        known = Joined(features, manifest.item_notes, of_items)
    else:
        known = joined(log, source, rows, columns)
    said, rejected = (*manifest.notes_with(split), *known.notes), RejectedRows(manifest.rejected)
    named = named.with_categories(known_categories(known.features))
    prepared = Prepared(source, log, named, known.features, said, None, columns, rejected, known.rejected)
    if source.user_features != NO_FEATURES:
        return with_users(prepared)
    users = stored_user_features(folder, log.users.ids)
    return replace(prepared, user_features=users, notes=(*said, *manifest.user_notes))


def mapped(source: Source, folder: Path | None = None) -> tuple[Log, Split, Manifest]:
    """What `nextitem prepare` left in a folder, by default at the source's own place.

    Raises ConfigurationError where the source asks for other columns or filters, and as `folder_at`.
    """
    log, split, manifest = read_prepared(folder_at(source.data) if folder is None else folder, source.split)
    defaults: dict[str, object] = {"columns": Columns(), "filters": Filters(), "kinds": {}}
    for key, default in defaults.items():
        asked, there = (getattr(one, key) for one in (source, manifest))
        if asked not in (default, there):
            raise ConfigurationError(
                f"{source.data} was prepared with {key} {as_json(there).decode()}, not {as_json(asked).decode()}; "
                f"leave {key} out, or prepare the log anew"
            )
    return log, split, manifest


def joined(log: Log, source: Source, rows: Rows, columns: Columns | None) -> Joined:
    """What a table says of the items of a log whose events were read by these columns."""
    return join(rows, log.items, source.features.columns, None if columns is None else columns.item)


def _own(log: Log, items: Rows | None) -> Joined:
    """What a dataset itself knows of its items."""
    if items is None:
        return Joined(ItemFeatures.none(log.items.ids))
    return Joined(join(items, log.items, FeatureColumns()).features)


def _upper_bound(generated: SyntheticLog, log: Log, cases: Cases) -> Mapping[str, float]:
    return TrueTransitions(generated, log.users, log.items).query(cases.histories).upper_bound(10)


@dataclass(frozen=True)
class Loaded:
    """Events as they were read or generated, and what is known about them."""

    events: Interactions
    order: str
    """By what the events of a user are put in order, as a sentence."""
    found: Found | None = None
    """The columns of a file; None of a dataset by name."""
    items: Rows | None = None
    """What a dataset knows of its items."""
    generated: SyntheticLog | None = None
    disliked: Interactions | None = None
    """What users said no to, beside the events."""
    notes: tuple[str, ...] = ()
    """What became of kinds of events, in words."""
    rejected: RejectedRows = field(default_factory=RejectedRows)
    """Rows of the file that were left out."""
    files: tuple[Path, ...] = ()
    """What was read, in its order."""


def data_of_given(data: str) -> str:
    """What data are called where a program gives the events. Raises ConfigurationError where a recipe names others."""
    if data not in (SYNTHETIC, FRAME):
        raise ConfigurationError(f"the recipe names data={data}, and events are given as well; leave one of them out")
    return FRAME


def load_events(source: Source, events: GivenEvents | None = None) -> Loaded:
    """The events of a file or a dataset, or those that are given.

    Raises DataError, StorageError and ConfigurationError as reading them does.
    """
    if isinstance(events, Interactions):
        return _given(source, events)
    if events is not None:
        return _read(source, events)
    if source.data == FRAME:
        raise ConfigurationError(
            f"data={FRAME} stands for events that a Python program gave, which are not kept: give them again by "
            f"events=…, or a file of them (data=FILE; to `nextitem evaluate` --data FILE)"
        )
    if source.data in (SYNTHETIC, *DATASETS):
        return _published(source)
    if not any(mark in source.data for mark in "./\\") and what_is_at(Path(source.data)) is None:
        known = suggest(source.data, [SYNTHETIC, *DATASETS])
        raise ConfigurationError(f"there is no dataset '{source.data}'; {known}, or the path of a file")
    return _read(source, source.data)


def _given(source: Source, events: Interactions) -> Loaded:
    if source.columns.said:
        raise ConfigurationError(f"columns={source.columns.said} are about a frame's or a file's: leave columns out")
    order = f"the events that were given have {_OF_TIMES if 'time' in events.events.columns else _OF_ROWS}"
    if not source.kinds:
        return Loaded(events, order)
    meant = interpret(events, source.kinds)
    return Loaded(meant.events, order, disliked=meant.disliked, notes=(meant.note,))


def _published(source: Source) -> Loaded:
    """A dataset by its name. Raises ConfigurationError where columns or kinds are said, of which it has its own."""
    if source.columns.said:
        raise ConfigurationError(
            f"columns={source.columns.said} are about those of a file, and {source.data} is a dataset with its own: "
            f"leave columns out"
        )
    if source.kinds:
        raise ConfigurationError(
            f"kinds say what kinds of events mean, and {source.data} is a dataset whose events are all alike: leave "
            f"kinds out"
        )
    if source.data == SYNTHETIC:
        generated = generate()
        order, items = "the times that were generated order the events", Rows.numbered(SYNTHETIC, generated.titles)
        return Loaded(generated.interactions, order, None, items, generated)
    events = acquisition.load(DATASETS[source.data])
    return Loaded(events, f"{source.data} has {_OF_TIMES if 'time' in events.events.columns else _OF_ROWS}")


def _read(source: Source, given: Events) -> Loaded:
    """A file, several that are one log, or a frame."""
    rejected = RejectedRows()
    columns = with_kinds(given, source.columns, source.kinds, source.data)
    found, log = found_in(given, columns), read_interactions(given, columns, rejected=rejected)
    files = tuple(files_of(given)) if isinstance(given, str) else ()
    loaded = Loaded(log, found.note(), found, rejected=rejected, files=files)
    if not source.kinds:
        return replace(loaded, notes=unread_kinds(found))
    places = cache(partial(places_of, given, columns))  # for messages alone: they take another reading
    meant = interpret(log, source.kinds, lambda event: "{}:{}".format(*places().row(event)))
    return replace(loaded, events=meant.events, disliked=meant.disliked, notes=(meant.note,))
