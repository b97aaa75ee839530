"""What changed in the catalogue since the run was trained, as it was told: kept here, understood elsewhere."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nextitem.errors import DataError
from nextitem.serving.ids import RawId
from nextitem.serving.store.events import Rules

Change = tuple[RawId, str, str | None, int]
"""Of which item, what changed, to what, and when in unix seconds."""
Features = Mapping[str, Any]
"""What is known of an item beside its id: columns of the run's table of items, and `title`."""
_RETIRED, _TITLE, _ADDED = "retired", "title", "added"
_NO = "no"  # of what is retired: the opposite has to be remembered as well, since a run may hold that it is
CHANGES_READ = "SELECT item, what, value FROM changes ORDER BY item, what"
_MOST_FEATURES = 1 << 20  # characters of JSON about one item


@dataclass(frozen=True)
class StoredChanges:
    """All changes, in the order of ids."""

    retired: tuple[RawId, ...] = ()
    """Items that are never recommended; in histories they are read."""
    brought_back: tuple[RawId, ...] = ()
    """Items that are recommended again, also where a run was told to retire them."""
    titles: Mapping[RawId, str] = field(default_factory=dict)
    """What items are called from now on."""
    added: Mapping[RawId, Features] = field(default_factory=dict)
    """New items, with what is known of them."""


def as_changes(rows: Iterable[tuple[Any, ...]]) -> StoredChanges:
    """What the rows of `CHANGES_READ` say."""
    rows = [*rows]
    return StoredChanges(
        tuple(item for item, what, value in rows if what == _RETIRED and value is None),
        tuple(item for item, what, value in rows if what == _RETIRED and value == _NO),
        {item: value for item, what, value in rows if what == _TITLE},
        {item: json.loads(value) for item, what, value in rows if what == _ADDED},
    )


class StoredCatalogue:
    """Changes of a catalogue, each on disk when its method returns; methods raise as those of the store."""

    def __init__(
        self,
        rules: Rules,
        keep: Callable[[Sequence[Change]], object],
        drop: Callable[[Sequence[RawId]], object],
        rows: Callable[[], Iterable[tuple[Any, ...]]],
    ) -> None:
        """`keep` and `drop` return when it is on disk; `rows` are those of `CHANGES_READ`."""
        self._rules, self._keep, self._drop, self._rows = rules, keep, drop, rows

    def retire(self, items: Iterable[RawId]) -> None:
        """Recommend these items no more."""
        self._put(_RETIRED, dict.fromkeys(items))

    def bring_back(self, items: Iterable[RawId]) -> None:
        """Recommend items again that were retired, be it here or in a run."""
        self._put(_RETIRED, dict.fromkeys(items, _NO))

    def rename(self, titles: Mapping[RawId, str]) -> None:
        """Call items otherwise. Raises DataError for a title that is blank or no text that UTF-8 can hold."""
        for item, title in titles.items():
            if not title.strip() or "\0" in title or any("\ud800" <= letter <= "\udfff" for letter in title):
                raise DataError(f"item {item!r}: the title {title!r} is blank, or no text that UTF-8 can hold")
        self._put(_TITLE, titles)

    def add(self, items: Mapping[RawId, Features]) -> None:
        """Add items, or say anew what is known of added ones. Raises DataError for what JSON cannot hold."""
        texts = dict[RawId, str]()
        for item, features in items.items():
            try:
                texts[item] = json.dumps(dict(features), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise DataError(f"item {item!r}: its features are nothing that JSON holds ({error})") from error
            if len(texts[item]) > _MOST_FEATURES:
                raise DataError(f"item {item!r}: its features are longer than {_MOST_FEATURES:,} characters")
        self._put(_ADDED, texts)

    def remove(self, items: Iterable[RawId]) -> None:
        """Forget all changes of these items: as if nothing had been said of them."""
        self._drop(self._checked(items))

    def changes(self) -> StoredChanges:
        """All that was told and still holds."""
        return as_changes(self._rows())

    def _put(self, what: str, values: Mapping[RawId, str | None]) -> None:
        self._checked(values)
        now = int(time.time())
        self._keep([(item, what, value, now) for item, value in values.items()])

    def _checked(self, items: Iterable[RawId]) -> list[RawId]:
        chosen = [*items]
        for place, item in enumerate(chosen, 1):
            self._rules.check_id("item", item, f"item {place}")
        return chosen
