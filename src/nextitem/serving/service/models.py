"""The models of a service: which one answers whom, and how one takes the place of another while questions come."""

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from nextitem.data.acquisition.addresses import folder_at
from nextitem.data.log import Catalog
from nextitem.errors import ArtefactError, ConfigurationError, NextitemError
from nextitem.experiment.folder.reading import LISTS, Run, read_run
from nextitem.serving.ids import RawId
from nextitem.serving.indexed.index import is_stale
from nextitem.serving.indexing import falls_short
from nextitem.serving.question import Question
from nextitem.serving.recommender import Recommender
from nextitem.serving.service.batching import Work
from nextitem.serving.service.refusals import RefusedError
from nextitem.serving.service.versions import Versions, newest_at
from nextitem.serving.store.events import IdTypes, Rules
from nextitem.settings.suggestion import suggest
from nextitem.storage import MANIFEST, sha256

_SPAN = 1 << 64


@dataclass(frozen=True)
class ModelVersion:
    """A model as it was loaded once."""

    name: str
    """What it is asked by: that of its folder."""
    version: str
    """The first 12 digits of its manifest's sha256: equal for equal artefacts, wherever they lie."""
    folder: Path | None
    """The run, or the copy of it that was fetched; None of what was made in this process."""
    loaded: float
    """When, in unix seconds."""
    recommender: Recommender = field(repr=False)
    share: float = 1.0
    """Of the users that are dealt out, from 0 to 1."""
    answers: Work = field(repr=False, default=list)
    """What answers several questions at once."""
    holds: Mapping[str, int] = field(repr=False, default_factory=dict)
    """Up to which event of which database, by its name, its own histories have them."""
    made: float = 0.0
    """When it was learnt, in unix seconds."""
    place: Path | str | None = None
    """Where to look for it again: a run, a folder that holds versions of it, or the address of one of these."""
    in_doubt: int = 0
    """Events of the database that it is taken to have learnt, though they happened after it was made."""
    passed_over: tuple[str, ...] = ()
    """Versions that were learnt later and could not be loaded when the service began, and why, in words."""
    why_exact: str | None = None
    """Why the index in its folder is not asked, in words; None where it is, or where there is none."""

    @property
    def recall(self) -> float | None:
        """The share of exact lists that its index found when it was measured; None where it has none."""
        index = self.recommender.known.index
        return None if index is None else index.facts.recall

    def check_user(self, user: RawId) -> None:
        """Raise DataError for what is no id, or none of the type that the users of the model have."""
        if self.recommender.users is not None:
            Rules({}, ids_of(self.recommender)).check_id("user", user, "question")


def ids_of(recommender: Recommender) -> IdTypes:
    """What the ids of a recommender are."""
    users = recommender.users
    return IdTypes(str if users is None else _type_of(users), _type_of(recommender.items))


def _type_of(catalogue: Catalog) -> type[str] | type[int]:
    return str if catalogue.ids.dtype == pl.String else int


def version_of(recommender: Recommender, name: str, share: float = 1.0) -> ModelVersion:
    """A recommender that was made in this process, as a model; it has no folder to be loaded from again."""
    return ModelVersion(name, "unsaved", None, time.time(), recommender, share, recommender.answer)


def load(place: Path | str, name: str, share: float = 1.0) -> ModelVersion:
    """The model in a run's folder or at its address, proven file by file.

    Of an address the version that is published by now. Raises ArtefactError for one that is not intact, and as
    `folder_at`.
    """
    folder = folder_at(place)
    run = read_run(folder)
    version = sha256(folder / MANIFEST)
    recommender = Recommender.from_run(run.proven(*LISTS))
    recommender, why_exact = _with_index(run, recommender)
    if sha256(folder / MANIFEST) != version:
        raise ArtefactError(f"{folder} was replaced while it was read; load it again")
    _warm(recommender)
    holds = run.metrics.holds or {}
    made = run.metrics.provenance.moment
    return ModelVersion(
        name, version[:12], folder, time.time(), recommender, share, recommender.answer, holds, made,
        place=place, why_exact=why_exact,
    )  # fmt: skip


def load_newest(place: Path | str, name: str, share: float = 1.0) -> ModelVersion:
    """The run at a place, or else of the runs in it the one that was learnt last and is intact.

    Raises as `load`, and as `Versions` does.
    """
    versions, passed_over = Versions(place).newest_first(), list[str]()
    for number, version in enumerate(versions):
        try:
            loaded = load(version.place, name, share)
        except ArtefactError as error:
            if number + 1 == len(versions):
                raise
            passed_over.append(str(error))
        else:
            return replace(loaded, place=place, passed_over=tuple(passed_over))
    return load(place, name, share)


def _with_index(run: Run, recommender: Recommender) -> tuple[Recommender, str | None]:
    """(the recommender with the index of the run if that is good enough, why it is not asked otherwise).

    Raises ArtefactError for one that is damaged, and ConfigurationError where faiss is not installed.
    """
    if is_stale(run):
        return recommender, "its index is of other weights"
    if recommender.known.index is not None:
        recommender.known.index.open()
    if (short := falls_short(recommender.known)) is None:
        return recommender, None
    trained = None if recommender.trained is None else replace(recommender.trained, index=None)
    return replace(recommender, known=replace(recommender.known, index=None), trained=trained), short


