"""A run that goes on with new events, measured beside what it was, and put in its place where it is no worse."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from nextitem.data.features.layout import known_categories
from nextitem.data.features.table import ItemFeatures
from nextitem.data.interactions import Interactions
from nextitem.data.prepare import Prepared
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.source import Source
from nextitem.data.splits.temporal import Temporal
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.combined import Blend, Ensemble
from nextitem.experiment.folder.left_out import left_out_of
from nextitem.experiment.folder.means import beside_it
from nextitem.experiment.folder.metrics import Metrics, Update, metrics_of
from nextitem.experiment.folder.provenance import made_now
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import Trained
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, features_fingerprint
from nextitem.experiment.yardsticks import Yardstick, compared
from nextitem.serving.catalogue.additions import Additions
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.catalogue.stored import write_changes
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.before import Before
from nextitem.serving.renewal.grown import Grown
from nextitem.serving.renewal.together import Together
from nextitem.serving.renewal.warm import warm_start
from nextitem.serving.store.untold import Untold
from nextitem.storage import MANIFEST, alone_in, sha256, whole_folder
from nextitem.training.session import Session
from nextitem.words import counted

DECIDING = "ndcg@10"
HELD_OUT = 0.2
_ANEW = "all of it is trained anew, since only a single model goes on from its weights"


@dataclass(frozen=True)
class Updated:
    """A run that went on, in memory still."""

    run: Run
    trained: Trained
    beside: Yardstick
    """The model before, on the same cases."""
    changes: CatalogueChanges
    """Of the catalogue, as far as they are not learnt by now."""
    notes: tuple[str, ...] = ()
    """What was assumed of the new events."""

    @property
    def is_worse(self) -> bool:
        """Whether the new model's NDCG@10 on the held-out events is below that of the one before."""
        return self.beside.differences[DECIDING].value < 0

    def store(self, out: Path | None = None) -> Run:
        """The run in place of the one that it went on from, which is there until then, or beside others in `out`.

        Raises ConfigurationError where another process changes that run, and StorageError.
        """
        place = self.run.folder.absolute()
        if out is not None:
            named = Workplace.of(out, self.trained.recipe, self.run.seed)
            started = datetime.fromisoformat(self.trained.metrics.provenance.started)
            place = next(one for one in named.names(started) if not one.exists()).absolute()
        alone = alone_in(place.parent / ".partial" / place.name, "changes the run of that name")
        with alone, whole_folder(place, replace=out is None) as draft:
            self.trained.write(draft)
            if not self.changes.is_empty:
                write_changes(draft, Recommender.from_run(read_run(draft)).with_catalogue(self.changes).changes)
        return read_run(place)


def update(
    run: Run,
    events: Interactions | Untold,
    session: Session,
    items: Additions | None = None,
    held_out: float = HELD_OUT,
    rejected: RejectedRows | None = None,
) -> Updated:
    """The model of a run trained on with new events, and the earlier one beside it on events that neither has learnt.

    Of the new events, in order of time, the last share `held_out` is the test, and of those before the same share
    chooses the epoch. `items` are what is known of new items. The run keeps which rows of its data were left out, with
    those of that table and the `rejected` ones of the events. Events `Untold` by a service's database bring its changes
    of the catalogue, whoever was deleted there is not learnt, and the run remembers what it has learnt of it. Raises
    DataError as `together` and splitting do, and where no event is new, what training raises, and ConfigurationError
    for a run that was refit, and for one whose items are made of features.
    """
    run.require_evaluated()
    if run.recipe.learner.reads_features:
        raise ConfigurationError(
            f"{run.folder} makes its items of features, whose categories and scales are those that it was trained "
            f"with, so it cannot go on from its weights; train anew on all events (nextitem train), or add new items "
            f"from their features alone (nextitem items)"
        )
    started, grown = datetime.now(UTC), Grown.of(run, events)
    recommender, both = grown.recommender, grown.both
    if not both.new.height:
        raise DataError(f"{run.folder} has all of these events already; give newer ones")
    known = recommender.known if recommender.trained is None else recommender.trained
    recipe = _asked(run.recipe.model_copy(update={"model": run.recipe.learner.untaught()}), both.new, held_out)
    prepared = _prepared(run, recipe, grown, None if items is None else items.items)
    prepared = _with_left_out(prepared, run, items, rejected)
    start = warm_start(run, known, both.log, prepared.features, session.seed)
    learnt = recipe.learner.learn(prepared, session, recipe.ranking, start)
    validation, test = (
        evaluate(learnt.scorer, cases, ranking=recipe.ranking)
        for cases in (prepared.split.validation, prepared.split.test)
    )
    before = evaluate(Before(known, both.log), prepared.split.test, ranking=recipe.ranking)
    (beside,) = compared(test, {"before": before})
    scorer, history = learnt.scorer, learnt.history
    outcome = Outcome(
        scorer, prepared, history, validation, test, learnt.parameters, learnt.seconds, None, recipe
    )  # fmt: skip
    metrics = _metrics(run, outcome, both, beside, session, started).model_copy(update={"holds": grown.holds})
    return Updated(run, Trained(recipe, outcome, metrics), beside, grown.changes(), grown.notes)


