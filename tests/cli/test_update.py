"""`nextitem update`, as it is typed."""

import json
from pathlib import Path

import polars as pl
import pytest

from nextitem.data.reading.rejected import REJECTED, REJECTED_ITEMS, RejectedRows
from nextitem.experiment.folder.changing import changed_run
from nextitem.experiment.folder.reading import read_run
from nextitem.serving.renewal.update import Updated
from nextitem.storage import write_csv
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


def test_rows_that_are_left_out_stand_behind_those_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, file = written(tmp_path), Path(events(tmp_path))
    earlier = RejectedRows()
    earlier.add("first.csv", pl.DataFrame({"row": [7], "content": ["=1,x"]}), "time", "is missing")
    with changed_run(read_run(folder)) as draft:
        write_csv(draft / REJECTED, earlier.table)
    file.write_text(f"{file.read_text()}\nu01,,9\n")
    (tmp_path / "new.csv").write_text("item,title\n,No id\ni99,New\n")
    columns = ("--columns", "on_bad_rows=skip", "--item-columns", "on_bad_rows=skip")
    told = ("update", str(folder), str(file), "--items", str(tmp_path / "new.csv"), *columns, "--replace-worse")
    assert typed(monkeypatch, *told) == 0
    assert "1 row left out, since it cannot be used: item is blank (1)" in " ".join(capfd.readouterr().err.split())
    run = read_run(folder).proven()
    assert run.metrics.provenance.rejected == {"item is blank": 1}  # what was counted of the run before, and this
    assert run.metrics.provenance.rejected_items == {"item is missing": 1}
    assert [pl.read_csv(folder / name)["content"].to_list() for name in (REJECTED, REJECTED_ITEMS)] == [
        ["'=1,x", "u01,,9"], [",No id"],
    ]  # fmt: skip


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
