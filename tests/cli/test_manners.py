"""What somebody meets who types the first commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nextitem.cli.app import VERBS
from nextitem.cli.options import with_data
from nextitem.errors import ConfigurationError
from nextitem.experiment.presets import load_preset, load_recipe, preset_names
from worlds.command_line import typed
from worlds.small_runs import chains, log_of, write_csv

TINY = ("encoder.dim=8", "objective.maximum_length=8", "training.epochs=1", "training.patience=none", "--no-report")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small log."""
    folder = tmp_path_factory.mktemp("shop")
    write_csv(log_of(chains()), folder / "events.csv")
    return folder


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",)])
def test_help_is_what_an_empty_command_shows(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *words) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert all(name in out for name in VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_the_short_name_of_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, name, "-h") == 0
    assert f"Usage: nextitem {name} " in capfd.readouterr().out


def test_a_mistake_names_the_help_of_its_verb(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "tune", "--trails", "3", "sasrec-ce") == 2
    assert "`nextitem tune --help` tells the usage" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("typed_so_far", "offered"), [("nextitem reco", "recommend"), ("nextitem train --thr", "--threads")]
)
def test_a_shell_completes_verbs_and_options(typed_so_far: str, offered: str) -> None:
    asked = {
        "_NEXTITEM_COMPLETE": "complete_bash",
        "COMP_WORDS": typed_so_far,
        "COMP_CWORD": str(typed_so_far.count(" ")),
    }
    done = subprocess.run(
        (sys.executable, "-m", "nextitem"), env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert offered in done.stdout.split()


def test_recipes_are_listed_with_a_line_each(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "recipes") == 0
    lines = capfd.readouterr().out.splitlines()
    for name in preset_names():
        assert len([line for line in lines if f" {name} " in line and load_preset(name).summary in line]) == 1


@pytest.mark.parametrize("name", ["sasrec-3000", "bert4rec@klenitskiy2023", "popularity"])
def test_a_recipe_is_printed_as_a_file_that_is_that_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "recipes", name) == 0
    (tmp_path / f"{name}.toml").write_text(capfd.readouterr().out, encoding="utf-8")
    assert load_recipe(str(tmp_path / f"{name}.toml")) == load_recipe(name)
    assert typed(monkeypatch, "recipes", name, "--json") == 0
    assert json.loads(capfd.readouterr().out)["recipes"][0]["name"] == name


def test_a_recipe_that_is_none_is_answered_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "recipes", "sasrec-ec") == 2
    assert "did you mean 'sasrec-ce'" in capfd.readouterr().err


def test_settings_are_printed_as_json(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, "train", "sasrec-ce", "--data", "ml-1m", "--print-config", "--json") == 0
    settings = json.loads(capfd.readouterr().out)
    assert settings["data"] == {"value": "ml-1m", "source": "command line"}
    assert settings["objective.maximum_length"] == {"value": 200, "source": "profile ml-1m of sasrec-ce"}
    assert settings["negatives"]["value"] is None


def test_the_first_line_says_which_data_and_which_split(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    assert typed(monkeypatch, "train", "sasrec-ce", "--data", "events.csv", *TINY) == 0
    err = capfd.readouterr().err
    assert err.splitlines()[0] == "sasrec-ce on events.csv, leave-one-out split, seed 0, cpu"


@pytest.mark.parametrize(
    "words",
    [
        ("train", "popularity", "--no-report"),
        ("compare", "popularity", "--threads", "1"),
        ("tune", "sasrec-ce"),
    ],
)
def test_where_no_data_are_named_it_is_said_before_anything_else(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nextitem.cli.train.train_into", refuses)
    monkeypatch.setattr("nextitem.cli.compare.train_each", refuses)
    monkeypatch.setattr("nextitem.cli.tune.search", refuses)
    assert typed(monkeypatch, *words) == 2
    assert capfd.readouterr().err.splitlines()[0] == (
        "no data were named, so these are generated ones (synthetic); name a file by --data FILE, or a dataset: ml-1m, "
        "beauty, ml-20m, steam, yelp, ml-100k"
    )


def refuses(*arguments: object, **options: object) -> None:
    raise ConfigurationError("enough of it")


def test_data_are_named_in_either_way_and_not_in_two() -> None:
    assert with_data(["a=1"], None) == ["a=1"]
    assert with_data(["a=1"], "x.csv") == ["a=1", "data=x.csv"]
    assert with_data(["data=x.csv"], "x.csv") == ["data=x.csv"]
    with pytest.raises(ConfigurationError, match=r"data are given more than once: y\.csv, x\.csv; give them once"):
        with_data(["data=y.csv"], "x.csv")


@pytest.mark.parametrize("words", [("train", "popularity"), ("compare", "popularity"), ("tune", "sasrec-ce")])
def test_columns_that_look_like_values_stay_names(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.csv").write_text("visitor,item\n", encoding="utf-8")
    assert typed(monkeypatch, *words, "--data", "events.csv", "--columns", "user=false,item=item") == 3
    assert "no column 'false'" in capfd.readouterr().err


def test_a_search_that_cannot_be_is_refused_before_the_first_trial_of_another_recipe(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    varied = ("--vary", 'encoder.norm_placement=["query"]', "--trials", "1", "--out", str(tmp_path / "tuning"))
    assert typed(monkeypatch, "tune", "sasrec-ce", "gpt2", "--data", "events.csv", *TINY[:-1], *varied) == 2
    assert "norm_placement" in capfd.readouterr().err
    assert not (tmp_path / "tuning").exists()
