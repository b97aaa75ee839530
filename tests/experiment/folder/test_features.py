"""What is known of items goes from a table through a run or a prepared folder to lists, and the table may go."""

import json
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from nextitem.data.features.columns import FeatureColumns, Features
from nextitem.data.features.table import FILE
from nextitem.data.mapped.folder import verify
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.errors import ArtefactError, ConfigurationError, DataError
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.folder.found import deciding
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import Extras, train
from nextitem.model.baselines import Popularity
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.small_runs import chains, log_of, write_csv

TABLE = (
    'item,title,genres,year\ni00,"=2+2",crime|drama,1990\ni01,\x1b[2JThe Second,,\ni02,"Third, The",drama,2000\n'
    "i99,Nobody,war,1\n"
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with events, and with a table of some of their items."""
    write_csv(log_of(chains()), tmp_path / "events.csv")
    (tmp_path / "items.csv").write_text(TABLE)
    return tmp_path


def recipe(shop: Path) -> Recipe:
    return Recipe(data=shop / "events.csv", features=Features(file=shop / "items.csv"), model=Popularity())


def test_a_run_keeps_features_and_needs_their_table_no_more(shop: Path) -> None:
    run = train(recipe(shop), Session(seed=0), shop / "runs")
    (shop / "items.csv").unlink()
    found = read_run(run.folder).features
    assert found.table.head(3).drop("title").to_dicts() == [
        {"item": "i00", "genres": ["crime", "drama"], "year": 1990},
        {"item": "i01", "genres": None, "year": None},
        {"item": "i02", "genres": ["drama"], "year": 2000},
    ]
    assert found.titles == {"i00": "=2+2", "i01": "\x1b[2JThe Second", "i02": "Third, The"}
    assert any(
        note.startswith("items: left out are 1 row of items that the log does not have ('i99')")
        for note in run.metrics.notes
    )
    again = evaluate_again(read_run(run.folder), "test", ["ndcg@10"])
    assert again.means["ndcg@10"] == pytest.approx(run.metrics.test.means["ndcg@10"])


def test_titles_make_no_other_run(shop: Path) -> None:
    assert deciding(recipe(shop)) == deciding(recipe(shop).model_copy(update={"features": Features()}))


def test_a_run_without_features_has_nothing_but_its_titles(shop: Path) -> None:
    without = recipe(shop).model_copy(update={"features": Features()})
    run = train(without, Session(seed=0), shop / "runs")
    assert not (run.folder / FILE).exists()
    assert run.features.table.columns == ["item"]


def test_altered_features_are_refused_and_nothing_else_is(shop: Path) -> None:
    folder = train(recipe(shop), Session(seed=0), shop / "runs").folder
    pl.read_parquet(folder / FILE).head(3).write_parquet(folder / FILE)
    run = read_run(folder)
    assert any(FILE in doubt for doubt in run.doubts("items.parquet"))
    assert len(run.items) > 3
    with pytest.raises(ArtefactError, match=r"features.parquet was altered"):
        _ = run.features


def test_a_prepared_folder_has_them_too(shop: Path) -> None:
    words = [f"items={shop / 'items.csv'}", "features.columns.numbers=[]"]
    manifest = prepare_into(shop / "prepared", str(shop / "events.csv"), words)
    assert manifest.notes[-len(manifest.item_notes) :] == manifest.item_notes
    (shop / "items.csv").unlink()
    assert verify(shop / "prepared") == manifest
    prepared = prepare(Recipe(data=shop / "prepared", model=Popularity()))
    assert prepared.features.names == ["genres"]
    assert prepared.titles["i02"] == "Third, The"
    assert prepared.notes[-len(manifest.item_notes) :] == manifest.item_notes
    run = train(Recipe(data=shop / "prepared", model=Popularity()), Session(seed=0), shop / "runs")
    assert run.features.table.equals(prepared.features.table)


def test_a_prepared_folder_takes_another_table(shop: Path) -> None:
    prepare_into(shop / "prepared", str(shop / "events.csv"), [])
    found = prepare(recipe(shop).model_copy(update={"data": str(shop / "prepared")}))
    assert found.titles["i02"] == "Third, The"
    assert prepare(Recipe(data=shop / "prepared")).features.table.columns == ["item"]


def test_a_frame_takes_the_place_of_a_file(shop: Path) -> None:
    asked = Recipe(data=shop / "events.csv", features=Features(columns=FeatureColumns(title="called")))
    frame = pd.DataFrame({"item": ["i03", "i00"], "called": ["d", "a"], "year": [1.0, None]})
    prepared = prepare(asked, items=frame)
    assert prepared.titles == {"i00": "a", "i03": "d"}
    assert prepared.features.table["year"].to_list()[:4] == [None, None, None, 1.0]
    run = train(
        asked.model_copy(update={"model": Popularity()}), Session(seed=0), shop / "runs", extras=Extras(items=frame)
    )
    assert run.features.titles == prepared.titles
    with pytest.raises(ConfigurationError, match="given as a frame and as features"):
        prepare(recipe(shop), items=frame)


def test_a_table_that_is_not_there_is_told_of_before_events_are_read(shop: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file nowhere/items\.csv"):
        prepare(Recipe(data="nowhere/events.csv", features=Features(file="nowhere/items.csv")))


def test_synthetic_data_know_their_genres() -> None:
    assert prepare(Recipe()).features.categories == ["genre"]


def test_lists_show_titles_that_steer_nothing(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(train(recipe(shop), Session(seed=0), shop / "runs").folder)
    asked = ("recommend", folder, "--users", "u00", "--hide", "nothing", "--candidates", "i00,i01,i02")
    assert typed(monkeypatch, *asked) == 0
    csv = pl.read_csv(capfd.readouterr().out.encode())
    assert dict(zip(csv["item"], csv["title"], strict=True))["i00"] == "'=2+2"
    assert typed(monkeypatch, *asked, "--json") == 0
    lists = json.loads(capfd.readouterr().out)["recommendations"]
    assert {one["item"]: one["title"] for one in lists}["i00"] == "=2+2"
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    assert typed(monkeypatch, *asked) == 0
    shown = capfd.readouterr().out
    assert "Third, The" in shown
    assert r"\u001b[2JThe Second" in shown
