"""`nextitem items`, as it is typed."""

import json
from pathlib import Path

import polars as pl
import pytest

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
