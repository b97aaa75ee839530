"""Studies: what they declare, what they refuse, and what the verb leaves."""

import csv
import json
import os
from pathlib import Path

import pytest

from nextitem.errors import ConfigurationError, StorageError
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.presets import preset_names
from nextitem.experiment.train import Extras, train
from nextitem.storage import whole_folder
from nextitem.studies.study import Study, load_study, study_names
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.small_runs import chains, log_of, write_csv
from worlds.small_study import SMALL


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small log, a study of two rows and what the verb made of them."""
    folder = tmp_path_factory.mktemp("shop")
    write_csv(log_of(chains()), folder / "events.csv")
    (folder / "small.toml").write_text(SMALL, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert typed(patch, "study", "small.toml", "--data", "events.csv", "--threads", "1") == 0
    return folder


def test_the_folder_has_the_table_the_figure_and_the_published_values_beside_sampled_ones(shop: Path) -> None:
    folder = shop / "runs" / "study-small-events.csv"
    assert {file.name for file in folder.iterdir()} == {"results.md", "table.csv", "table.json", "study.svg"}
    told = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert [row["recipe"] for row in told["rows"]] == ["whole", "no positions"]
    assert (told["against"], told["rows"][0]["metrics"]["ndcg@10"]["difference"]) == ("whole", None)
    assert told["rows"][1]["metrics"]["ndcg@10"]["difference"]["corrected_p"] <= 1
    assert told["rows"][0]["parameters"] == told["rows"][1]["parameters"] + 200 * 8
    assert [row["published"] for row in told["rows"]] == [None, None]  # theirs are no full rankings
    assert (told["sampled"]["metric"], told["sampled"]["ranking"]) == ("ndcg@10[pop2]", "popularity:2, seed 0")
    assert [row["published"] for row in told["sampled"]["rows"].values()] == [0.625, 0.375]
    full, _, sampled = (folder / "results.md").read_text(encoding="utf-8").partition("## Sampled ranking")
    assert "0.6250" not in full
    assert "0.6250" in sampled
    assert "-0.2500" in sampled  # 0.375 − 0.625


def test_a_sampled_value_is_the_one_that_evaluate_reports(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    told = json.loads((shop / "runs" / "study-small-events.csv" / "table.json").read_text(encoding="utf-8"))
    (folder,) = told["rows"][1]["runs"]
    capfd.readouterr()
    assert typed(monkeypatch, "evaluate", folder, "--candidates", "popularity:2", "--json") == 0
    expected = json.loads(capfd.readouterr().out)["sampled"]["test"]["ndcg@10[pop2]"]
    assert told["sampled"]["rows"]["no positions"]["mean"] == pytest.approx(expected, abs=1e-12)
    with (shop / "runs" / "study-small-events.csv" / "table.csv").open(encoding="utf-8") as content:
        lines = [line for line in csv.DictReader(content) if line["row"] == "no positions"]
    assert [(line["metric"], line["published"]) for line in lines] == [
        ("ndcg@10", ""), ("hit_rate@10", ""), ("ndcg@10[pop2]", "0.375"),
    ]  # fmt: skip


def test_finished_rows_are_used_again_and_missing_ones_may_be_left_out(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    before = sorted((shop / "runs").iterdir())
    capfd.readouterr()
    assert typed(monkeypatch, "study", "small.toml", "data=events.csv", "--json") == 0
    out, err = capfd.readouterr()
    assert err.count("finished in runs/") == 2
    assert sorted((shop / "runs").iterdir()) == before
    told = json.loads(out)
    assert told["folder"] == "runs/study-small-events.csv"
    words = ("study", "small.toml", "data=events.csv", "--no-train", "training.batch_size=7")
    assert typed(monkeypatch, *words) == 2
    assert "there is no finished run of this study" in capfd.readouterr().err


def test_runs_can_be_ordered_by_both_kinds_of_ranking(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    assert typed(monkeypatch, "train", "popularity", "data=events.csv") == 0
    assert typed(monkeypatch, "train", "popularity", "data=events.csv", "--seed", "1") == 0
    folders = [str(one) for one in (shop / "runs").glob("*-events*") if "popularity" in one.name]
    folders += [str(next(one for one in (shop / "runs").glob("*-events*") if "bert4rec" in one.name))]
    capfd.readouterr()
    assert typed(monkeypatch, "study", "sampled-metrics", *folders, "--candidates", "uniform:2") == 0
    shown = capfd.readouterr().out
    heads = [line for line in shown.splitlines() if line.startswith("| model |")]
    assert heads == ["| model | ndcg@10 | ndcg@10[uniform2] |", "| model | ndcg@10 |", "| model | ndcg@10[uniform2] |"]
    assert shown.index(heads[0]) < shown.index("By full ranking:")  # the only table of both holds places, no values
    assert "0." not in shown[: shown.index("By full ranking:")]
    assert "Kendall's τ" in shown
    folder = shop / "runs" / "study-sampled-metrics"
    assert {file.name for file in folder.iterdir()} == {"results.md", "table.json", "orders.svg"}
    told = json.loads((folder / "table.json").read_text(encoding="utf-8"))["candidates"]["uniform:2"]
    assert told["full"].keys() == told["sampled"].keys() == {
        "popularity, seed 0", "popularity, seed 1", "bert4rec",
    }  # fmt: skip


@pytest.mark.timeout(60)
def test_a_study_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.toml")
    with pytest.raises(ConfigurationError, match=r"there is no file .*mine\.toml"):
        load_study(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lyers",), "there is no study 'lyers'; did you mean 'layers'?"),
        (("sampled-metric",), "did you mean 'sampled-metrics'?"),
        (("mine.toml",), "there is no file mine.toml"),
        (("layers", "encoder.blocks=3"), "encoder.blocks is what layers varies; leave 'encoder.blocks=3' out"),
        (("layers", "--fast", "--data", "beauty"), "--fast is a first look at synthetic data, not at beauty"),
        (("layers", "data=ml-1m", "--data", "beauty"), "data are given more than once: ml-1m, beauty"),
        (("layers", "--against", "2 layer"), "there is no such row; did you mean '2 layers'"),
        (("layers", "encoder.dims=8"), "encoder.dims (command line): no such key; did you mean 'dim'?"),
        (("layers", "--recipe", "bert"), "there is no recipe 'bert'"),
        (("layers", "--recipe", "sasrec-ce", "encoder.blocks=3"), "encoder.blocks is what layers varies"),
        (("heads", "--recipe", "gru4rec"), "study heads varies encoder.heads, which recipe gru4rec does not have"),
        (("label-masking", "--recipe", "popularity"), "which recipe popularity does not have; vary one that has: "),
        (("heads", "encoder.dim=66"), "row '4 heads' of study heads, recipe bert4rec@sun2019: "),
        (("sampled-metrics", "runs/one"), "orders finished runs, at least two, got 1"),
        (("sampled-metrics", "a", "b", "--metric", "dcg@10"), "dcg"),
        (("sampled-metrics", "a", "b", "--candidates", "most:3"), "candidates 'most:3' are of no known kind"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is_trained(
    words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "study", *words) == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('against = "whole"', 'against = "hole"', "against='hole' should be a row; did you mean 'whole'?"),
        ('label = "no positions"', 'label = "whole"', "rows should have labels of their own"),
        ('against = "whole"', 'against = "whole"\naxis = "d"', "an axis and the places of rows on it (at) belong"),
        ("[published]\n", "[publish]\n", "publish (study mine): no such key; did you mean 'published'?"),
        ('recipe = "bert4rec"', "recipe = bert4rec", "this is not TOML"),
    ],
)
def test_a_study_that_does_not_hold_together_is_refused(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in SMALL
    (tmp_path / "mine.toml").write_text(SMALL.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_study(str(tmp_path / "mine.toml"))
    assert message in str(refused.value)


def test_published_values_have_to_say_what_they_are(tmp_path: Path) -> None:
    start, _, rows = SMALL.partition("[published]")
    (tmp_path / "mine.toml").write_text(start + rows[rows.index("[[rows]]") :], encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"published values of rows need \[published\]"):
        load_study(str(tmp_path / "mine.toml"))


def test_the_studies_are_listed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, "study") == 0
    shown = capfd.readouterr().out
    assert all(name in shown for name in [*study_names(), "sampled-metrics"])
    assert typed(monkeypatch, "study", "--json") == 0
    listed = json.loads(capfd.readouterr().out)["studies"]
    assert [Study.model_validate_json(json.dumps(one)) for one in listed] == [
        load_study(name) for name in study_names()
    ]


def test_a_folder_of_results_appears_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "results"
    for text in ("first", "second"):
        with whole_folder(folder, replace=True) as draft:
            (draft / "a.txt").write_text(text)
    with pytest.raises(ZeroDivisionError), whole_folder(folder, replace=True) as draft:
        (draft / "a.txt").write_text(str(1 / 0))
    with pytest.raises(StorageError, match="cannot write"), whole_folder(folder, replace=True) as draft:
        (draft / "missing" / "a.txt").write_text("third")
    assert [file.read_text() for file in folder.iterdir()] == ["second"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_plan_counts_no_more_epochs_than_the_steps_allow(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    words = ("study", "small.toml", "data=events.csv", "--plan", "--json", "training.batch_size=10")
    capfd.readouterr()
    assert typed(monkeypatch, *words, "training.epochs=7", "training.steps=8") == 0  # 30 users: 3 steps an epoch
    lines = json.loads(capfd.readouterr().out)["lines"]
    assert [(line["recipe"], line["epochs"]) for line in lines] == [("whole", 3), ("no positions", 3)]


BY_TIME = """
summary = "popularity and what came next, by time"
source = "our own"
recipe = "popularity"
data = "synthetic"
events = ["split=temporal", "split.cut=0.7", "split.validation=last"]
asked = ["split.target=last", "split.target=successive", "split.target=all"]
against = "popularity"

