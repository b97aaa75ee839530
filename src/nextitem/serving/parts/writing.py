"""Lists for many users as a file, or as a folder of part files: whole or not at all, and gone on from after a kill."""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.compute.waiting import Say, silent
from nextitem.data.log import Catalog
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.serving.ids import RawId
from nextitem.serving.parts.ranked import Ranked, Ranker
from nextitem.serving.parts.tables import LIST_FORMATS
from nextitem.serving.parts.workplace import Asked, PartFacts, Workplace
from nextitem.settings.given import expanded
from nextitem.storage import filled, guarded, move_into, refusals, whole_file, whole_folder, write_parquet
from nextitem.words import counted, time_left

_RECOMMENDATIONS = 1_000_000  # in memory at a time, about 100 MB
_MOST_USERS = 10_000  # of a part, however short the lists are: a second or two of work
_SECONDS = 5.0  # between two lines that say how far it is
_PART = re.compile(r"part-\d{5,}\.parquet")


@dataclass(frozen=True)
class Wanted:
    """Whose lists are written, and what they are made of. C users, N items."""

    ranker: Ranker
    owners: pl.Series
    """Raw ids of the C users, in the order in which their lists are written."""
    histories: Sequences
    """One of each."""
    items: Catalog
    titles: pl.Series | None
    """Of the N items, null where unknown; None: the lists have no column of titles."""
    made_by: str
    """Stands for the model: another one is never gone on with."""

    def asked(self) -> Asked:
        """What decides the lists."""
        per_part = max(1, min(_MOST_USERS, _RECOMMENDATIONS // self.ranker.k))
        allowed = self.ranker.allowed
        items = "all" if allowed is None else hashlib.sha256(allowed.numpy().tobytes()).hexdigest()
        users = hashlib.sha256(str(self.owners.cast(pl.String).str.join("\n").item()).encode()).hexdigest()
        terms = f"hide {self.ranker.hide}, items {items}, titles {self.titles is not None}"
        return Asked(made_by=self.made_by, terms=terms, users=users, k=self.ranker.k, users_per_part=per_part)


@dataclass(frozen=True)
class Written:
    """What was written."""

    parts: tuple[PartFacts, ...]
    found: int = 0
    """Users whose lists were there already, from a start that was interrupted."""
    parts_found: int = 0
    """How many parts these are."""

    @property
    def users(self) -> int:
        """How many were asked about."""
        return sum(part.users for part in self.parts)

    @property
    def recommendations(self) -> int:
        """Rows."""
        return sum(part.recommendations for part in self.parts)

    @property
    def by_popularity(self) -> int:
        """Users that get the most popular items, since the model knows none of theirs."""
        return sum(part.by_popularity for part in self.parts)

    @property
    def without(self) -> list[RawId]:
        """Users that get no list, since nothing is left that may be recommended."""
        return [user for part in self.parts for user in part.without]


def check_out(out: Path) -> None:
    """Raise ConfigurationError for a place that lists cannot be written to: a folder, or a file of a known ending."""
    if out.suffix in LIST_FORMATS:
        return
    if out.suffix and not out.is_dir():
        raise ConfigurationError(
            f"--out {out}: the ending has to tell the format; known: {', '.join(LIST_FORMATS)}, or a folder without an "
            f"ending for part files"
        )
    others = [path.name for path in out.iterdir() if not _PART.fullmatch(path.name)] if out.is_dir() else []
    if others:
        raise ConfigurationError(
            f"--out {out}: the folder holds {others[0]!r}, which is no part of lists; remove it, or choose another "
            f"--out"
        )


def write_lists(wanted: Wanted, out: Path, say: Say = silent) -> Written:
    """Write the lists to a .parquet, .csv or .jsonl file, or to a folder of .parquet files; `say` how far it is.

    The file or folder appears whole, in place of an earlier one, when all lists are made. Until then finished parts lie
    beside it, and the next call for the same lists goes on from them. Raises ConfigurationError for a place that they
    cannot be written to, StorageError where the system refuses, and ScoreError where a score is NaN.
    """
    out = expanded(out)
    check_out(out)
    is_folder = out.suffix not in LIST_FORMATS
    place, asked = Workplace(out, ".parquet" if is_folder else ".arrow"), wanted.asked()
    with refusals(out), place.alone(asked):
        written = _made(wanted, place, asked.users_per_part, say)
        files = [place.file(number) for number in range(len(written.parts))]
        if is_folder:
            with whole_folder(out, replace=True) as draft:
                move_into(draft, files)
        else:
            with whole_file(out) as draft:
                _join(files, draft, out.suffix)
        place.clear()
    return written


def _made(wanted: Wanted, place: Workplace, per_part: int, say: Say) -> Written:
    """Make what is missing of the parts."""
    progress = _Progress(len(wanted.owners), say)
    parts = list[PartFacts]()
    for number, rows in enumerate(_stretches(len(wanted.owners), per_part)):
        facts = place.facts(number)
        if facts is None:
            users = wanted.owners[rows]
            ranked = wanted.ranker.ranked(wanted.histories.select(rows))
            table = ranked.table(users, wanted.items, wanted.titles)
            facts = place.add(number, table, _facts(users, ranked))
            progress.made(facts.users)
        else:
            progress.found(facts.users)
        parts.append(facts)
    return Written(tuple(parts), progress.there, progress.parts_there)


def _stretches(users: int, per_part: int) -> Iterator[slice]:
    """One at least: of no users there is an empty part."""
    for start in range(0, max(1, users), per_part):
        yield slice(start, min(start + per_part, users))


def _facts(users: pl.Series, ranked: Ranked) -> PartFacts:
    lengths_C = ranked.lengths_C
    without_C = (lengths_C == 0).nonzero()[:, 0]
    return PartFacts(
        size=0,
        users=len(users),
        recommendations=int(lengths_C.sum()),
        by_popularity=int((ranked.is_popular_C & (lengths_C > 0)).sum()),
        without=tuple(users.gather(without_C.tolist()).to_list()),
    )


def _join(parts: Sequence[Path], file: Path, ending: str) -> None:
    """All parts in one file, of which no more than one part is in memory at a time. Raises OSError."""
    if ending == ".parquet":
        write_parquet(file, pl.scan_ipc([*parts]))
        return
    with filled(file) as content:
        for number, part in enumerate(parts):
            rows = pl.read_ipc(part)
            text = rows.write_ndjson() if ending == ".jsonl" else guarded(rows).write_csv(include_header=number == 0)
            content.write(text.encode())


class _Progress:
    """Says now and then how far it is, and what is left at the pace so far."""

    def __init__(self, users: int, say: Say) -> None:
        self._users, self._say = users, say
        self.there, self.parts_there, self._done = 0, 0, 0
        self._began = self._said = time.monotonic()

    def found(self, users: int) -> None:
        """A part was there already."""
        self.there += users
        self.parts_there += 1

    def made(self, users: int) -> None:
        """A part is finished."""
        if self.there and not self._done:
            self._say(f"going on: the lists of {self.there:,} of {counted(self._users, 'user')} are there already")
        self._done += users
        now, done = time.monotonic(), self.there + self._done
        if now - self._said < _SECONDS or done == self._users:
            return
        self._said, pace = now, self._done / (now - self._began)
        left = time_left((self._users - done) / pace)
        self._say(f"{done:,} of {counted(self._users, 'user')}, {pace:,.0f} a second, {left} left")
