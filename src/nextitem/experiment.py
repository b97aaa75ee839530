"""From a recipe and a seed to a reported number: the whole pipeline on one page."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nextitem import acquisition
from nextitem.baselines import AnyBaseline, BprMf, Ncf
from nextitem.configuration import suggest
from nextitem.datasets import PUBLISHED
from nextitem.datasets.synthetic import SyntheticLog, TrueTransitions, generate
from nextitem.errors import ConfigurationError
from nextitem.evaluation import Report, evaluate
from nextitem.history import History, Watcher
from nextitem.interactions import Interactions, Log, deduplicate, index, k_core
from nextitem.items import SeparateItems, TiedItems
from nextitem.model import Objective, SequenceModel
from nextitem.prepared_folder import is_prepared, read_prepared
from nextitem.preparing import Preparation
from nextitem.processes import ALONE, Processes
from nextitem.randomness import Purpose, seeded_globally
from nextitem.reading import Columns, read_interactions
from nextitem.recipe import Recipe
from nextitem.scoring import Scorer
from nextitem.sequences import Sequences
from nextitem.splits import Cases, LeaveOneOut, Split
from nextitem.training import Checkpoint, fit
from nextitem.validation import outside_sampler, validation_cases, validation_loss

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Source:
    """The settings that decide which events are prepared."""

    data: str
    columns: Columns
    preparation: Preparation

    @classmethod
    def of(cls, recipe: Recipe) -> "Source":
        """Those of a recipe."""
        return cls(recipe.data, recipe.columns, recipe.preparation)

    @property
    def name(self) -> str:
        """What the data is called wherever it lies: the dataset's name, or the file's without its folder."""
        return Path(self.data).name


@dataclass(frozen=True)
class Prepared:
    """The events a recipe asks for, indexed and split."""

    source: Source
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
    train_seconds: float
    """Seconds of optimisation; 0 where nothing but counts was made."""
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
    processes: Processes = ALONE,
) -> Outcome:
    """Prepare the data, train with early stopping on validation, evaluate on validation and test.

    `prepared` spares reading the same data again; ConfigurationError is raised where the recipe asks for other data.
    Of several `processes` all run this, and all get the outcome. Raises what the steps raise; see their docstrings.
    """
    prepared = prepared or prepare(recipe)
    for setting, used in vars(prepared.source).items():
        if used != getattr(recipe, setting):
            raise ConfigurationError(
                f"`prepared` was made with {setting}={used!r}, and the recipe has {getattr(recipe, setting)!r}; "
                f"prepare the recipe's own data, or leave `prepared` out"
            )
    prepared = with_what_is_learnt(recipe, prepared)
    learnt, history, parameters, seconds = trained(
        recipe, prepared, seed, device=device, checkpoint=checkpoint, watcher=watcher, processes=processes
    )
    validation, test = (
        evaluate(learnt, cases, dataset=prepared.source.name, processes=processes)
        for cases in (prepared.split.validation, prepared.split.test)
    )
    bound = prepared.upper_bound(prepared.split.test) if prepared.upper_bound else None
    return Outcome(learnt, prepared, history, validation, test, parameters, seconds, bound)


def _built(baseline: AnyBaseline | None, train: Sequences, seed: int) -> tuple[Scorer, History, int, float]:
    """A baseline that `fit` does not train, with what `trained` tells; of counts parameters and seconds are 0."""
    if baseline is None or isinstance(baseline, Ncf):
        raise ConfigurationError("only a baseline that `fit` does not train is built from events alone")
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


def trained(
    recipe: Recipe,
    prepared: Prepared,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    checkpoint: Callable[[Prepared], Checkpoint] | None = None,
    watcher: Watcher | None = None,
    processes: Processes = ALONE,
) -> tuple[Scorer, History, int, float]:
    """(model, history, parameters, seconds of training), the epoch chosen by validation; no test case is looked at."""
    events = prepared.log.sequences
    processes.agree("its events", {"items": events.items, "starts": events.starts_U, "stops": events.stops_U})
    if not recipe.is_fitted:
        return _built(recipe.baseline, prepared.split.train, seed)
    model = build_model(recipe, len(prepared.log.items), seed, len(prepared.log.users)).to(device)
    history = _train(recipe, model, prepared.split, seed, checkpoint and checkpoint(prepared), watcher, processes)
    return model, history, sum(weight.numel() for weight in model.parameters()), history.train_seconds


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
    said = notes(read, len(interactions), interactions.repeated_events, split.short_users, interactions.tied_events)
    # The process knows whole histories only: filtered ones have no exact bound.
    bound = None if made is None or len(interactions) < read else partial(_upper_bound, made, log)
    return Prepared(Source.of(recipe), log, split, titles, said, bound)


def notes(read: int, kept: int, repeated_events: int, short_users: int, tied_events: int) -> tuple[str, ...]:
    """What was left out or is ambiguous, in words, given numbers of events and users."""
    said = []
    if kept < read:
        said.append(f"{read - kept:,} of {read:,} events left out by the filters")
    if repeated_events:
        said.append(
            f"{repeated_events:,} events repeat an item of the same user and are kept; a target that does counts as "
            f"missed"
        )
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
    return Prepared(Source.of(recipe), log, split, {}, manifest.notes)


def _upper_bound(made: SyntheticLog, log: Log, cases: Cases) -> Mapping[str, float]:
    return TrueTransitions(made, log.users, log.items).query(cases.histories).upper_bound(10)


def _load(recipe: Recipe) -> tuple[Interactions, Mapping[object, str], SyntheticLog | None]:
    """(events, titles, the generator's own knowledge if the data is generated) of the recipe's data."""
    named = recipe.columns.model_dump(exclude_none=True)
    if named and recipe.data in (SYNTHETIC, *PUBLISHED):
        raise ConfigurationError(
            f"columns={named} name those of a file, and {recipe.data} is a dataset with its own: leave columns out"
        )
    if recipe.data == SYNTHETIC:
        made = generate()
        return made.interactions, dict(zip(made.titles["item"], made.titles["title"], strict=True)), made
    if recipe.data in PUBLISHED:
        return acquisition.load(PUBLISHED[recipe.data]), {}, None
    if not any(mark in recipe.data for mark in "./\\"):
        known = suggest(recipe.data, [SYNTHETIC, *PUBLISHED])
        raise ConfigurationError(f"there is no dataset '{recipe.data}'; {known}, or the path of a file")
    return read_interactions(recipe.data, recipe.columns), {}, None


def build_model(recipe: Recipe, number_of_items: int, seed: int, number_of_users: int = 0) -> SequenceModel:
    """The untrained model of a recipe; equal seeds give equal weights. Users count where they have vectors."""
    with seeded_globally(seed, Purpose.WEIGHTS):
        if isinstance(recipe.baseline, Ncf):
            return SequenceModel(*recipe.baseline.parts(number_of_users, number_of_items))
        in_bfloat16 = recipe.training.precision == "bfloat16"
        return assemble(recipe.encoder, recipe.objective, number_of_items, number_of_users, in_bfloat16=in_bfloat16)


def assemble(
    encoder: Any, objective: Objective, number_of_items: int, number_of_users: int, *, in_bfloat16: bool = False
) -> SequenceModel:
    """The model of an encoder's settings and an objective, with fresh weights from torch's global generator."""
    width = getattr(encoder, "output_width", None)  # an encoder need not ask for a table of its own to score items by,
    has_users = getattr(encoder, "user_vectors", False)  # nor know of users
    has_mask, has_bias = objective.needs_mask, getattr(encoder, "output_bias", False)  # or of biases
    items: TiedItems | SeparateItems
    if width is None:
        items = TiedItems(number_of_items, encoder.dim, has_mask=has_mask, has_bias=has_bias)
    else:
        items = SeparateItems(number_of_items, encoder.dim, width, has_mask=has_mask, has_bias=has_bias)
    body = encoder.build(number_of_users) if has_users else encoder.build()
    known = number_of_users if has_users else None
    return SequenceModel(items, body, objective, in_bfloat16=in_bfloat16, number_of_users=known)


def _train(
    recipe: Recipe,
    model: SequenceModel,
    split: Split,
    seed: int,
    checkpoint: Checkpoint | None,
    watcher: Watcher | None,
    processes: Processes,
) -> History:
    loss = recipe.loss.build()
    train = split.train.to(model.device)
    negatives = outside = None
    if recipe.negatives is not None:
        negatives = recipe.negatives.build(train)
        outside = outside_sampler(recipe.negatives, train, negatives)
    cases = validation_cases(split.validation, recipe.training.validation_users, seed)

    def validate() -> dict[str, float]:
        report = evaluate(model, cases, intervals=False, processes=processes)
        lost = validation_loss(model, loss, outside, cases, recipe.training.batch_size, seed, processes)
        return {**report.means, "validation_loss": lost}

    return fit(
        model, split.train, loss, recipe.training, seed, validate,
        negatives=negatives, checkpoint=checkpoint, watcher=watcher, processes=processes,
    )  # fmt: skip
