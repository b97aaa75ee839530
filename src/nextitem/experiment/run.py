"""From a recipe and a seed to a reported number: the whole pipeline on one page."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nextitem.compute.randomness import Purpose, seeded_globally
from nextitem.data.prepare import Prepared, prepare
from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Split
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.recipe import Recipe
from nextitem.model.assemble import assemble
from nextitem.model.baselines import AnyBaseline, BprMf
from nextitem.model.model import SequenceModel
from nextitem.training.fit import fit
from nextitem.training.history import History
from nextitem.training.session import Session
from nextitem.training.validation import outside_sampler, validation_cases, validation_loss


@dataclass(frozen=True)
class Outcome:
    """A trained model and what was measured."""

    model: Scorer
    prepared: Prepared
    history: History
    validation: Evaluation
    test: Evaluation
    parameters: int
    train_seconds: float
    """Seconds of optimisation; 0 where nothing but counts was made."""
    upper_bound: Mapping[str, float] | None
    """What the process that generated the data would earn on the test histories, where that is known."""


def run(recipe: Recipe, session: Session, *, prepared: Prepared | None = None) -> Outcome:
    """Prepare the data, train with early stopping on validation, evaluate on validation and test.

    `prepared` spares reading the same data again; ConfigurationError is raised where the recipe asks for other data.
    Of several processes all run this, and all get the outcome. Raises what the steps raise; see their docstrings.
    """
    prepared = prepared or prepare(recipe)
    for setting, used in vars(prepared.source).items():
        if used != getattr(recipe, setting):
            raise ConfigurationError(
                f"`prepared` was made with {setting}={used!r}, and the recipe has {getattr(recipe, setting)!r}; "
                f"prepare the recipe's own data, or leave `prepared` out"
            )
    prepared = with_what_is_learnt(recipe, prepared)
    learnt, history, parameters, seconds = trained(recipe, prepared, session)
    validation, test = (
        evaluate(learnt, cases, processes=session.processes)
        for cases in (prepared.split.validation, prepared.split.test)
    )
    bound = prepared.upper_bound(prepared.split.test) if prepared.upper_bound else None
    return Outcome(learnt, prepared, history, validation, test, parameters, seconds, bound)


def _built(baseline: AnyBaseline, train: Sequences, seed: int) -> tuple[Scorer, History, int, float]:
    """A baseline, with what `trained` tells; of counts parameters and seconds are 0."""
    started = time.perf_counter()
    model = baseline.build(train, seed)
    if baseline.made_by == "counts":
        return model, History(), 0, 0.0
    return model, History(), sum(values.numel() for values in model.tensors().values()), time.perf_counter() - started


def with_what_is_learnt(recipe: Recipe, prepared: Prepared) -> Prepared:
    """The events with the validation part in the training part, for a baseline that asks for it; a note says so."""
    if not isinstance(recipe.baseline, BprMf) or recipe.baseline.events == "train":
        return prepared
    note = "validation events were learnt too (baseline.events=train_and_validation): metrics of validation say nothing"
    return replace(prepared, split=prepared.split.with_validation(), notes=(*prepared.notes, note))


def trained(recipe: Recipe, prepared: Prepared, session: Session) -> tuple[Scorer, History, int, float]:
    """(model, history, parameters, seconds of training), the epoch chosen by validation; no test case is looked at."""
    events = prepared.log.sequences
    session.processes.agree(
        "its events", {"items": events.events.items, "starts": events.starts_U, "stops": events.stops_U}
    )
    if recipe.baseline is not None:
        return _built(recipe.baseline, prepared.split.train, session.seed)
    model = build_model(recipe, len(prepared.log.items), session.seed, len(prepared.log.users)).to(session.device)
    history = _train(recipe, model, prepared.split, session)
    return model, history, sum(weight.numel() for weight in model.parameters()), history.train_seconds


def build_model(recipe: Recipe, number_of_items: int, seed: int, number_of_users: int = 0) -> SequenceModel:
    """The untrained model of a recipe; equal seeds give equal weights. Users count where they have vectors."""
    with seeded_globally(seed, Purpose.WEIGHTS):
        in_bfloat16 = recipe.training.precision == "bfloat16"
        parts = recipe.items, recipe.encoder, recipe.objective
        return assemble(*parts, number_of_items, number_of_users, in_bfloat16=in_bfloat16)


def _train(recipe: Recipe, model: SequenceModel, split: Split, session: Session) -> History:
    loss = recipe.loss.build()
    train = split.train.without_times().to(model.device)
    negatives = outside = None
    if recipe.negatives is not None:
        negatives = recipe.negatives.build(train)
        outside = outside_sampler(recipe.negatives, train, negatives)
    cases = validation_cases(split.validation, recipe.training.validation_users, session.seed)

    def validate() -> dict[str, float]:
        found = evaluate(model, cases, intervals=False, processes=session.processes)
        lost = validation_loss(model, loss, outside, cases, recipe.training.batch_size, session)
        return {**found.means, "validation_loss": lost}

    return fit(model, split.train, loss, recipe.training, session, validate, negatives=negatives)
