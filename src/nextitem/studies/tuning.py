"""A search for settings by validation alone: Optuna proposes and prunes, `learn` trains; no test case is looked at.

A search is kept after every trial, and the training of a trial after every epoch: one that was stopped and goes on
makes the trials that an uninterrupted one would have made.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nextitem.compute.processes import ALONE, Processes
from nextitem.compute.waiting import Say, silent, told_if_slow
from nextitem.data.prepare import Prepared, prepare
from nextitem.errors import ConfigurationError, ScoreError, StorageError, TrainingError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.presets import Preset, load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import learn
from nextitem.experiment.search_space import Search, SearchSpace, Value, check_keys, space_of
from nextitem.experiment.train import file_checkpoint
from nextitem.settings.given import path_of, seed_number, texts, whole_number
from nextitem.settings.keys import settings_of, short_key
from nextitem.storage import alone_in, sync
from nextitem.training.history import Epoch, History, Silent, Watcher
from nextitem.training.session import Session
from nextitem.training.validation import validation_cases
from nextitem.words import counted

if TYPE_CHECKING:
    from optuna import Study
    from optuna import Trial as Proposal

_FILE, _CHECKPOINT, _NAME = "trials.log", "trial.safetensors", "search"
_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS = 5, 3


@dataclass(frozen=True)
class Trial:
    """One training of a search."""

    number: int
    """From 1."""
    settings: Mapping[str, Value]
    """What was varied."""
    outcome: str
    """`complete`, `pruned` (worse than the median of the others after as many epochs) or `failed`."""
    value: float | None
    """Best validation value."""
    best_epoch: int
    epochs: int
    seconds: float
    """Of optimisation."""
    error: str | None = None


@dataclass(frozen=True)
class Tuned:
    """What a search found, and what it took."""

    recipe: str
    monitor: str
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial with the best validation value. Raises TrainingError where every trial failed."""
        measured = [trial for trial in self.trials if trial.outcome == "complete"]
        if not measured:
            reasons = "; ".join(sorted({str(trial.error) for trial in self.trials}))
            raise TrainingError(
                f"of {counted(len(self.trials), 'trial')} of {self.recipe} none ended with a value: {reasons}"
            )
        return max(measured, key=lambda trial: trial.value or 0.0)

    @property
    def best_overrides(self) -> list[str]:
        """The settings of the best trial as overrides."""
        return _overrides(self.best.settings)

    def count(self, outcome: str) -> int:
        """How many trials had this outcome."""
        return sum(trial.outcome == outcome for trial in self.trials)

    @property
    def epochs(self) -> int:
        """Epochs of all trials: with the number of trials, the budget."""
        return sum(trial.epochs for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Seconds of optimisation of all trials."""
        return sum(trial.seconds for trial in self.trials)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        trials = [vars(trial) | {"settings": dict(trial.settings)} for trial in self.trials]
        budget = {"trials": len(self.trials), "epochs": self.epochs, "train_seconds": round(self.seconds, 2)}
        return {"recipe": self.recipe, "monitor": self.monitor, "budget": budget, "trials": trials}


def tune(
    preset: Preset | str | Path,
    overrides: Sequence[str],
    space: Mapping[str, object],
    *,
    trials: int,
    seed: int,
    folder: Path | str,
    on_trial: Callable[[Trial], None] = lambda _trial: None,
    watch: Callable[[Recipe, int], Watcher] = lambda _recipe, _number: Silent(),
    processes: Processes = ALONE,
    say: Say = silent,
) -> Tuned:
    """Search `space` until there are `trials`, going on with the search in `folder` if there is one.

    `preset` is a recipe as `load_preset` finds it, or by its name; `space` has a list of choices for each dotted key,
    or a range such as `{"low": 1e-4, "high": 1e-2, "log": True}`, and `load_preset(name).search` is a recipe's own.
    Every trial has the same data, validation cases and seed. Raises ConfigurationError where a key or value of the
    space is none of the recipe's, or the search in `folder` is another one.
    """
    folder, seed = path_of(folder, "folder"), seed_number(seed)
    overrides, trials = texts(overrides, "overrides"), whole_number(trials, "trials", "the number of trials", least=1)
    preset = preset if isinstance(preset, Preset) else load_preset(preset)
    optuna, recipe = _optuna(), resolve_recipe(preset, overrides).value
    searches = checked_space(preset, overrides, space_of(space))
    with told_if_slow(f"reading {recipe.data}", say):
        prepared = prepare(recipe)
    with alone_in(folder, "goes on with the same search"):
        study = _study(optuna, folder, _identity(recipe, searches, prepared, seed, processes))
        while len(settled := _settled(study)) < trials:
            # What is proposed depends on the seed and the trials so far, not on how often the search was interrupted.
            study.sampler = optuna.samplers.TPESampler(seed=(seed * 1_000_003 + len(settled)) % 2**32)
            asked = study.ask()
            settings = {key: _suggested(asked, key, search) for key, search in searches.items()}
            asked.set_user_attr("settings", settings)
            watcher = _Pruning(asked, watch(recipe, len(settled) + 1), recipe.learner.training.monitor)
            try:
                value = _validated(
                    _varied(preset, overrides, settings), prepared, Session(seed, processes, watcher), folder
                )
                study.tell(asked, value)
            except optuna.TrialPruned:
                study.tell(asked, state=optuna.trial.TrialState.PRUNED)
            except (ConfigurationError, TrainingError, ScoreError) as error:
                asked.set_user_attr("error", str(error))
                study.tell(asked, state=optuna.trial.TrialState.FAIL)
            (folder / _CHECKPOINT).unlink(missing_ok=True)
            on_trial(_settled(study)[-1])
    return Tuned(recipe.name, recipe.learner.training.monitor, tuple(_settled(study)[:trials]))


def checked_space(preset: Preset, overrides: Sequence[str], space: SearchSpace) -> SearchSpace:
    """The space by short keys. Raises ConfigurationError for a misspelt key or an impossible value, before training."""
    space = {short_key(Recipe, key): search for key, search in space.items()}
    check_keys(space, preset.name, ("model", *Recipe.short_keys))
    recipe = resolve_recipe(preset, overrides).value
    _check_terms(recipe, recipe)
    used = settings_of(recipe)
    for key, search in space.items():
        for value in search.some():
            _check_terms(_varied(preset, overrides, {key: value}), recipe)
        if key not in used:
            raise ConfigurationError(f"{key} is not used by {recipe.name}: varying it changes nothing")
    return space


def _check_terms(varied: Recipe, recipe: Recipe) -> None:
    """Raises ConfigurationError where trials would not be chosen by one metric of the same cases, unknown to all."""
    if varied.learner.learns_validation:
        raise ConfigurationError(
            f"{recipe.name} learns the validation events that a search chooses by; set model.events=train"
        )
    for name in ("monitor", "validation_users"):
        if getattr(varied.learner.training, name) != getattr(recipe.learner.training, name):
            raise ConfigurationError(
                f"training.{name} says what trials are chosen by, and has to be the same for all; "
                f"set training.{name}=… in place of varying it"
            )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigurationError("tune needs Optuna; install it by pip install 'nextitem[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _varied(preset: Preset, overrides: Sequence[str], settings: Mapping[str, Value]) -> Recipe:
    return resolve_recipe(preset, [*overrides, *_overrides(settings)]).value


def _overrides(settings: Mapping[str, Value]) -> list[str]:
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in settings.items()]


def _identity(
    recipe: Recipe, space: SearchSpace, prepared: Prepared, seed: int, processes: Processes
) -> dict[str, str]:
    return {
        "recipe": recipe.model_dump_json(),
        "space": json.dumps({key: search.model_dump(mode="json") for key, search in space.items()}),
        "data": prepared.log.sha256(with_times=recipe.learner.reads_times),
        "seed": str(seed),
        "device": processes.device.type,
        "nextitem": version("nextitem"),
    }


def _study(optuna: Any, folder: Path, identity: Mapping[str, str]) -> "Study":
    """The search in the folder, or a new one; a trial that was interrupted is the next to be asked for."""
    try:
        backend = optuna.storages.journal.JournalFileBackend(str(folder / _FILE))
        study: Any = optuna.create_study(
            study_name=_NAME,
            storage=optuna.storages.JournalStorage(backend),
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS),
        )
        sync(folder)  # the name of the file; what is in it Optuna puts on disk
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error}; choose another --out") from error
    for key, value in identity.items():
        kept = study.user_attrs.setdefault(key, value)
        if kept != value:
            raise ConfigurationError(
                f"{folder} holds a search with another {key} ({kept[:200]}, now {value[:200]}); choose another --out"
            )
        study.set_user_attr(key, value)
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.RUNNING:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)
    return cast("Study", study)


def _suggested(trial: "Proposal", key: str, search: Search) -> Value:
    if search.choices is not None:
        chosen: Any = trial.suggest_categorical(key, search.choices)
        return cast(Value, chosen)
    low, high = search.low, search.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=search.log)
    return trial.suggest_float(key, float(low or 0), float(high or 0), log=search.log)


def _validated(recipe: Recipe, prepared: Prepared, session: Session, folder: Path) -> float:
    """The best value of the monitored metric, on the cases that every trial is validated on."""
    checkpoint = file_checkpoint(folder / _CHECKPOINT, recipe, prepared, session)
    learnt = learn(recipe, prepared, replace(session, checkpoint=checkpoint))
    training = recipe.learner.training
    if learnt.history.epochs:
        return learnt.history.epochs[learnt.history.best_epoch - 1].validation[training.monitor]
    cases = validation_cases(prepared.split.validation, training.validation_users, session.seed)
    return evaluate(learnt.scorer, cases, intervals=False).means[training.monitor]


class _Pruning:
    """Tells Optuna the best value of each epoch, and stops a trial that Optuna gives up."""

    def __init__(self, trial: "Proposal", shown: Watcher, monitor: str) -> None:
        self.trial, self.shown, self.monitor = trial, shown, monitor
        self.reported = 0

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Show it."""
        self.shown.step(epoch, step, steps)

    def epoch(self, epoch: Epoch, history: History) -> None:
        """Report it, and what a resumed training did before. Raises optuna.TrialPruned."""
        self.shown.epoch(epoch, history)
        values = [one.validation[self.monitor] for one in history.epochs]
        for number in range(self.reported, len(values)):
            self.trial.report(max(values[: number + 1]), number + 1)
        self.reported = len(values)
        spent = {"best_epoch": history.best_epoch, "epochs": len(values), "seconds": history.train_seconds}
        for name, value in spent.items():
            self.trial.set_user_attr(name, value)
        if self.trial.should_prune():
            from optuna import TrialPruned

            raise TrialPruned


def _settled(study: "Study") -> list[Trial]:
    """The trials that ended, in their order; one that was interrupted is not among them."""
    settled: list[Trial] = []
    for trial in study.trials:
        attributes, outcome = trial.user_attrs, trial.state.name.lower()
        if outcome == "fail" and "error" in attributes:
            outcome = "failed"
        if outcome not in ("complete", "pruned", "failed"):
            continue
        values = trial.intermediate_values.values()
        settled.append(
            Trial(
                len(settled) + 1,
                attributes["settings"],
                outcome,
                trial.value if outcome == "complete" else max(values, default=None),
                attributes.get("best_epoch", 0),
                attributes.get("epochs", 0),
                attributes.get("seconds", 0.0),
                attributes.get("error"),
            )
        )
    return settled
