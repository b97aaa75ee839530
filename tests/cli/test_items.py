"""`nextitem items`, as it is typed."""

import json
from pathlib import Path

import polars as pl
import pytest

from nextitem.data.reading.rejected import REJECTED_ITEMS
from nextitem.experiment.folder.reading import read_run
from nextitem.serving.recommender import Recommender
from worlds.command_line import typed
from worlds.stored_runs import written


def test_a_catalogue_is_changed_listed_and_changed_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(written(tmp_path))
    pl.DataFrame({"item": ["z1", "i01"], "title": ["New", "Old"]}).write_csv(tmp_path / "new.csv")
    told = ("--retire", "i01,i02", "--rename", "i03=The = Third", "--add", str(tmp_path / "new.csv"))
    assert typed(monkeypatch, "items", folder, *told) == 0
    assert "1 row of items that the run knows already" in capfd.readouterr().err
    read_run(Path(folder)).proven()
    assert typed(monkeypatch, "items", folder, "--restore", "i01", "--json") == 0
    assert json.loads(capfd.readouterr().out) == {
        "run": folder, "trained": 12, "added": ["z1"], "retired": ["i02"], "renamed": {"i03": "The = Third"},
    }  # fmt: skip
    assert typed(monkeypatch, "items", folder) == 0
    assert "12 trained, 1 added, 1 retired, 1 renamed" in capfd.readouterr().out
    assert Recommender.load(folder).titles["z1"] == "New"
    assert typed(monkeypatch, "recommend", folder, "--users", "all", "--k", "11") == 0
    lists = capfd.readouterr().out
    assert "The = Third" in lists
    assert ",i02," not in lists


def test_rows_that_cannot_be_used_are_left_out_and_kept_with_those_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, file = written(tmp_path), tmp_path / "new.csv"
    for number in (1, 2):
        file.write_text(f"item,title\nz{number},New\nz{number},Other\n,No id\nz{number},New\ni01,Old\n")
        assert typed(monkeypatch, "items", str(folder), "--add", str(file)) == 3
        assert "keep one row of each item" in capfd.readouterr().err
        skipping = ("--add", str(file), "--item-columns", "on_bad_rows=skip")
        assert typed(monkeypatch, "items", str(folder), *skipping) == 0
        told = " ".join(capfd.readouterr().err.split())
        assert "2 rows left out, since they cannot be used: item is missing (1), says something else of its" in told
        assert "left out are 1 row of items that the run knows already ('i01'), 1 row that repeats another one" in told
    read_run(folder).proven()
    table = pl.read_csv(folder / REJECTED_ITEMS)
    assert table["row"].to_list() == [3, 4, 3, 4]
    assert table["content"].to_list() == ["z1,Other", ",No id", "z2,Other", ",No id"]


def test_what_is_wrong_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path)
    manifest = (folder / "manifest.json").read_bytes()
    assert typed(monkeypatch, "items", str(folder), "--retire", "nobody") == 3
    assert typed(monkeypatch, "items", str(folder), "--rename", "i01") == 2
    assert typed(monkeypatch, "items", str(folder), "--item-columns", "id=sku") == 2
    assert (folder / "manifest.json").read_bytes() == manifest
    capfd.readouterr()
