"""Lists that were made elsewhere, measured on the road of every model; against a run with a paired test."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import polars as pl
import torch

from nextitem.data.notes import left_out
from nextitem.data.prepare import Prepared, prepare
from nextitem.data.reading.lists import USUAL_LISTS, ListColumns, read_lists, told_columns
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.sources import Events
from nextitem.data.source import EventSettings
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.evaluation.metrics import DEFAULT_METRICS, parse_metrics
from nextitem.evaluation.paired import Difference, corrected_together, differences, draws_of
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.experiment.again import asked_otherwise, otherwise, restore
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.matching import Matched, matched
from nextitem.settings.given import must_be, of_kind, texts, word_of
from nextitem.words import counted

Part = Literal["test", "validation"]


@dataclass(frozen=True)
class Judged:
    """What lists are worth, and what became of their rows."""

    evaluation: Evaluation
    matched: Matched
    notes: tuple[str, ...]
    """What is to know about the lists, in words."""
    run: Evaluation | None = None
    """The same of the run that they were compared with."""
    differences: Mapping[str, Difference] | None = None
    """Per metric of ranks the lists' mean less the run's, on the same users, p by Holm over these metrics."""
    rejected: RejectedRows = field(default_factory=RejectedRows)
    """Rows that are none and were left out, where the columns say on_bad_rows=skip."""

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        told: dict[str, object] = {**self.evaluation.as_dict(), "lists": self.matched.account(), "notes": [*self.notes]}
        told["rejected"] = dict(self.rejected.reasons)
        if self.run is None or self.differences is None:
            return told
        tested = {name: asdict(one) for name, one in self.differences.items()}
        return {**told, "run": {**self.run.means}, "differences": tested}


def evaluate_recommendations(
    recommendations: Events,
    settings: EventSettings,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    columns: ListColumns = USUAL_LISTS,
    ranking: Ranking = FULL,
    part: Part = "test",
) -> Judged:
    """Measure the lists of a file, or of a frame, on the cases of a recipe's data and split, or of a `Source`.

    The lists are scored by `evaluate`: what is not listed is never hit, equal scores tie, the same items are hidden as
    for any model, and a user without a list misses. Raises DataError for rows that are no lists and where none can be
    used; what `prepare` and `evaluate` raise.
    """
    lists = _Lists.read(recommendations, columns)
    return _judged(lists, prepare(settings), ranking, part, metrics)


def evaluate_against(
    recommendations: Events,
    run: Run,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    columns: ListColumns = USUAL_LISTS,
    ranking: Ranking | None = None,
    part: Part = "test",
    data: str | None = None,
    overrides: Sequence[str] = (),
) -> Judged:
    """As `evaluate_recommendations`, on the cases of a run, and with a paired test against its model.

    `ranking`, `data` and `overrides` are as of `evaluate_again`.
    """
    must_be(run, Run, "run", "read_run(folder) gives one")
    lists = _Lists.read(recommendations, columns)
    recipe = asked_otherwise(run.recipe, overrides) if overrides else run.recipe
    prepared, ranking = otherwise(run, recipe, data), recipe.ranking if ranking is None else ranking
    judged = _judged(lists, prepared, ranking, part, metrics)
    scorer = restore(run.recipe, run, len(prepared.log.items))
    beside = evaluate(scorer, _cases(prepared, part), metrics, ranking=ranking)
    return replace(judged, run=beside, differences=_differences(judged.evaluation, beside, metrics))


@dataclass(frozen=True)
class _Lists:
    """Rows of lists, and what is to know about them."""

    rows: pl.DataFrame
    rejected: RejectedRows
    notes: tuple[str, ...]

    @classmethod
    def read(cls, recommendations: Events, columns: ListColumns) -> "_Lists":
        of_kind(columns, ListColumns, "columns", "ListColumns(rank='place') are some")
        rejected = RejectedRows()
        rows = read_lists(recommendations, columns, rejected=rejected)
        said = (left_out(rejected.reasons),) if len(rejected) else ()
        return cls(rows, rejected, (told_columns(recommendations, columns), *said))


def _judged(lists: _Lists, prepared: Prepared, ranking: Ranking, part: Part, metrics: Sequence[str]) -> Judged:
    asked = parse_metrics(texts(metrics, "metrics"))
    must_be(ranking, Ranking, "ranking", "Ranking('nothing') is one")
    word_of(part, "part", ("test", "validation"))
    if ranking.candidates is not None:
        raise ConfigurationError(
            "lists that were made elsewhere have no place for drawn candidates: what is not listed is missed; leave "
            "candidates out"
        )
    cases = _cases(prepared, part)
    found = matched(lists.rows, prepared.log, cases, ranking)
    beyond = [name for name, k in asked.lengths.items() if min(k, len(prepared.log.items)) > found.longest]
    notes = [*lists.notes, *found.notes]
    if beyond:
        notes.append(
            f"the longest list has {counted(found.longest, 'item')}, so that {', '.join(beyond)} cannot see further: "
            f"a target that is not listed is missed"
        )
    measured = evaluate(found.scorer, cases, metrics, ranking=ranking)
    return Judged(measured, found, tuple(notes), rejected=lists.rejected)


def _cases(prepared: Prepared, part: Part) -> Cases:
    return prepared.split.test if part == "test" else prepared.split.validation


def _differences(lists: Evaluation, run: Evaluation, metrics: Sequence[str]) -> dict[str, Difference]:
    """Per metric of ranks the paired difference over users: both are one model, and no seed's luck is known."""
    known = parse_metrics(metrics).of_ranks
    names = [name for name in metrics if name in known]
    if not names:
        return {}
    first, second = (torch.stack([one.of_users()[name] for name in names], 1)[None] for one in (lists, run))
    (drawn_RM,) = draws_of([first, second], [(0, 1)]).differences
    return dict(zip(names, corrected_together(differences(first, second, drawn_RM, "users")), strict=True))