def _warm(recommender: Recommender) -> None:
    """Answer once, so that nobody waits for the first pass, which takes many times as long as those after it."""
    users = recommender.users
    one = Question(user=users.ids[0]) if users is not None and len(users) else Question((recommender.items.ids[0],))
    with suppress(NextitemError):  # whoever asks the same is told
        recommender.answer([one])


class Models:
    """The models by name, and the shares of the users that each answers. What is read here never changes halfway."""

    def __init__(self, versions: Sequence[ModelVersion]) -> None:
        """Raises ConfigurationError for two of one name, and for shares that do not add up to 1."""
        names = [one.name for one in versions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(
                f"two models are called {twice[0]}, after their folders; give folders of different names"
            )
        _checked([one.share for one in versions], names)
        self._lock = threading.Lock()  # of those who write: readers take the mapping as it stands
        self._current: Mapping[str, ModelVersion] = {one.name: one for one in versions}
        self._edges = _edges(self._current)
        self.completed: Callable[[Recommender], Recommender] = lambda recommender: recommender
        """What a recommender that was loaded becomes before it answers, such as one that knows of catalogue changes."""

    @classmethod
    def load(cls, places: Sequence[Path | str], shares: Sequence[float] = ()) -> "Models":
        """The models in folders of runs, or of versions of one, or at their addresses, called by the last part of each.

        Equal shares where none are given. Raises as `load` and `Models` do.
        """
        given = [*shares] or [1 / len(places)] * len(places)
        if len(given) != len(places):
            raise ConfigurationError(f"{len(given)} shares for {len(places)} models; give one for each, or none")
        return cls([load_newest(place, Path(place).name, share) for place, share in zip(places, given, strict=True)])

    @property
    def current(self) -> Mapping[str, ModelVersion]:
        """The models by name, in the order in which they were given."""
        return self._current

    @property
    def first(self) -> ModelVersion:
        """The model that answers who is nobody in particular."""
        return next(iter(self._current.values()))

    def named(self, name: str) -> ModelVersion:
        """The model of a name. Raises RefusedError for one that is not there."""
        model = self._current.get(name)
        if model is None:
            raise RefusedError(
                "no_model", f"model {name}: {suggest(name, [*self._current])}", "GET /v1/models lists them"
            )
        return model

    def of(self, user: RawId | None, name: str | None = None) -> ModelVersion:
        """The model that answers this user: that of the name, or else the user's own, which is always the same one.

        Users are dealt out by a hash of their ids; whoever asks without one is answered by the first model.
        """
        if name is not None:
            return self.named(name)
        current = self._current
        if user is None or len(current) == 1:
            return self.first
        place = _place(user)
        return next((current[one] for edge, one in self._edges if place < edge), self.first)

    def reload(self, name: str, run: Path | None = None) -> ModelVersion:
        """The model of a name, read again from where it lies, which answers from now on; or another `run` in its place.

        Where versions of it lie it is the one that was learnt last. Raises ArtefactError where its folder is not
        intact; the model that was there goes on then.
        """
        known = self.named(name)
        if known.place is None:
            raise ArtefactError(f"model {name} was made in this process and has no folder; save it and serve that")
        fresh = load(newest_at(known.place) if run is None else run, name)
        recommender = self.completed(fresh.recommender)
        fresh = replace(fresh, recommender=recommender, answers=recommender.answer, place=known.place)
        with self._lock:
            current = {**self._current, name: replace(fresh, share=self._current[name].share)}
            self._current = current
        return current[name]

    def put(self, name: str, recommender: Recommender) -> ModelVersion:
        """The model with another recommender in its place, such as one that knows of a changed catalogue."""
        with self._lock:
            changed = replace(self.named(name), recommender=recommender, answers=recommender.answer)
            self._current = {**self._current, name: changed}
        return changed

    def doubt(self, name: str, in_doubt: int) -> ModelVersion:
        """The model with what is known of events that it may not have learnt."""
        with self._lock:
            self._current = {**self._current, name: replace(self.named(name), in_doubt=in_doubt)}
        return self._current[name]

    def share_out(self, shares: Mapping[str, float]) -> None:
        """Deal the users out anew; a model that is not named gets none. Raises ConfigurationError."""
        for name in shares:
            self.named(name)
        with self._lock:
            names = [*self._current]
            checked = _checked([shares.get(name, 0.0) for name in names], names)
            self._current = {n: replace(self._current[n], share=s) for n, s in zip(names, checked, strict=True)}
            self._edges = _edges(self._current)


def _checked(shares: Sequence[float], names: Sequence[str]) -> list[float]:
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        told = ", ".join(f"{name} {share:g}" for name, share in zip(names, shares, strict=True))
        raise ConfigurationError(f"shares of users are between 0 and 1 and add up to 1; these are {told}")
    return [*shares]


def _edges(models: Mapping[str, ModelVersion]) -> list[tuple[int, str]]:
    ends = itertools.accumulate(model.share for model in models.values())
    return [(round(end * _SPAN), model.name) for end, model in zip(ends, models.values(), strict=True) if model.share]


def _place(user: RawId) -> int:
    """Where a user stands among all, from 0 to 2⁶⁴: the same in every process, whether the id is 7 or "7"."""
    return int.from_bytes(hashlib.blake2b(str(user).encode(), digest_size=8).digest(), "big")
