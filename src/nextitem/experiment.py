"""From a recipe and a seed to a reported number: the whole pipeline on one page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from nextitem import acquisition
from nextitem.configuration import suggest
from nextitem.datasets import PUBLISHED
from nextitem.datasets.synthetic import SyntheticLog, TrueTransitions, generate
from nextitem.errors import ConfigurationError
from nextitem.evaluation import METRICS, Report, evaluate
from nextitem.interactions import Interactions, Log, deduplicate, index, k_core
from nextitem.items import TiedItems
from nextitem.model import SequenceModel
from nextitem.negatives.uniform import Uniform
from nextitem.prepared_folder import is_prepared, read_prepared
from nextitem.randomness import Purpose, generator, seeded_globally
from nextitem.reading import read_interactions
from nextitem.recipe import Recipe
from nextitem.scoring import Scorer
from nextitem.splits import Cases, LeaveOneOut, Split
from nextitem.training import Checkpoint, History, Watcher, fit

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Prepared:
    """The events a recipe asks for, indexed and split."""

    log: Log
    split: Split
    titles: Mapping[object, str]
    """Titles by raw item id, where the data has them."""
    notes: tuple[str, ...]
    """What was left out or is ambiguous, in words."""
    upper_bound: Callable[[Cases], Mapping[str, float]] | None = None
    """For generated data the expected quality of the generating process itself, which no model can exceed."""


@dataclass(frozen=True)
class Outcome:
    """A trained model and what was measured."""

    model: Scorer
    prepared: Prepared
    history: History
    validation: Report
    test: Report
    parameters: int
    upper_bound: Mapping[str, float] | None
    """What the process that generated the data would earn on the test histories, where that is known."""


def run(
    recipe: Recipe,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    checkpoint: Callable[[Prepared], Checkpoint] | None = None,
    watcher: Watcher | None = None,
    prepared: Prepared | None = None,
) -> Outcome:
    """Prepare the data, train with early stopping on validation, evaluate on validation and test.

    `prepared` spares reading the same data again. Raises what the steps raise; see their docstrings.
    """
    prepared = prepared or prepare(recipe)
    history = History()
    if recipe.baseline is not None:
        model: Scorer = recipe.baseline.build(prepared.split.train)
        parameters = 0
    else:
        model = build_model(recipe, len(prepared.log.items), seed).to(device)
        parameters = sum(weight.numel() for weight in model.parameters())
        history = _train(recipe, model, prepared.split, seed, checkpoint and checkpoint(prepared), watcher)
    validation, test = (
        evaluate(model, cases, dataset=recipe.data) for cases in (prepared.split.validation, prepared.split.test)
    )
    bound = prepared.upper_bound(prepared.split.test) if prepared.upper_bound else None
    return Outcome(model, prepared, history, validation, test, parameters, bound)


def prepare(recipe: Recipe) -> Prepared:
    """Read (or generate) the recipe's events, filter, index and split them; a prepared folder is mapped as it is.

    Raises DataError, ConfigurationError, and ArtefactError for a folder that is not whole.
    """
    if recipe.data not in (SYNTHETIC, *PUBLISHED) and is_prepared(recipe.data):
        return _from_folder(recipe)
    interactions, titles, made = _load(recipe)
    read = len(interactions)
    preparation = recipe.preparation
    interactions = deduplicate(interactions, preparation.repeats)
    if preparation.minimum_per_user > 1 or preparation.minimum_per_item > 1:
        interactions = k_core(
            interactions, preparation.minimum_per_user, preparation.minimum_per_item, iterate=preparation.iterate
        )
    log = index(interactions)
    split = LeaveOneOut().split(log.sequences)
    said = notes(read, len(interactions), split.short_users, interactions.tied_events)
    # The process knows whole histories only: filtered ones have no exact bound.
    bound = None if made is None or len(interactions) < read else partial(_upper_bound, made, log)
    return Prepared(log, split, titles, said, bound)


def notes(read: int, kept: int, short_users: int, tied_events: int) -> tuple[str, ...]:
    """What was left out or is ambiguous, in words, given numbers of events and users."""
    said = []
    if kept < read:
        said.append(f"{read - kept:,} of {read:,} events left out by the filters")
    if short_users:
        said.append(f"{short_users:,} users with fewer than 3 events are trained on but not evaluated")
    if tied_events:
        said.append(f"{tied_events:,} events share user and time with another; file order decides")
    return tuple(said)


def _from_folder(recipe: Recipe) -> Prepared:
    """What `nextitem prepare` left. Raises ConfigurationError where the recipe asks for other filters."""
    log, split, manifest = read_prepared(Path(recipe.data))
    for key in ("columns", "preparation"):
        asked, there, default = (getattr(one, key) for one in (recipe, manifest, Recipe()))
        if asked not in (default, there):
            raise ConfigurationError(
                f"{recipe.data} was prepared with {key} {there.model_dump_json()}, not {asked.model_dump_json()}; "
                f"leave {key} out, or prepare the log anew"
            )
    return Prepared(log, split, {}, manifest.notes)


def _upper_bound(made: SyntheticLog, log: Log, cases: Cases) -> Mapping[str, float]:
    return TrueTransitions(made, log.users, log.items).query(cases.histories).upper_bound(10)


def _load(recipe: Recipe) -> tuple[Interactions, Mapping[object, str], SyntheticLog | None]:
    """(events, titles, the generator's own knowledge if the data is generated) of the recipe's data."""
    if recipe.data == SYNTHETIC:
        made = generate()
        return made.interactions, dict(zip(made.titles["item"], made.titles["title"], strict=True)), made
    if recipe.data in PUBLISHED:
        return acquisition.load(PUBLISHED[recipe.data]), {}, None
    if not any(mark in recipe.data for mark in "./\\"):
        known = suggest(recipe.data, [SYNTHETIC, *PUBLISHED])
        raise ConfigurationError(f"there is no dataset '{recipe.data}'; {known}, or the path of a file")
    return read_interactions(recipe.data, recipe.columns), {}, None


def build_model(recipe: Recipe, number_of_items: int, seed: int) -> SequenceModel:
    """The untrained model of a recipe; equal seeds give equal weights."""
    with seeded_globally(seed, Purpose.WEIGHTS):
        items = TiedItems(number_of_items, recipe.encoder.dim, has_mask=recipe.objective.needs_mask)
        return SequenceModel(items, recipe.encoder.build(), recipe.objective)


def _train(
    recipe: Recipe,
    model: SequenceModel,
    split: Split,
    seed: int,
    checkpoint: Checkpoint | None,
    watcher: Watcher | None,
) -> History:
    monitor = recipe.training.monitor
    if monitor not in METRICS:
        raise ConfigurationError(f"training.monitor='{monitor}' is no validation metric; {suggest(monitor, METRICS)}")
    loss = recipe.loss.build()
    train = split.train.to(model.device)
    negatives = None if recipe.negatives is None else recipe.negatives.build(train)
    cases = validation_cases(split.validation, recipe.training.validation_users, seed)

    def validate() -> dict[str, float]:
        report = evaluate(model, cases, dataset=recipe.data)
        return {**report.means, "validation_loss": validation_loss(model, recipe, cases, split, seed)}

    return fit(
        model, split.train, loss, recipe.training, seed, validate,
        negatives=negatives, checkpoint=checkpoint, watcher=watcher,
    )  # fmt: skip


def validation_cases(cases: Cases, users: int | None, seed: int) -> Cases:
    """The cases that are looked at after every epoch: all, or `users` of them drawn once."""
    if users is None or len(cases) <= users:
        return cases
    drawn = torch.randperm(len(cases), generator=generator(seed, Purpose.VALIDATION))[:users]
    return cases.select(drawn.sort().values)


@torch.no_grad()
def validation_loss(model: SequenceModel, recipe: Recipe, cases: Cases, split: Split, seed: int) -> float:
    """Mean training loss over cases, at the query position and in evaluation mode.

    Sampled losses draw the same negatives after every epoch, from outside the user's history.
    """
    loss, total = recipe.loss.build(), 0.0
    sampler = None
    if recipe.negatives is not None:
        settings: Uniform = recipe.negatives.model_copy(update={"exclude": "history"})
        sampler = settings.build(split.train.to(model.device))
    histories, targets_C = cases.histories.to(model.device), cases.targets_C.to(model.device)
    model.eval()
    for step, rows in enumerate(torch.arange(len(cases), device=model.device).split(recipe.training.batch_size)):
        batch = model.objective.query(histories.select(rows), targets_C[rows])
        draws = generator(seed, Purpose.VALIDATION, step, device=model.device)
        total += float(model.loss(batch, loss, None if sampler is None else sampler.sample(batch, draws)))
    return total / len(cases)
