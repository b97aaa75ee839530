"""A search for settings: its space, its trials, and what becomes of an interrupted one."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nextitem.cli.app import app
from nextitem.errors import ConfigurationError, StorageError, TrainingError
from nextitem.experiment.presets import Preset, as_toml, load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.search_space import parse_searches
from nextitem.storage import alone_in
from nextitem.studies.tuning import Tuned, tune
from nextitem.training.history import Epoch, History, Silent
from nextitem.training.training import Training
from worlds.parts import with_parts
from worlds.small_runs import chains

RATE = {"training.learning_rate": "{low=1e-3, high=3e-2, log=true}"}
SMALL = ["encoder.dim=8", "objective.maximum_length=8", "training.batch_size=8", "training.epochs=2"]


@pytest.fixture
def small(written: Callable[[str, str], Path]) -> list[str]:
    """Settings of a training of a second."""
    pairs = [f"u{user:02} i{item:02}" for user, history in enumerate(chains()) for item in history]
    file = written("log.txt", "\n".join(pairs))
    return [f"data={file}", *SMALL]


def searched(
    small: list[str],
    folder: Path | str,
    space: Mapping[str, str] = RATE,
    *,
    trials: int = 3,
    preset: Preset | None = None,
    **more: Any,
) -> Tuned:
    found = parse_searches([f"{key}={values}" for key, values in space.items()])
    return tune(preset or load_preset("sasrec-ce"), small, found, trials=trials, seed=0, folder=folder, **more)


def measured(tuned: Tuned) -> list[tuple[object, ...]]:
    """Everything of each trial but its time."""
    return [(trial.number, dict(trial.settings), trial.outcome, trial.value, trial.epochs) for trial in tuned.trials]


def test_trials_differ_by_what_varies_and_the_best_is_the_best(small: list[str], tmp_path: Path) -> None:
    tuned = searched(small, tmp_path / "search")
    rates = [float(trial.settings["training.learning_rate"]) for trial in tuned.trials]
    assert len({*rates}) == 3
    assert all(1e-3 <= rate <= 3e-2 for rate in rates)
    assert tuned.best.value == max(trial.value for trial in tuned.trials if trial.value is not None)
    assert (tuned.epochs, tuned.count("complete")) == (6, 3)
    assert tuned.best_overrides == [f"training.learning_rate={tuned.best.settings['training.learning_rate']}"]


def test_a_search_that_goes_on_elsewhere_is_left_alone(small: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "search"
    with alone_in(folder, "holds"), pytest.raises(ConfigurationError, match="another process goes on with the same"):
        searched(small, folder, trials=1)
    assert len(searched(small, str(folder), trials=1).trials) == 1


def test_no_test_case_is_looked_at(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    real = __import__("nextitem.experiment.sequence", fromlist=["evaluate"]).evaluate

    def watched(model: object, cases: Any, **named: Any) -> Any:
        looked.append(cases.targets_C.tolist())
        return real(model, cases, **named)

    monkeypatch.setattr("nextitem.experiment.sequence.evaluate", watched)
    monkeypatch.setattr("nextitem.studies.tuning.evaluate", watched)
    searched(small, tmp_path / "search", trials=1)
    held_out = [history[-2:] for history in chains()]  # validation and test target of each user
    assert looked == [[before for before, _ in held_out]] * 2


def test_a_search_that_goes_on_makes_the_trials_of_one_that_was_not_stopped(small: list[str], tmp_path: Path) -> None:
    whole = searched(small, tmp_path / "whole", trials=4)
    searched(small, tmp_path / "parts", trials=2)
    assert measured(searched(small, tmp_path / "parts", trials=4)) == measured(whole)
    assert measured(searched(small, tmp_path / "parts", trials=2)) == measured(whole)[:2]  # nothing is trained again


def test_an_interrupted_trial_is_taken_up_where_it_was(small: list[str], tmp_path: Path) -> None:
    epochs: list[int] = []

    class Interrupting(Silent):
        def epoch(self, epoch: Epoch, history: History) -> None:
            epochs.append(epoch.epoch)
            if len(epochs) == 3:  # the first epoch of the second trial
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(small, tmp_path / "parts", watch=lambda _recipe, _number: Interrupting())
    parts = searched(small, tmp_path / "parts", watch=lambda _recipe, _number: Interrupting())
    assert epochs == [1, 2, 1, 2, 1, 2]
    assert measured(parts) == measured(searched(small, tmp_path / "whole"))
    assert {file.name for file in (tmp_path / "parts").iterdir()} == {"trials.log", "trials.sealed.json"}


def test_trials_worse_than_the_median_are_pruned(small: list[str], tmp_path: Path) -> None:
    space = {"training.learning_rate": "[1e-2, 5e-3, 2e-2, 1e-9]"}
    tuned = searched([*small[:-1], "training.epochs=5"], tmp_path / "search", space, trials=9)
    assert tuned.count("pruned") > 0
    assert {trial.settings["training.learning_rate"] for trial in tuned.trials if trial.outcome == "pruned"} == {1e-9}
    assert all(trial.epochs < 5 for trial in tuned.trials if trial.outcome == "pruned")


def test_a_trial_that_fails_is_told_and_the_search_goes_on(small: list[str], tmp_path: Path) -> None:
    space = {"encoder.heads": "[1, 2]", "encoder.dim": "[8, 9]"}  # 9 is not divisible by 2
    tuned = searched([small[0], *small[2:]], tmp_path / "search", space, trials=8)
    failed = [trial for trial in tuned.trials if trial.outcome == "failed"]
    assert failed
    assert all(trial.settings == {"encoder.heads": 2, "encoder.dim": 9} for trial in failed)
    assert "divide" in str(failed[0].error)
    with pytest.raises(TrainingError, match=r"of 1 trial of sasrec-ce none ended with a value: .*divide"):
        Tuned("sasrec-ce", "ndcg@10", (failed[0],)).best  # noqa: B018


def test_a_baseline_is_searched_too(small: list[str], tmp_path: Path) -> None:
    preset = load_preset("co-occurrence")
    tuned = searched(small[:1], tmp_path / "search", {"model.window": "[1, 5]"}, preset=preset, trials=4)
    assert {trial.settings["model.window"] for trial in tuned.trials} == {1, 5}
    assert tuned.best.settings == {"model.window": 1}  # the log is a chain


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "recipe sasrec-ce declares no search space; name what may vary, such as --vary"),
        ({"encoder.dimm": "[8]"}, r"encoder\.dimm.*did you mean|encoder\.dimm.*dim"),
        ({"data": "[1]"}, "data cannot be searched: a search varies model, encoder"),
        ({"encoder.dropout": "{low=0.5, high=1.5}"}, r"encoder\.dropout"),
        ({"encoder.dropout": "{low=0.5, high=0.1}"}, r"low=0\.5 and high=0\.1 are no range"),
        ({"encoder.dropout": "{low=0.5}"}, "give choices, or low and high"),
        ({"encoder.dropout": "{low=0.0, high=0.5, log=true}"}, r"low=0\.0 has no logarithm"),
        ({"encoder.dropout": "{low=0.0, high=0.5, choices=[0.1]}"}, "choices and a range exclude each other"),
        ({"encoder.dropout": "0.1"}, r"does not say what may vary: write key=\[1, 2, 3\]"),
        ({"model.window": "[1, 2]"}, r"model\.window .*it belongs to model=blend and model=co_occurrence"),
        (
            {"training.monitor": '["ndcg@10", "mrr@10"]'},
            r"training\.monitor says what trials are chosen by.*set training",
        ),
        ({"loss.precision": '["float32", "auto"]'}, r"loss\.precision=auto is settled by the plan of a training"),
        ({"training.validation_users": "[5, 10]"}, r"training\.validation_users says what trials are chosen by"),
    ],
)
def test_what_cannot_be_searched_is_refused_at_once(
    space: dict[str, str], message: str, small: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        searched(small, tmp_path / "search", space)
    assert not (tmp_path / "search").exists()


def test_a_setting_that_is_not_in_use_is_refused(small: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"training .*: no such key; it belongs to model=sequence"):
        searched(small[:1], tmp_path / "search", preset=load_preset("popularity"))


def test_what_learns_validation_events_cannot_be_chosen_by_them(small: list[str], tmp_path: Path) -> None:
    settings, space = [small[0], "model.events=train_and_validation"], {"model.factors": "[4, 8]"}
    with pytest.raises(ConfigurationError, match=r"learns the validation events .*; set model\.events=train"):
        searched(settings, tmp_path / "search", space, preset=load_preset("bpr-mf"))


def test_a_search_does_not_vary_whether_validation_events_are_learnt(small: list[str], tmp_path: Path) -> None:
    space = {"model.events": '["train", "train_and_validation"]'}
    with pytest.raises(ConfigurationError, match="learns the validation events that a search chooses by"):
        searched(small[:1], tmp_path / "search", space, preset=load_preset("bpr-mf"))


@pytest.fixture
def begun(small: list[str], tmp_path: Path) -> Path:
    """The folder of a search of one trial."""
    searched(small, tmp_path / "search", trials=1)
    return tmp_path / "search"


def refusal(settings: list[str], folder: Path, space: Mapping[str, str] = RATE) -> str:
    """What is said of such a search in the folder of another."""
    with pytest.raises(ConfigurationError) as caught:
        searched(settings, folder, space, trials=1)
    assert not (folder / "trial.safetensors").exists()
    return str(caught.value)


def test_another_search_in_the_folder_is_refused_by_the_settings_that_differ(small: list[str], begun: Path) -> None:
    changed = [*small[:1], "encoder.dim=4", *SMALL[1:], "training.patience=none"]
    assert refusal(changed, begun) == (
        f"{begun} holds another search: encoder.dim was 8, is 4; training.patience was 10, is none; "
        f"choose another --out, or go on with what it had"
    )


def test_another_space_in_the_folder_is_refused_by_the_keys_that_differ(small: list[str], begun: Path) -> None:
    space = {"training.learning_rate": "{low=1e-3, high=1e-2, log=true}", "encoder.dropout": "[0.1, 0.2]"}
    said = refusal(small, begun, space)
    assert "the space of training.learning_rate was " in said
    assert '"high": 0.03' in said
    assert '"high": 0.01' in said
    assert 'the space of encoder.dropout was none, is {"choices": [0.1, 0.2], "log": false}' in said


def test_of_many_differences_between_searches_the_first_are_named(small: list[str], begun: Path) -> None:
    said = refusal([*small, "encoder=gru4rec"], begun)
    assert "encoder.name was sasrec, is gru4rec; " in said
    assert re.search(r"; and \d+ more differences; choose another --out", said)
    assert len(said) < 400 + len(str(begun))


def test_other_events_in_the_file_of_a_search_are_another_search(small: list[str], begun: Path) -> None:
    file = Path(small[0].removeprefix("data="))
    file.write_text(file.read_text(encoding="utf-8").replace("u00 i00\n", "u00 i01\n", 1), encoding="utf-8")
    assert re.search(r"the sha256 of the events was \w{64}, is \w{64}; choose", refusal(small, begun))


@pytest.mark.parametrize("name", preset_names())
def test_every_recipe_survives_being_written_as_a_file(name: str, tmp_path: Path) -> None:
    recipe = resolve_recipe(load_preset(name), ["data=ml-1m"]).value
    if recipe.learner.unplanned is None:
        recipe = with_parts(recipe, training=Training(patience=None))
    (tmp_path / f"{name}.toml").write_text(as_toml(recipe), encoding="utf-8")
    again = resolve_recipe(load_preset(str(tmp_path / f"{name}.toml"))).value
    assert again == recipe


@pytest.mark.parametrize("name", preset_names())
def test_the_declared_space_of_every_recipe_is_one(name: str) -> None:
    preset = load_preset(name)
    for key, search in preset.search.items():
        for value in search.some():
            assert isinstance(resolve_recipe(preset, [f"{key}={json.dumps(value)}"]).value, Recipe)


def test_the_verb_leaves_the_best_recipe(small: list[str], tmp_path: Path) -> None:
    vary = ["--vary", "training.learning_rate=[1e-2, 1e-9]"]
    arguments = ["tune", "sasrec-ce", "sasrec-bce", *small, *vary, "--trials", "3", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [Path(folder).name for folder in found] == ["sasrec-ce-log.txt-seed0", "sasrec-bce-log.txt-seed0"]
    assert [tuned["budget"]["trials"] for tuned in found.values()] == [3, 3]
    best = resolve_recipe(load_preset(str(tmp_path / "sasrec-ce-log.txt-seed0" / "best.toml"))).value
    assert best.sequence.encoder.dim == 8
    assert best.sequence.training.learning_rate == 1e-2
    shown = CliRunner().invoke(app, arguments)
    assert "sasrec-bce: 3 trials (0 pruned, 0 failed), 6 epochs" in " ".join(shown.stdout.split())
    assert f"best: nextitem train {tmp_path}/sasrec-ce-log.txt-seed0/best.toml" in shown.stdout


def test_what_the_command_line_fixes_does_not_vary(small: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tune", "sasrec-ce", *small, "--trials", "1", "--out", str(tmp_path), "--json"])
    (found,) = json.loads(done.stdout).values()
    declared = {*load_preset("sasrec-ce").search}
    assert found["trials"][0]["settings"].keys() == declared - {"encoder.dim"}


def test_the_verb_refuses_a_device_that_is_none() -> None:
    done = CliRunner().invoke(app, ["tune", "popularity", "--device", "tpu"])
    assert isinstance(done.exception, ConfigurationError)
    assert "--device tpu: " in str(done.exception)


def test_the_verb_needs_a_recipe() -> None:
    done = CliRunner().invoke(app, ["tune", "data=ml-1m"])
    assert isinstance(done.exception, ConfigurationError)
    assert "names no recipe; write nextitem tune RECIPE key=value" in str(done.exception)


def test_a_search_goes_on_after_the_beginning_of_a_line_and_has_no_lock_to_leave(
    small: list[str], tmp_path: Path
) -> None:
    whole, folder = searched(small, tmp_path / "whole", trials=3), tmp_path / "cut"
    searched(small, folder, trials=2)
    with (folder / "trials.log").open("ab") as log:
        log.write(b'{"op_code":4,"worker_id":"a disk that is full')
    assert measured(searched(small, folder, trials=3)) == measured(whole)
    assert sorted(path.name for path in folder.iterdir()) == ["trials.log", "trials.sealed.json"]


def test_a_search_that_cannot_be_kept_is_a_storage_error(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*search.*No space left on device"):
        searched(small, tmp_path / "search", trials=1)
