"""A stored run restored, and measured again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from nextitem.data.prepare import GivenEvents, prepare
from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Split
from nextitem.errors import DataError
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import as_learnt, on_given
from nextitem.settings.given import expanded
from nextitem.storage.places import what_is_at


def evaluate_again(
    run: Run,
    part: Literal["test", "validation"],
    metrics: Sequence[str],
    data: str | None = None,
    *,
    events: GivenEvents | None = None,
    candidates: str | None = None,
    seed: int = 0,
    hide: str | None = None,
) -> Evaluation:
    """The evaluation of a stored run, made anew; `data` tells where its data is now, if not where it was.

    Of a run that learnt from a frame, give that again as `events`, or a file of the same events as `data`.

    With `candidates`, such as `popularity:100`, targets are ranked among negatives drawn by `seed`; with `hide`, such
    as `nothing`, other items are left out than in training. Raises DataError where the data is not what it was trained
    on, and ConfigurationError for words of another form.
    """
    hidden = run.recipe.hide if hide is None else hide
    ranking = Ranking(hidden) if candidates is None else Ranking.among(candidates, seed, hidden=hidden)
    split = split_of(run, data, events)
    cases = split.test if part == "test" else split.validation
    scorer = restore(run.recipe, run, split.train.number_of_items)
    return evaluate(scorer, cases, metrics, ranking=ranking)


def split_of(run: Run, data: str | None = None, events: GivenEvents | None = None) -> Split:
    """The split that a stored run was trained on, by the name it had; raises DataError where the data is not that."""
    recipe = run.recipe if data is None else run.recipe.model_copy(update={"data": str(expanded(data))})
    try:
        recipe = on_given(recipe, events)
        prepared = as_learnt(prepare(recipe, events=events), recipe)
        split, log = prepared.split, prepared.log
    except DataError as error:
        if data is not None:
            asked = run.recipe.columns.said
            named = f", its columns by {' '.join(f'{role}={name}' for role, name in asked.items())}" if asked else ""
            raise DataError(f"{error}. {run.folder} was made of {run.recipe.data}{named}: give those events") from error
        if events is not None or what_is_at(Path(recipe.data)) is not None:
            raise
        raise DataError(
            f"{error}. If the data has moved, tell where it is: `nextitem evaluate {run.folder} --data PATH`"
        ) from error
    trained_on = run.metrics.certificate.split
    if split.test.sha256 != trained_on:
        raise DataError(
            f"{recipe.data} is not the data that {run.folder} was trained on: its test cases have sha256 "
            f"{split.test.sha256[:12]}…, the run's have {trained_on[:12]}…; restore the file, or train anew"
        )
    if recipe.learner.reads_times and log.sha256(with_times=True) != run.metrics.provenance.events_sha256:
        raise DataError(
            f"{recipe.data} is not the data that {run.folder} was trained on: its events have other times, which the "
            f"model reads; restore the file, or train anew"
        )
    return split.named(run.metrics.certificate.dataset)


def restore_own(run: Run) -> Scorer:
    """The model of a stored run for the items and users that were stored with it. Raises ArtefactError."""
    scorer = restore(run.recipe, run, len(run.items))
    known = run.recipe.learner.users_in(run.weights)
    if known and run.users is not None and known != len(run.users):
        raise run.refused("model.safetensors", f"has {known:,} users, and users.parquet {len(run.users):,}")
    return scorer


def restore(recipe: Recipe, run: Run, number_of_items: int) -> Scorer:
    """The model of a stored run. Raises ArtefactError where the weights do not fit the recipe."""
    try:
        scorer = recipe.learner.restore(run.weights, number_of_items)
    except (ValueError, RuntimeError) as error:
        raise run.refused("model.safetensors", f"does not fit recipe.json: {error}") from error
    scored = scorer.query(Sequences.of([], number_of_items)).number_of_items
    if scored != number_of_items:
        raise run.refused("model.safetensors", f"is for {scored:,} items, but the catalogue has {number_of_items:,}")
    return scorer
