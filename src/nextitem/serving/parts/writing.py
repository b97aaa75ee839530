"""Lists for many users as a file, or as a folder of part files: whole or not at all, and gone on from after a kill."""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.compute.spread import HERE, Spread
from nextitem.compute.waiting import Say, silent
from nextitem.data.log import Catalog
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.serving.ids import RawId
from nextitem.serving.parts.batch import Batch
from nextitem.serving.parts.ranked import Ranked, Ranker
from nextitem.serving.parts.workplace import Asked, PartFacts, Workplace
from nextitem.settings.given import expanded
from nextitem.storage import filled, guarded, move_into, refusals, whole_file, whole_folder, write_parquet
from nextitem.words import counted, time_left

LIST_FORMATS = (".csv", ".jsonl", ".parquet")
_RECOMMENDATIONS = 500_000  # of a part, about 50 MB; memory holds two parts at most
_MOST_USERS = 10_000  # of a part, however short the lists are: a second or two of work
_SECONDS = 5.0  # between two lines that say how far it is
_PART = re.compile(r"part-\d{5,}\.parquet")


@dataclass(frozen=True)
class Wanted:
    """Whose lists are written, and what they are made of. C users, N items."""

    ranker: Ranker
    batch: Batch
    items: Catalog
    titles: pl.Series | None
    """Of the N items, null where unknown; None: the lists have no column of titles."""
    k: int
    """How many items of each were asked for, which may be more than there are."""
    made_by: str
    """Stands for the model: another one is never gone on with."""

    def asked(self) -> Asked:
        """What decides the lists."""
        ranker, batch = self.ranker, self.batch
        per_part = max(1, min(_MOST_USERS, _RECOMMENDATIONS // ranker.k))
        items = "all" if ranker.allowed is None else _sha256(ranker.allowed.numpy().tobytes())
        limits = [(limit.most, limit.categories) for limit in ranker.picking.limits]
        picking = f"diversity {ranker.picking.diversity:g}, limits {_sha256(repr(limits).encode()) if limits else None}"
        return Asked(
            made_by=self.made_by,
            terms=f"hide {ranker.hide}, items {items}, titles {self.titles is not None}, {picking}",
            users=_sha256(str(batch.owners.cast(pl.String).str.join("\n").item()).encode()),
            histories=_fingerprint([batch.asked.histories, batch.asked.disliked]),
            k=self.k,
            users_per_part=per_part,
        )

    def ranked(self, rows: slice) -> Ranked:
        """The lists of adjacent users."""
        histories, disliked = self.batch.asked.histories, self.batch.asked.disliked
        return self.ranker.ranked(histories.select(rows), None if disliked is None else disliked.select(rows))


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
    def shorter(self) -> int:
        """Users with a list that is shorter than was asked for."""
        return sum(part.shorter for part in self.parts)

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


def write_lists(wanted: Wanted, out: Path, say: Say = silent, spread: Spread = HERE) -> Written:
    """Write the lists to a .parquet, .csv or .jsonl file, or to a folder of .parquet files; `say` how far it is.

    The file or folder appears whole, in place of an earlier one, when all lists are made. Until then finished parts lie
    beside it, and the next call for the same lists goes on from them. Parts are computed as `spread` has it and written
    by this process, each once. Raises ConfigurationError for a place that they
    cannot be written to, StorageError where the system refuses, and ScoreError where a score is NaN.
    """
    out = expanded(out)
    check_out(out)
    is_folder = out.suffix not in LIST_FORMATS
    place, asked = Workplace(out, ".parquet" if is_folder else ".arrow"), wanted.asked()
    with refusals(out), place.alone(asked):
        written = _made(wanted, place, asked.users_per_part, say, spread)
        files = [place.file(number) for number in range(len(written.parts))]
        if is_folder:
            with whole_folder(out, replace=True) as draft:
                move_into(draft, files)
        else:
            with whole_file(out) as draft:
                _join(files, draft, out.suffix)
        place.clear()
    return written


def _made(wanted: Wanted, place: Workplace, per_part: int, say: Say, spread: Spread) -> Written:
    """Make what is missing of the parts: each is written while the next one is computed."""
    owners, parts, missing = wanted.batch.owners, dict[int, PartFacts](), dict[int, int]()
    progress = _Progress(len(owners), say)
    stretches = [*_stretches(len(owners), per_part)]
    for number, rows in enumerate(stretches):
        facts = place.facts(number)
        if facts is None:
            missing[rows.start] = number
        else:
            parts[number] = facts
            progress.found(facts.users)

    def store(number: int, users: pl.Series, ranked: Ranked) -> None:
        table = ranked.table(users, wanted.items, wanted.titles)
        parts[number] = place.add(number, table, _facts(users, ranked, wanted.k))
        progress.made(len(users))

    with ThreadPoolExecutor(1) as writer:
        before = Future[None]()
        before.set_result(None)
        for rows, ranked in spread.over(wanted.ranked, [stretches[number] for number in missing.values()]):
            before.result()  # so that memory holds no more than two parts
            before = writer.submit(store, missing[rows.start], owners[rows], ranked)
        before.result()
    return Written(tuple(parts[number] for number in sorted(parts)), progress.there, progress.parts_there)


def _fingerprint(found: Sequence[Sequences | None]) -> str:
    """Of events and where histories begin; users that the run knows may have told of others since."""
    proof = hashlib.sha256()
    for histories in filter(None, found):
        proof.update(histories.lengths_U.numpy().tobytes())
        for part in histories.parts():
            proof.update(part.flatten()[1].numpy().tobytes())
            proof.update(part.times().numpy().tobytes() if part.has_times else b"")
    return proof.hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _stretches(users: int, per_part: int) -> Iterator[slice]:
    """One at least: of no users there is an empty part."""
    for start in range(0, max(1, users), per_part):
        yield slice(start, min(start + per_part, users))


def _facts(users: pl.Series, ranked: Ranked, k: int) -> PartFacts:
    lengths_C = ranked.lengths_C
    without_C = (lengths_C == 0).nonzero()[:, 0]
    return PartFacts(
        size=0,
        users=len(users),
        recommendations=int(lengths_C.sum()),
        by_popularity=int((ranked.is_popular_C & (lengths_C > 0)).sum()),
        shorter=int(((lengths_C > 0) & (lengths_C < k)).sum()),
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