[[rows]]
label = "popularity"

[[rows]]
label = "co-occurrence"
recipe = "co-occurrence"
"""


def test_the_same_trainings_are_asked_in_every_way_that_the_study_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(log_of(chains()), tmp_path / "events.csv")
    (tmp_path / "mine.toml").write_text(BY_TIME, encoding="utf-8")
    assert typed(monkeypatch, "study", "mine.toml", "data=events.csv", "--threads", "1") == 0
    _, err = capfd.readouterr()
    assert [err.count(f": {word}") for word in ("training", "trained in runs/", "finished in runs/")] == [2, 4, 2]
    folder = tmp_path / "runs" / "study-mine-events.csv"
    assert {one.name for one in folder.iterdir()} == {"results.md", "table.csv", "table.json", "study.svg", "rules.svg"}
    told = json.loads((folder / "table.json").read_text(encoding="utf-8"))["asked"]
    assert [*told] == ["split.target=last", "split.target=successive", "split.target=all"]
    assert len({one["certificate"]["split"] for one in told.values()}) == 3
    assert told["split.target=all"]["rows"][1]["metrics"]["ndcg@10"]["difference"]["corrected_p"] <= 1
    page = (folder / "results.md").read_text(encoding="utf-8")
    assert "every item, all of them after the history up to the cut" in page
    heads = [line for line in page.splitlines() if line.startswith("## ")]
    assert heads == ["## The same trainings by split.target=successive", "## The same trainings by split.target=all"]


FRONTIER = """
summary = "two that count"
source = "our own"
recipe = "popularity"
data = "synthetic"
frontier = true
against = "popularity"
rows = [{ label = "popularity" }, { label = "co-occurrence", recipe = "co-occurrence" }]

