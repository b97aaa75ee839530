"""`nextitem ensemble` and `nextitem blend`, as they are typed."""

import json
from pathlib import Path

import pytest

from nextitem.experiment.train import Extras, train
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.small_runs import RECIPES, chains, log_of, write_csv


def test_runs_are_asked_as_one_and_blended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = str(write_csv(log_of(chains()), tmp_path / "events.csv"))
    recipe, bare = RECIPES["sasrec-ce"].model_copy(update={"data": data}), Extras(baselines=False)
    members = [str(train(recipe, Session(seed), tmp_path, extras=bare).folder) for seed in (0, 1)]
    short = ("--no-report", "--no-baselines", "--no-users", "--out", str(tmp_path))
    assert typed(monkeypatch, "ensemble", *members, *short, "--name", "both", "--average", "probability", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert [one["seed"] for one in told["made_of"]] == [0, 1]
    assert Path(told["run"]).name.endswith("-both-events")
    asked = ("blend", told["run"], *short, "--co-occurrence", "0,0.5", "--decay", "0", "--recent", "0")
    assert typed(monkeypatch, *asked) == 0
    shown = capfd.readouterr().out
    assert "both-blend, 30 test cases" in shown
    assert "of 2 blends validation chose co-occurrence" in " ".join(shown.split())
    blended = shown.split("run: ")[1].strip()
    assert typed(monkeypatch, "refit", blended, "--keep-test", "--no-report", "--no-baselines") == 0
    told_of = capfd.readouterr()
    assert "both-blend-refit, 30 test cases" in told_of.out
    assert f"learning training and validation events of {Path(blended).name}\n" in told_of.err
    asked = ("distil", *members, "training.epochs=1", *short, "--weight", "0.9", "--top", "3", "--name", "taught")
    assert typed(monkeypatch, *asked) == 0
    told_of = capfd.readouterr()
    assert "taught, 30 test cases" in told_of.out
    assert "the teacher is asked about" in told_of.err
    recipe = json.loads((Path(told_of.out.split("run: ")[1].strip()) / "recipe.json").read_text())
    assert recipe["model"]["teacher"]["runs"] == members
    assert (recipe["model"]["teacher"]["weight"], recipe["model"]["teacher"]["top"]) == (0.9, 3)
    assert typed(monkeypatch, "distil", *members, "--recipe", "sasrec-bce", *short) == 2
    assert "compares with drawn items" in capfd.readouterr().err
    assert typed(monkeypatch, "refit", blended, "--data", data) == 2
    assert "--data is for --keep-test" in capfd.readouterr().err
    assert typed(monkeypatch, "blend", told["run"], *short, "--decay", "half") == 2
    assert "--decay half: give numbers between commas" in capfd.readouterr().err
    assert typed(monkeypatch, "ensemble", *members, *short, "--average", "ranks") == 2
    assert "--average ranks" in capfd.readouterr().err
    (Path(members[1]) / "model.safetensors").write_bytes(b"damaged")
    assert typed(monkeypatch, "ensemble", *members, *short) == 4
    assert "model.safetensors" in capfd.readouterr().err
