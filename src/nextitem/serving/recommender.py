"""Raw ids in, raw ids out: a stored or freshly trained model as something to call."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import torch
from torch import Tensor

from nextitem.data.interactions import Interactions
from nextitem.data.log import Catalog
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.data.reading.kinds import with_kinds
from nextitem.data.reading.sources import Events
from nextitem.data.sequences import NOBODY, Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.hiding import SeenOrDisliked, checked, hidden
from nextitem.evaluation.ranks import top_k
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.again import restore_own
from nextitem.experiment.folder.histories import histories_of
from nextitem.experiment.folder.reading import LISTS, Run, read_run
from nextitem.experiment.run import Outcome
from nextitem.model.baselines.popularity import PopularityScorer
from nextitem.serving.asked import Asked, Given, continued, given_alone, of_stored
from nextitem.serving.ids import RawId, ids_of
from nextitem.serving.news import Changes, News
from nextitem.settings.given import of_kind, whole_number, word_of, yes_or_no

Unknown = Literal["error", "drop"]
Ids = Iterable[RawId]
"""A list of ids: also a series or an array, or a frame of one column."""


@dataclass(frozen=True)
class Recommendation:
    """One recommended item."""

    item: RawId
    score: float
    """Comparable within one list only."""
    source: Literal["model", "popularity"]
    """`popularity` where the history had no known item, so that the model had nothing to go by."""


class Recommender:
    """Recommends to users of the training log or to any history of known items."""

    def __init__(
        self,
        scorer: Scorer,
        items: Catalog,
        counts_N: Tensor,
        users: Catalog | None,
        histories: Sequences | None,
        hide: str = "history",
        columns: Columns | None = None,
        kinds: Mapping[str, float | str] | None = None,
    ) -> None:
        self.scorer = scorer
        self.hide = hide  # which items of a history are left out where nobody says otherwise
        self.items = items
        self.users = users
        self._popularity = PopularityScorer(counts_N.double())
        self._histories = histories
        self._columns = columns  # of the log that was learnt from: new events are read like it
        self.kinds = kinds or {}  # what kinds of events mean, those of new ones too

    @classmethod
    def from_outcome(cls, outcome: Outcome) -> "Recommender":
        """A recommender from a training that just ended; histories are complete, test events included."""
        outcome = of_kind(outcome, Outcome, "outcome", "run(…) returns one; Recommender.load reads a run's folder")
        log = outcome.prepared.log
        counts_N, hide = outcome.prepared.split.train.counts(), outcome.test.certificate.hidden
        return cls(
            outcome.model,
            log.items,
            counts_N,
            log.users,
            log.sequences,
            hide,
            outcome.prepared.columns,
            log.sequences.events.kinds,
        )

    @classmethod
    def load(cls, folder: Path | str) -> "Recommender":
        """A recommender from a run's folder, on the CPU. Raises ArtefactError for an altered or foreign folder."""
        return cls.from_run(read_run(folder).proven(*LISTS))

    @classmethod
    def from_run(cls, run: Run) -> "Recommender":
        """A recommender from a run that was read."""
        run = of_kind(run, Run, "run", "read_run(folder) returns one; Recommender.load reads a run's folder")
        items = Catalog(run.items["item"])
        counts_N = torch.from_numpy(run.items["count"].to_numpy(writable=True))
        scorer, hide = restore_own(run), run.recipe.hide
        made = run.metrics.provenance
        columns, kinds = made.columns or run.recipe.columns, made.kinds or run.recipe.kinds
        if run.users is None:
            return cls(scorer, items, counts_N, None, None, hide, columns, kinds)
        histories = histories_of(run.users, len(items))
        return cls(scorer, items, counts_N, Catalog(run.users["user"]), histories, hide, columns, kinds)

    def recommend(
        self,
        histories: Iterable[Ids] | None = None,
        k: int = 10,
        *,
        times: Iterable[Iterable[float]] | None = None,
        users: Ids | None = None,
        events: Events | Interactions | None = None,
        candidates: Ids | None = None,
        exclude: Ids | None = None,
        hide: str | None = None,
        histories_only: bool = False,
        unknown: Unknown = "error",
    ) -> list[list[Recommendation]]:
        """The k best items for each history (oldest item first) or each user of the training log, best first.

        Histories that are given together with their `users` are new events: those of a known user go on from what is
        stored of that user, unless `histories_only`. A model that reads when events were needs the `times` of
        histories, as unix seconds, which then say in which order stored and new events are; others ignore them.
        `events` are such histories with their users and times as a frame of any library (or a file, or `Interactions`),
        whose columns are called as in the log that was learnt from, or have usual names; there is a list for each of
        their users then, in the order in which these first appear.
        A history without any known item gets the most popular items, labelled as such. Items of the
        `history`, `nothing` or, with `last:n`, those of its latest n events are left out as `hide` says, None: as in
        training. With `candidates` nothing but them is recommended, and nothing of `exclude`; a list is shorter than k
        when the items run out. Unknown items raise DataError, or are left out by `unknown="drop"`;
        so do users that are asked about without a history, whose list is empty then. A model with user vectors raises
        DataError for histories of nobody or of a user that it has none for.
        """
        changes = None
        if events is not None:
            if histories is not None or times is not None or users is not None:
                raise ConfigurationError("events have their users and times; leave histories, times and users out")
            news = News.of(self._read(events), self.kinds)
            given, changes = news.by_user(), news.changes(self.items)
            histories, times = given["item"], given["time"] if "time" in given.columns else None
            users = given["user"] if self.users is not None else None
        asked = self.asked(
            histories, times=times, users=users, changes=changes, histories_only=histories_only, unknown=unknown
        )
        return self.answered(asked, k, self.allowed(candidates, exclude, unknown), hide=hide)

    def asked(
        self,
        histories: Iterable[Ids] | None = None,
        *,
        times: Iterable[Iterable[float]] | None = None,
        users: Ids | None = None,
        changes: Changes | None = None,
        histories_only: bool = False,
        unknown: Unknown = "error",
    ) -> Asked:
        """What `recommend` is asked about, put together of given and stored events; raises what it raises.

        `changes` are what new events say beside what is in histories.
        """
        word_of(unknown, "unknown", ("error", "drop"))
        yes_or_no(histories_only, "histories_only")
        if histories is None:
            if users is None:
                raise ConfigurationError("recommend takes histories, users, or new events of users; give one of them")
            if times is not None or histories_only:
                raise ConfigurationError("times and histories_only are about histories that are given; leave them out")
            return self._of_users(ids_of(users, "users"), unknown)
        given = Given.of(histories, times, self.items)
        if unknown == "error":
            given.require_known(self.items)
        if users is None:
            return given_alone(given, torch.full((len(given.items),), NOBODY), len(self.items), changes)
        owners = ids_of(users, "users")
        if len(owners) != len(given.items):
            raise DataError(
                f"{len(owners):,} users and {len(given.items):,} histories; give each user one history of new events"
            )
        catalogue, stored = self._stored()
        users_C = catalogue.lookup(owners)
        if histories_only:
            return given_alone(given, users_C, len(self.items), changes)
        return continued(given, users_C, stored, changes)

    def _read(self, events: Events | Interactions) -> Interactions:
        if isinstance(events, Interactions):
            return events
        columns = with_kinds(events, Columns(), self.kinds, "the events", self._columns)
        return read_interactions(events, columns, like=self._columns)

    def allowed(self, candidates: Ids | None, exclude: Ids | None, unknown: Unknown = "error") -> Tensor | None:
        """Indices of the items that may be recommended, None where all may; raises what `recommend` raises."""
        if candidates is None and exclude is None:
            return None
        is_allowed_N = torch.full((len(self.items),), candidates is None)
        if candidates is not None:
            is_allowed_N[self._known(ids_of(candidates, "candidates", ordered=False), unknown)] = True
        if exclude is not None:
            is_allowed_N[self._known(ids_of(exclude, "exclude", ordered=False), unknown)] = False
        return is_allowed_N.nonzero()[:, 0]

    def answered(
        self, asked: Asked, k: int, allowed: Tensor | None = None, *, hide: str | None = None
    ) -> list[list[Recommendation]]:
        """The lists of what was asked about; empty ones of users that are unknown."""
        k = min(whole_number(k, "k", "the number of recommendations", least=1), len(self.items))  # room for k is made
        hide = checked(self.hide if hide is None else hide)
        histories = asked.histories
        is_empty_C = histories.lengths_U == 0
        lists: list[list[Recommendation]] = [[] for _ in range(len(histories))]
        for rows, scorer in ((~is_empty_C, self.scorer), (is_empty_C & ~asked.is_unknown_C, self._popularity)):
            part = histories.select(rows)
            if not len(part):
                continue
            seen = hidden(hide, part)
            if asked.disliked is not None:
                disliked = asked.disliked.select(rows)
                seen = disliked if seen is None else SeenOrDisliked(seen, disliked)
            items_Ck, scores_Ck = top_k(scorer.query(part), k, seen, allowed)
            source: Literal["model", "popularity"] = "model" if scorer is self.scorer else "popularity"
            for row, ids, scores in zip(rows.nonzero()[:, 0].tolist(), items_Ck, scores_Ck.tolist(), strict=True):
                found = self.items.raw(ids[ids >= 0]).to_list()
                lists[row] = [Recommendation(i, s, source) for i, s in zip(found, scores[: len(found)], strict=True)]
        return lists

    def known_users(self) -> list[RawId]:
        """All users whose histories are stored, in sorted order."""
        return [] if self.users is None else self.users.ids.to_list()

    def stored_users(self) -> Catalog:
        """The users whose histories are stored. Raises DataError where the run was stored without them."""
        return self._stored()[0]

    def _stored(self) -> tuple[Catalog, Sequences]:
        if self.users is None or self._histories is None:
            raise DataError(
                "this run was stored without its users' histories; pass histories instead of users, and not both"
            )
        return self.users, self._histories

    def _of_users(self, users: pl.Series, unknown: Unknown) -> Asked:
        catalogue, stored = self._stored()
        users_C = catalogue.lookup(users) if unknown == "drop" else catalogue.index(users, "user")
        return of_stored(users_C, stored)

    def _known(self, ids: pl.Series, unknown: Unknown) -> Tensor:
        positions = self.items.lookup(ids) if unknown == "drop" else self.items.index(ids)
        return positions[positions >= 0]
