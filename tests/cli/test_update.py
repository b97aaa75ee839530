"""`nextitem update`, as it is typed."""

import json
from pathlib import Path

import pytest

from nextitem.experiment.folder.reading import read_run
from nextitem.serving.renewal.update import Updated
from worlds.command_line import typed
from worlds.stored_runs import written


def events(tmp_path: Path) -> str:
    rows = [f"u{n:02},i{(n + step) % 12:02},{1000 + 10 * n + step}" for n in range(30) for step in (0, 1)]
    file = tmp_path / "today.csv"
    file.write_text("\n".join(["user,item,time", *rows]))
    return str(file)


def test_a_run_is_replaced_and_told_beside_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(written(tmp_path))
    assert typed(monkeypatch, "update", folder, events(tmp_path), "--replace-worse", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert told["run"] == folder
    assert told["update"]["events"] == 60
    assert read_run(Path(folder)).proven().metrics.update is not None
    for part in ("test", "validation"):  # of the cases that the run has stored
        assert typed(monkeypatch, "evaluate", folder, "--part", part, "--json") == 0
        again = json.loads(capfd.readouterr().out)[part]
        assert again["ndcg@10"] == pytest.approx(told[part]["ndcg@10"], abs=1e-12)
    assert again["certificate"]["split"] != told["certificate"]["split"]
    page = str(tmp_path / "page.html")
    assert typed(monkeypatch, "report", folder, "--out", page) == 0
    capfd.readouterr()
    assert typed(monkeypatch, "evaluate", folder, "--data", events(tmp_path)) == 3
    assert "was updated: no file has all of its events" in " ".join(capfd.readouterr().err.split())
    assert typed(monkeypatch, "forget", folder, "--user", "u03") == 0
    capfd.readouterr()
    assert typed(monkeypatch, "evaluate", folder) == 3
    assert "users were taken out of it since" in " ".join(capfd.readouterr().err.split())


def test_a_worse_run_replaces_nothing_unless_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Updated, "is_worse", True)
    folder = written(tmp_path)
    manifest = (folder / "manifest.json").read_bytes()
    assert typed(monkeypatch, "update", str(folder), events(tmp_path)) == 2
    out, err = capfd.readouterr()
    assert "ndcg@10:" in out
    assert "--replace-worse" in err
    assert (folder / "manifest.json").read_bytes() == manifest
    assert typed(monkeypatch, "update", str(folder), events(tmp_path), "--out", str(tmp_path / "new")) == 0
    assert (folder / "manifest.json").read_bytes() == manifest
    capfd.readouterr()
