"""Raw ids in, raw ids out: a stored or freshly trained model as something to call."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from nextitem.data.interactions import Interactions
from nextitem.data.log import Catalog
from nextitem.data.reading.sources import Events
from nextitem.errors import ConfigurationError
from nextitem.evaluation.hiding import checked
from nextitem.experiment.folder.reading import LISTS, Run, read_run
from nextitem.experiment.folder.writing import Trained
from nextitem.experiment.run import Outcome
from nextitem.serving.answering.asked import Asked, Given
from nextitem.serving.answering.asking import allowed_items, asked_after, asked_of, read_events, told_each
from nextitem.serving.answering.heard import hear
from nextitem.serving.answering.listing import lists_of
from nextitem.serving.answering.news import Changes, News
from nextitem.serving.answering.understood import Understood, answers, understood
from nextitem.serving.artefact import Artefact
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.catalogue.living import changed
from nextitem.serving.catalogue.stored import read_changes, write_changes
from nextitem.serving.explaining.explain import Change, explaining
from nextitem.serving.explaining.explanation import Explanation
from nextitem.serving.explaining.rerank import reranked
from nextitem.serving.explaining.similar import SimilarItem, finding_similar, narrowed_to
from nextitem.serving.explaining.steps import finished
from nextitem.serving.ids import Ids, RawId
from nextitem.serving.known import Known
from nextitem.serving.narrowing.narrowed import picking_of
from nextitem.serving.narrowing.where import Where
from nextitem.serving.question import Answer, Question, Recommendation, Unknown
from nextitem.settings.given import listed, of_kind, path_of, whole_number, word_of, yes_or_no
from nextitem.storage import whole_folder


@dataclass(frozen=True, eq=False)
class Recommender:
    """Recommends to users of the training log or to any history of known items. It does not change."""

    known: Known
    artefact: Artefact | None = None
    """What it was made of, with recipe and metrics; None where it was made of an outcome alone."""
    changes: CatalogueChanges = field(default_factory=CatalogueChanges)
    """What changed in the catalogue since; with what was foretold of added items."""
    trained: Known | None = None
    """What it would go by without them; None where there are none."""

    @classmethod
    def from_outcome(cls, outcome: Outcome) -> "Recommender":
        """A recommender from a training that just ended; histories are complete, test events included."""
        outcome = of_kind(outcome, Outcome, "outcome", "run(…) returns one; Recommender.load reads a run's folder")
        return cls(Known.of_outcome(outcome))

    @classmethod
    def from_training(cls, trained: Trained) -> "Recommender":
        """A recommender from a training that just ended, which can be saved."""
        return cls(Known.of_outcome(trained.outcome), trained)

    @classmethod
    def load(cls, folder: Path | str) -> "Recommender":
        """A recommender from a run's folder, on the CPU. Raises ArtefactError for an altered or foreign folder."""
        return cls.from_run(read_run(folder).proven(*LISTS))

    @classmethod
    def from_run(cls, run: Run) -> "Recommender":
        """A recommender from a run that was read."""
        run = of_kind(run, Run, "run", "read_run(folder) returns one; Recommender.load reads a run's folder")
        recommender, changes = cls(Known.of_run(run), run), read_changes(run)
        return recommender if changes.is_empty else recommender.with_catalogue(changes)

    def with_catalogue(self, changes: CatalogueChanges) -> "Recommender":
        """The recommender with these changes of its catalogue, in place of those that it had.

        Retired items are in no list. Added ones are foretold from their features and marked as `is_cold`. Both are read
        in histories. Raises DataError where changes and items do not go together, or the model has no rows of items.
        """
        before = self.known if self.trained is None else self.trained
        known, told = changed(before, changes)
        return replace(self, known=known, changes=told, trained=before)

    def save(self, folder: Path | str) -> Path:
        """Store everything in `folder`, which must not exist yet, and return its path: what `nextitem train` leaves.

        `Recommender.load(folder)` gives the same lists to the bit. Raises ConfigurationError where the folder is there
        already and for a recommender that was made of an outcome alone, ArtefactError where the run that it was read
        from was altered since, and StorageError.
        """
        folder = path_of(folder, "folder")
        if self.artefact is None:
            raise ConfigurationError(
                "a recommender that was made of an outcome does not know how that was trained; make it by fit(…), or "
                "store the training by train(recipe, session, out) and load that run"
            )
        with whole_folder(folder) as draft:
            self.artefact.write(draft)
            write_changes(draft, self.changes)
        return folder

    @property
    def items(self) -> Catalog:
        """The items that can be recommended, and read in histories."""
        return self.known.items

    @property
    def titles(self) -> Mapping[object, str]:
        """Titles by raw id, of the items that have one."""
        return self.known.features.titles

    @property
    def users(self) -> Catalog | None:
        """The users whose histories are stored."""
        return self.known.users

    @property
    def hide(self) -> str:
        """Which items of a history are left out where nobody says otherwise."""
        return self.known.hide

    @property
    def kinds(self) -> Mapping[str, float | str]:
        """What kinds of events mean."""
        return self.known.kinds

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """The answer to each question, whatever its terms, by one pass of the model over all their histories.

        Raises ConfigurationError and DataError for the first question that cannot be answered: what is wrong with one
        is found out before by `understood`.
        """
        return self.answered_all([self.understood(question) for question in questions])

    def understood(self, question: Question) -> Understood:
        """A question that can be answered, for `answered_all`: nothing of it is wrong, and the model is not asked yet.

        Raises ConfigurationError and DataError, with the remedy, for one that cannot be answered.
        """
        return understood(self.known, hear(self.known, question))

    def answered_all(self, questions: Sequence[Understood]) -> list[Answer]:
        """The answers to questions that this recommender understood. Raises ScoreError for scores that are NaN."""
        return answers(self.known, questions)

    def recommend(  # noqa: PLR0913 - each has a name, and nobody gives many
        self,
        histories: Iterable[Ids] | None = None,
        k: int = 10,
        *,
        times: Iterable[Iterable[float]] | None = None,
        users: Ids | None = None,
        features: Iterable[Mapping[str, object] | None] | None = None,
        events: Events | Interactions | None = None,
        candidates: Ids | None = None,
        exclude: Ids | None = None,
        where: Where | None = None,
        diversity: float = 0.0,
        limits: Mapping[str, int] | None = None,
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
        `features` say of each list whose it is, by column of the table of users that the model learnt with
        (`prefix=users`), in place of what it knows of that user: {"gender": "F"}; None of one: nothing is said. A
        history without any known item gets the most popular items, labelled as such. Items of the `history`, `nothing`
        or, with `last:n`, those of its latest n events are left out as `hide` says, None: as in training. With
        `candidates` nothing but them is recommended, and nothing of `exclude`; a list is shorter than k when the items
        run out. `where` filters by columns of the items, from 0 to 1 `diversity` makes lists of items that differ, and
        `limits` say by column how many items of one value a list may hold, as `Terms` has them. Unknown items raise
        DataError, or are left out by `unknown="drop"`; so do users that are asked about without a history: their list
        is empty. A model with user vectors raises DataError for histories of nobody or of a user it has none for.
        """
        changes = None
        if events is not None:
            if histories is not None or times is not None or users is not None:
                raise ConfigurationError("events have their users and times; leave histories, times and users out")
            news = News.of(read_events(self.known, events), self.kinds)
            given, changes = news.by_user(), news.changes(self.items)
            histories, times = given["item"], given["time"] if "time" in given.columns else None
            users = given["user"] if self.users is not None else None
        asked = self.asked(
            histories, times=times, users=users, changes=changes, histories_only=histories_only, unknown=unknown
        )
        among = self.allowed(candidates, exclude, unknown, where=where)
        known, asked = told_each(self.known, asked, features)
        return replace(self, known=known).answered(asked, k, among, hide=hide, diversity=diversity, limits=limits)

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
        if histories is not None:
            return asked_after(
                self.known, Given.of(histories, times, self.items), users, changes, histories_only, unknown
            )
        if users is None:
            raise ConfigurationError("recommend takes histories, users, or new events of users; give one of them")
        if times is not None or histories_only:
            raise ConfigurationError("times and histories_only are about histories that are given; leave them out")
        return asked_of(self.known, users, unknown)

    def allowed(
        self,
        candidates: Ids | None = None,
        exclude: Ids | None = None,
        unknown: Unknown = "error",
        *,
        where: Where | None = None,
    ) -> Tensor | None:
        """Indices of the items that may be recommended, None where all may; raises what `recommend` raises."""
        return allowed_items(self.known, candidates, exclude, where, unknown)

    def answered(
        self,
        asked: Asked,
        k: int,
        allowed: Tensor | None = None,
        *,
        hide: str | None = None,
        diversity: float = 0.0,
        limits: Mapping[str, int] | None = None,
    ) -> list[list[Recommendation]]:
        """The lists of what was asked about; empty ones of users that are unknown. `allowed` are indices of items."""
        k = min(whole_number(k, "k", "the number of recommendations", least=1), len(self.items))  # room for k is made
        hide = checked(self.hide if hide is None else hide)
        picking = picking_of(self.known, diversity, limits or {})
        return lists_of(self.known, asked, k, self.allowed() if allowed is None else allowed, hide, picking)

    def similar_items(
        self,
        items: Ids,
        k: int = 10,
        *,
        candidates: Ids | None = None,
        exclude: Ids | None = None,
        where: str | Mapping[str, object] | None = None,
        unknown: Unknown = "error",
    ) -> list[list[SimilarItem]]:
        """The k items that are most like each of these, best first, without the item itself; scores are cosines.

        They are of the model's item vectors or, where it counts and has none, of the stored histories that hold both.
        Raises DataError for an item that nothing is known of, for an unknown one unless `unknown="drop"` (its list is
        empty then), and where a model that counts was stored without histories.
        """
        wanted, terms = listed(items, "items"), narrowed_to(candidates, exclude, where, unknown)
        return finished(finding_similar(self.known, wanted, k, terms))

    def rerank(self, question: Question, items: Ids) -> Answer:
        """All of these items, each once, by the model's scores after the question's history, best first.

        None is left out unless the question's terms say so; its `k` has no say. Raises what `answer` raises, and
        DataError for an unknown item where its terms refuse those; else it is told as `unknown`.
        """
        return reranked(self.known, question, listed(items, "items"))

    def explain(
        self, question: Question, items: Ids | None = None, *, without: Ids = (), added: Ids = (), latest: int = 200
    ) -> Explanation:
        """What carries each item of the answer to a question, or each of `items`, and what was left out and why.

        Each of the `latest` different items of the history is left out in turn, all in one pass of the model: what the
        score loses and which rank is left tell what it rests on. With `without` and `added`, the list after another
        history stands beside it: without some items, with others at its end. Raises what `answer` raises, and DataError
        for an item that is not known, or is to be taken out of a history that has it not.
        """
        wanted = None if items is None else listed(items, "items")
        change = Change(listed(without, "without"), listed(added, "added"))
        latest = whole_number(latest, "latest", "how many items of the history are left out", least=0)
        return finished(explaining(self.known, question, wanted, change, latest))

    def known_users(self) -> list[RawId]:
        """All users whose histories are stored, in sorted order."""
        return [] if self.users is None else self.users.ids.to_list()

    def stored_users(self) -> Catalog:
        """The users whose histories are stored. Raises DataError where the run was stored without them."""
        return self.known.stored()[0]
