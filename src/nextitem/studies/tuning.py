"""A search for settings by validation alone: Optuna proposes and prunes, `learn` trains; no test case is looked at.

A search is kept after every trial, and the training of a trial after every epoch: one that was stopped and goes on
makes the trials that an uninterrupted one would have made.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nextitem.compute.processes import ALONE, Processes
from nextitem.compute.waiting import Say, silent, told_if_slow
from nextitem.data.prepare import Prepared, prepare
from nextitem.errors import ConfigurationError, ScoreError, TrainingError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.presets import Preset, load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import fingerprint, learn
from nextitem.experiment.search_space import SearchSpace, Value, check_keys, space_of
from nextitem.experiment.teachers import with_teachers
from nextitem.experiment.train import file_checkpoint
from nextitem.settings.given import path_of, seed_number, texts, whole_number
from nextitem.settings.keys import settings_of, short_key
from nextitem.storage import alone_in, refusals
from nextitem.studies.search import LOG, Pruning, Trial, kept_search, settled_trials, suggested
from nextitem.studies.search_log import seal
from nextitem.training.history import Silent, Watcher
from nextitem.training.session import Session
from nextitem.training.validation import validation_cases
from nextitem.words import counted

_CHECKPOINT = "trial.safetensors"


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
    space is none of the recipe's, or the search in `folder` is another one, and ArtefactError where it was altered.
    """
    folder, seed = path_of(folder, "folder"), seed_number(seed)
    overrides, trials = texts(overrides, "overrides"), whole_number(trials, "trials", "the number of trials", least=1)
    preset = preset if isinstance(preset, Preset) else load_preset(preset)
    optuna, recipe = _optuna(), resolve_recipe(preset, overrides).value
    searches = checked_space(preset, overrides, space_of(space))
    with told_if_slow(f"reading {recipe.data}", say):
        prepared = prepare(recipe)
    with alone_in(folder, "goes on with the same search"), refusals(folder):
        study = kept_search(optuna, folder, _identity(recipe, searches, prepared, seed, processes))
        while len(settled := settled_trials(study)) < trials:
            # What is proposed depends on the seed and the trials so far, not on how often the search was interrupted.
            study.sampler = optuna.samplers.TPESampler(seed=(seed * 1_000_003 + len(settled)) % 2**32)
            asked = study.ask()
            settings = {key: suggested(asked, key, search) for key, search in searches.items()}
            asked.set_user_attr("settings", settings)
            watcher = Pruning(asked, watch(recipe, len(settled) + 1), recipe.learner.training.monitor)
            session, own = Session(seed, processes, watcher), [*overrides, *_overrides(settings)]
            _tell(optuna, study, asked, partial(_validated, preset, own, prepared, session, folder))
            (folder / _CHECKPOINT).unlink(missing_ok=True)
            seal(folder / LOG)
            on_trial(settled_trials(study)[-1])
    return Tuned(recipe.name, recipe.learner.training.monitor, tuple(settled_trials(study)[:trials]))


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
    """Raises ConfigurationError where trials would not be chosen by one metric of the same cases, unknown to all.

    And for a loss that is yet to be settled.
    """
    if varied.learner.learns_validation:
        raise ConfigurationError(
            f"{recipe.name} learns the validation events that a search chooses by; set model.events=train"
        )
    if varied.learner.unplanned is None:
        varied.sequence.loss.build()  # refuses what the plan of a training would settle: a trial has none
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
        "data": fingerprint(prepared, recipe),
        "seed": str(seed),
        "device": processes.device.type,
        "nextitem": version("nextitem"),
    }


def _tell(optuna: Any, study: Any, asked: Any, train: Callable[[], float]) -> None:
    """Train, and tell the study what came of it: a value, that it was given up, or that it failed and why."""
    try:
        study.tell(asked, train())
    except optuna.TrialPruned:
        study.tell(asked, state=optuna.trial.TrialState.PRUNED)
    except (ConfigurationError, TrainingError, ScoreError) as error:
        asked.set_user_attr("error", str(error))
        study.tell(asked, state=optuna.trial.TrialState.FAIL)


def _validated(preset: Preset, overrides: Sequence[str], prepared: Prepared, session: Session, folder: Path) -> float:
    """The best value of the monitored metric, on the cases that every trial is validated on."""
    recipe, session, _ = with_teachers(resolve_recipe(preset, overrides).value, prepared, session)
    checkpoint = file_checkpoint(folder / _CHECKPOINT, recipe, prepared, session)
    learnt = learn(recipe, prepared, replace(session, checkpoint=checkpoint))
    training = recipe.learner.training
    if learnt.history.epochs:
        return learnt.history.epochs[learnt.history.best_epoch - 1].validation[training.monitor]
    cases = validation_cases(prepared.split.validation, training.validation_users, session.seed)
    return evaluate(learnt.scorer, cases, intervals=False).means[training.monitor]