[[beside]]
label = "a model"
data = "events.csv"
value = 0.9
seconds = 60
source = "a paper that never was"

[[beside]]
label = "another"
data = "elsewhere"
value = 0.8
source = "another one"
"""


def test_a_frontier_shows_rows_by_seconds_with_published_points_of_the_same_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(log_of(chains()), tmp_path / "events.csv")
    (tmp_path / "mine.toml").write_text(FRONTIER, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "study", "mine.toml", "--data", str(data)) == 0
    assert "results: runs/study-mine-events.csv" in capfd.readouterr().out
    folder = tmp_path / "runs" / "study-mine-events.csv"
    page, table = (folder / "results.md").read_text(), json.loads((folder / "table.json").read_text())
    assert "## Published for this dataset" in page
    assert "| a model | 0.9000 | 60 | a paper that never was |" in page
    assert [one["label"] for one in table["elsewhere"]] == ["a model"]
    assert "<svg" in (folder / "study.svg").read_text()  # what is in it, the figure's own tests look at
    stored = next((tmp_path / "runs").glob("*-popularity-events"))
    recipe = read_run(stored).recipe.model_copy(update={"name": "a stored one"})
    own = train(recipe, Session(0), tmp_path / "elsewhere", extras=Extras(baselines=False))
    asked = ("study", "mine.toml", "--data", str(data), "--beside", str(own.folder), "--beside", str(stored))
    assert typed(monkeypatch, *asked) == 0
    rows = json.loads((folder / "table.json").read_text())["rows"]
    assert {"a stored one", stored.name} <= {row["recipe"] for row in rows}
    assert typed(monkeypatch, "study", "width", "--beside", str(stored)) == 2
    assert "--beside is for a frontier" in capfd.readouterr().err


def test_the_frontier_has_every_recipe_once() -> None:
    found = {row.label: row for row in load_study("frontier").rows}
    assert {"sasrec-ce", "bert4rec", "popularity", "ease"} <= found.keys() <= {*preset_names()}
    assert "bert4rec@klenitskiy2023" not in found  # another name of bert4rec
    assert found["ease"].fast == ()
    assert found["sasrec-ce"].fast is None