def _asked(recipe: Recipe, new: pl.DataFrame, held_out: float) -> Recipe:
    """The recipe with a split by the times of new events."""
    if not 0 < held_out < 1:
        raise ConfigurationError(f"held_out={held_out:g} is no share between 0 and 1 of the new events")
    times = new["time"].sort()
    cut = times[min(len(times) - 1, int((1 - held_out) * len(times)))]
    earlier = times.filter(times < cut)
    chosen = earlier[int((1 - held_out) * len(earlier))] if len(earlier) else cut
    split = Temporal(cut=_date(cut), validation_cut=_date(chosen), target="successive", validation="time")
    return recipe.model_copy(update={"split": split})


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _prepared(run: Run, recipe: Recipe, grown: Grown, items: ItemFeatures | None) -> Prepared:
    log, features = grown.both.log, grown.features(items)
    try:
        split = recipe.split.split(log.sequences)
    except (ConfigurationError, DataError) as error:
        new = grown.both.new
        raise DataError(
            f"{counted(new.height, 'new event')} of {counted(new['user'].n_unique(), 'user')} at "
            f"{counted(new['time'].n_unique(), 'moment')} are too few: the latest are measured on, some before them "
            f"choose the epoch, and both need users who had events before; wait for more, or learn them unmeasured by "
            f"`nextitem refit`"
        ) from error
    split = split.named(run.metrics.certificate.dataset).with_categories(known_categories(features))
    alone = ("goes on without its teacher, who knows none of the new events",) if run.metrics.taught_by else ()
    anew = (_ANEW,) if isinstance(run.recipe.model, Ensemble | Blend) else ()
    notes = (f"goes on from {run.folder.name}", *alone, *anew, *grown.notes, *split.told)
    users, columns = grown.user_features(run), run.metrics.provenance.columns
    return Prepared(Source.of(recipe), log, split, features, notes, columns=columns, user_features=users)


def _with_left_out(prepared: Prepared, run: Run, items: Additions | None, rejected: RejectedRows | None) -> Prepared:
    """With the rows that were left out of what the run was made of, and those that were left out of what is new."""
    of_events, of_items = left_out_of(run)
    if rejected is not None:
        of_events.extend(rejected)
    if items is not None:
        of_items.extend(items.rejected)
    return replace(prepared, rejected=of_events, rejected_items=of_items)


def _metrics(
    run: Run, outcome: Outcome, both: Together, beside: Yardstick, session: Session, started: datetime
) -> Metrics:
    events = both.log.sha256(with_times=run.recipe.learner.reads_times)
    known = features_fingerprint(outcome.prepared.features, run.recipe)
    made = made_now(run.metrics.provenance, events, known, session, started).with_left_out(outcome.prepared)
    said = Update(
        of=run.folder.name,
        manifest_sha256=sha256(run.folder / MANIFEST),
        events=both.new.height,
        users=both.users,
        items=both.items,
        before=beside_it(beside),
    )
    return metrics_of(outcome, made).model_copy(update={"update": said})
