"""From the name of the data to events that are indexed and split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nextitem.data import acquisition
from nextitem.data.datasets import DATASETS
from nextitem.data.datasets.synthetic import SyntheticLog, TrueTransitions, generate
from nextitem.data.doctor import notes
from nextitem.data.filters import Filters
from nextitem.data.interactions import Interactions
from nextitem.data.log import Log, index
from nextitem.data.mapped.folder import is_prepared, read_prepared
from nextitem.data.reading.files import Columns, read_interactions
from nextitem.data.source import EventSettings, Source
from nextitem.data.splits.split import Cases, Split
from nextitem.errors import ConfigurationError
from nextitem.settings.suggestion import suggest

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Prepared:
    """The events a recipe asks for, indexed and split."""

    source: Source
    log: Log
    split: Split
    titles: Mapping[object, str]
    """Titles by raw item id, where the data has them."""
    notes: tuple[str, ...]
    """What was left out or is ambiguous, in words."""
    upper_bound: Callable[[Cases], Mapping[str, float]] | None = None
    """For generated data the expected quality of the generating process itself, which no model can exceed."""


def prepare(settings: EventSettings) -> Prepared:
    """Read (or generate) the events that a recipe asks for, filter, index and split them.

    A prepared folder is mapped as it is.

    Raises DataError, ConfigurationError, and ArtefactError for a folder that is not whole.
    """
    source = Source.of(settings)
    if source.data not in (SYNTHETIC, *DATASETS) and is_prepared(source.data):
        return _from_folder(source)
    read, titles, generated = _load(source)
    kept = source.filters.apply(read)
    log = index(kept)
    split = source.split.split(log.sequences).named(source.name)
    sentences = notes(len(read), len(kept), kept.repeated_events, kept.tied_events, split.notes)
    # The process knows whole histories only: filtered ones have no exact bound.
    bound = None if generated is None or len(kept) < len(read) else partial(_upper_bound, generated, log)
    return Prepared(source, log, split, titles, sentences, bound)


def _from_folder(source: Source) -> Prepared:
    """What `nextitem prepare` left. Raises ConfigurationError where the recipe asks for other filters."""
    log, split, manifest = read_prepared(Path(source.data), source.split)
    for key, default in (("columns", Columns()), ("filters", Filters())):
        asked, there = (getattr(one, key) for one in (source, manifest))
        if asked not in (default, there):
            raise ConfigurationError(
                f"{source.data} was prepared with {key} {there.model_dump_json()}, not {asked.model_dump_json()}; "
                f"leave {key} out, or prepare the log anew"
            )
    return Prepared(source, log, split.named(source.name), {}, manifest.notes_with(split))


def _upper_bound(generated: SyntheticLog, log: Log, cases: Cases) -> Mapping[str, float]:
    return TrueTransitions(generated, log.users, log.items).query(cases.histories).upper_bound(10)


def _load(source: Source) -> tuple[Interactions, Mapping[object, str], SyntheticLog | None]:
    """(events, titles, the generator's own knowledge if the data is generated) of the data that is asked for."""
    named = source.columns.model_dump(exclude_none=True)
    if named and source.data in (SYNTHETIC, *DATASETS):
        raise ConfigurationError(
            f"columns={named} name those of a file, and {source.data} is a dataset with its own: leave columns out"
        )
    if source.data == SYNTHETIC:
        generated = generate()
        titles = dict(zip(generated.titles["item"], generated.titles["title"], strict=True))
        return generated.interactions, titles, generated
    if source.data in DATASETS:
        return acquisition.load(DATASETS[source.data]), {}, None
    if not any(mark in source.data for mark in "./\\"):
        known = suggest(source.data, [SYNTHETIC, *DATASETS])
        raise ConfigurationError(f"there is no dataset '{source.data}'; {known}, or the path of a file")
    return read_interactions(source.data, source.columns), {}, None
