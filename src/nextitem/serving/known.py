"""What answers rest on: a model, the items and users it is about, and how they were learnt from. N items, U users."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog
from nextitem.data.reading.columns import Columns
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.again import restore_own
from nextitem.experiment.folder.histories import histories_of
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.run import Outcome
from nextitem.model.baselines.popularity import PopularityScorer
from nextitem.serving.alikeness import Alikeness, alikeness_of
from nextitem.serving.ids import Positions
from nextitem.serving.indexed.index import ItemIndex
from nextitem.serving.kept import Kept
from nextitem.serving.told import Told


@dataclass(frozen=True, eq=False)
class Known:
    """What a recommender goes by. It does not change: whoever knows something else makes another one of it."""

    scorer: Scorer
    features: ItemFeatures
    """What is known of the items, row i of item i: raw ids, titles, and columns of the data."""
    counts_N: Tensor
    """How often each item occurs in training: what is popular."""
    users: Catalog | None = None
    """Those whose histories are stored, row u of `histories`; None where none are."""
    histories: Sequences | None = None
    hide: str = "history"
    """Which items of a history are left out where nobody says otherwise."""
    columns: Columns | None = None
    """Those of the log that was learnt from: new events are read like it."""
    kinds: Mapping[str, float | str] = field(default_factory=dict)
    """What kinds of events mean, those of new ones too."""
    reads_times: bool = False
    """Whether the model has to be told when events were."""
    has_users: bool = False
    """Whether the model has a vector for each of its users, and can answer nobody else."""
    reads_users: bool = False
    """Whether the model reads what is known of its users."""
    user_features: ItemFeatures | None = None
    """What is known of these users, row u of user u; None where nothing is, or nobody reads it."""
    is_retired_N: Tensor | None = None
    """Which items are never listed, though histories may hold them; None: none."""
    is_cold_N: Tensor | None = None
    """Which items the model never learnt from an event of; None: none."""
    index: ItemIndex | None = None
    """What finds most of the best items of single answers without a score of all; None: all are scored."""
    kept: Kept = field(init=False, repr=False, default_factory=Kept)
    """What was made of all this for one question, and the next one asks for."""

    @classmethod
    def of_outcome(cls, outcome: Outcome) -> "Known":
        """What a training that just ended goes by; histories are complete, test events included."""
        prepared, log, learner = outcome.prepared, outcome.prepared.log, outcome.recipe.learner
        return cls(
            outcome.model,
            prepared.features,
            prepared.split.train.counts(),
            log.users,
            log.sequences,
            hide=outcome.test.certificate.hidden,
            columns=prepared.columns,
            kinds=log.sequences.events.kinds,
            reads_times=learner.reads_times,
            has_users=learner.has_users,
            reads_users=learner.reads_users,
            user_features=prepared.user_features,
        )

    @classmethod
    def of_run(cls, run: Run) -> "Known":
        """What was stored of a training, on the CPU. Raises ArtefactError where it does not go together."""
        made, learner = run.metrics.provenance, run.recipe.learner
        known = cls(
            restore_own(run),
            run.features,
            torch.from_numpy(run.items["count"].to_numpy(writable=True)),
            hide=run.recipe.hide,
            columns=made.columns or run.recipe.columns,
            kinds=made.kinds or run.recipe.kinds,
            reads_times=learner.reads_times,
            has_users=learner.has_users,
            reads_users=learner.reads_users,
            user_features=run.user_features if learner.reads_users else None,
            index=ItemIndex.of(run),
        )
        if run.users is None:
            return known
        histories = histories_of(run.users, len(run.items))
        return replace(known, users=Catalog(run.users["user"]), histories=histories)

    @cached_property
    def items(self) -> Catalog:
        """The raw ids of the N items."""
        return Catalog(self.features.table["item"])

    @cached_property
    def item_places(self) -> Positions:
        """Where an item's raw id stands among the N."""
        return Positions(self.items.ids)

    @cached_property
    def user_places(self) -> Positions:
        """Where a user's raw id stands among the U; nowhere where no histories are stored."""
        return Positions(self.stored()[0].ids)

    @cached_property
    def raw_items(self) -> list[str | int]:
        """The raw id of each item."""
        return self.items.ids.to_list()

    @cached_property
    def item_titles(self) -> list[str | None]:
        """The title of each item, None where it has none."""
        titles = self.features.titles
        return [titles.get(item) for item in self.raw_items]

    @cached_property
    def popularity(self) -> PopularityScorer:
        """What stands in for the model where nothing is known of a history."""
        return PopularityScorer(self.counts_N.double())

    def is_cold(self, item: int) -> bool:
        """Whether the model never learnt from an event of the item, whose vector is made of its features."""
        return self.is_cold_N is not None and bool(self.is_cold_N[item])

    @cached_property
    def has_meaning_N(self) -> Tensor:
        """Of which items the model was told anything: by training events or, of cold ones, by features; shape (N,)."""
        return self.counts_N > 0 if self.is_cold_N is None else (self.counts_N > 0) | self.is_cold_N

    @cached_property
    def alikeness(self) -> Alikeness:
        """How alike items are. Raises DataError for a model that counts and was stored without histories."""
        return alikeness_of(self.scorer, self.histories)

    @cached_property
    def told(self) -> Told:
        """What makes the model one that is told of more users. Raises DataError where it reads nothing of them."""
        return Told.by(self.scorer, self.user_features if self.reads_users else None)

    def stored(self) -> tuple[Catalog, Sequences]:
        """The users and their histories. Raises DataError where the run was stored without them."""
        if self.users is None or self.histories is None:
            raise DataError(
                "this run was stored without its users' histories; pass histories instead of users, and not both"
            )
        return self.users, self.histories
