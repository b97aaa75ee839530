"""A leading `~` is the home folder wherever a path is typed or given, and names are cut to what systems take."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from nextitem import Recipe, Recommender, load_recipe, prepare, read_interactions, read_run
from nextitem import train as train_recipe
from nextitem.cli.app import VERBS
from nextitem.cli.options import own_folder
from nextitem.data.acquisition.addresses import folder_at
from nextitem.data.mapped.writing import prepare_into
from nextitem.experiment.folder.workplace import Workplace
from nextitem.settings.given import expanded
from nextitem.training.session import Session
from nextitem.training.watchers import open_tracker
from worlds.command_line import typed
from worlds.small_runs import chains, log_of, write_csv

KNOWING = (expanded, folder_at, own_folder)
"""What makes a path of what was typed, each with the home folder for a leading `~`."""
WORDS = ("train", "popularity", "--no-report")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a log, and another folder to be in."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    write_csv(log_of(chains()), home / "log.csv")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    return home


def test_every_option_and_argument_that_is_a_path_knows_the_home_folder() -> None:
    verbs = set()
    for name in VERBS:
        function = getattr(import_module(f"nextitem.cli.{name}"), name)
        for parameter, hint in get_type_hints(function, include_extras=True).items():
            kind, *about = get_args(hint) or (hint,)
            if "Path" in inspect.formatannotation(kind):
                assert [one.parser in KNOWING for one in about] == [True], f"{name} {parameter}"
                verbs.add(name)
    # `--out` of `train` and `prepare` takes addresses as well, by `place_of`.
    assert {"publish", "report", "recommend", "study"} <= verbs


def the_run(folder: Path) -> Path:
    (run,) = folder.glob("2*")
    return run


def test_all_that_is_typed_may_be_at_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, *WORDS, "data=~/log.csv", "--out=~/runs") == 0
    run = f"~/{the_run(home / 'runs').relative_to(home)}"
    assert typed(monkeypatch, "prepare", "~/log.csv", "--out=~/ready") == 0
    assert typed(monkeypatch, *WORDS, "data=~/ready", "--out=~/others") == 0
    assert typed(monkeypatch, "check", "~/ready") == 0
    assert typed(monkeypatch, "evaluate", run, "--data", "~/log.csv") == 0
    assert typed(monkeypatch, "recommend", run, "--histories", "~/log.csv", "--out", "~/lists.csv") == 0
    assert typed(monkeypatch, "report", run, "--out", "~/page.html") == 0
    assert typed(monkeypatch, "compare", run, "--runs", "~/others") == 0
    assert typed(monkeypatch, "study", "sampled-metrics", run, run, "--candidates", "uniform:3", "--out=~/studies") == 2
    made = {"log.csv", "runs", "ready", "others", "lists.csv", "page.html"}
    assert made <= {path.name for path in home.iterdir()}
    assert list((tmp_path / "here").iterdir()) == []


def test_all_that_is_given_in_python_may_be_at_home(home: Path, tmp_path: Path) -> None:
    (home / "mine.toml").write_text('model = "popularity"\n')
    recipe = load_recipe("~/mine.toml", "data=~/log.csv")
    assert recipe.data == str(home / "log.csv")
    assert Recipe(data="~/log.csv").data == Recipe(data=Path("~/log.csv")).data == str(home / "log.csv")
    assert len(read_interactions("~/log.csv")) == len(read_interactions(home / "log.csv"))
    run = train_recipe(recipe, Session(0), out="~/runs")
    assert run.folder == the_run(home / "runs")
    again = f"~/runs/{run.folder.name}"
    assert read_run(again).metrics == run.metrics
    assert Recommender.load(again).recommend(users=["u00"], k=1)
    prepare_into(Path("~/ready"), "~/log.csv")
    assert len(prepare(Recipe(data="~/ready")).log.users) == 30
    assert list((tmp_path / "here").iterdir()) == []


def test_a_tracker_may_write_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    assert vars(open_tracker("tensorboard:~/told", Path("other")))["folder"] == home / "told"
    assert vars(open_tracker("mlflow:sqlite:///~/m.db", Path("other")))["address"] == f"sqlite:///{home}/m.db"
    assert vars(open_tracker("mlflow:http://host/~user", Path("other")))["address"] == "http://host/~user"


def test_a_home_that_nobody_has_is_said(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, *WORDS, "data=~nobody-of-this-name/log.csv") == 2
    assert "~nobody-of-this-name/log.csv: it is not known where that home folder is" in capfd.readouterr().err


def test_a_path_without_a_tilde_is_as_it_was_written() -> None:
    assert Recipe(data="./events").data == "./events"
    assert expanded("a/~/b") == Path("a/~/b")


@pytest.mark.parametrize("stem", ["漢" * 80, "x" * 250, "é" * 120, "🂡" * 60])
def test_a_data_file_may_have_any_name(
    stem: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = f"{stem}.csv"
    (home / "log.csv").rename(tmp_path / "here" / file)
    assert typed(monkeypatch, *WORDS, f"data={file}") == 0
    names = [the_run(Path("runs")).name, Workplace.of(Path("runs"), Recipe(data=file), 2**63 - 1).partial.name]
    assert all(len(name.encode()) <= 150 for name in names)


STUDY = """
summary = "two windows"
source = "our own"
recipe = "co-occurrence"
data = "synthetic"
against = "one"

[[rows]]
label = "one"
overrides = ["model.window=1"]

[[rows]]
label = "two"
overrides = ["model.window=2"]
"""


def test_results_of_a_data_file_of_any_name_have_a_folder(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    name = f"{'é' * 120}.csv"
    (home / "log.csv").rename(name)
    Path("windows.toml").write_text(STUDY)
    for window in (1, 2):
        train_recipe(load_recipe("co-occurrence", f"data={name}", f"model.window={window}"), Session(0))
    assert typed(monkeypatch, "study", "windows.toml", "--data", name, "--no-train") == 0
    (results,) = Path("runs").glob("study-windows-*")
    assert len(results.name.encode()) == 200
