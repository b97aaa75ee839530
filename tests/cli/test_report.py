"""`nextitem report`, and the page that `nextitem train` leaves."""

import json
import sys
from pathlib import Path

import pytest

from nextitem.cli import app as cli
from nextitem.experiment.folder.reading import read_run
from nextitem.report.run import page
from worlds.stored_runs import written


def typed(patch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command line in this process; its exit code."""
    patch.setattr(sys, "argv", ["nextitem", *words])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small log of events."""
    folder = tmp_path_factory.mktemp("shop")
    lines = [f"v{v},{(v + step * (1 + v % 3)) % 13},{step}" for v in range(40) for step in range(8)]
    (folder / "events.csv").write_text("\n".join(["user,item,time", *lines]), encoding="utf-8")
    return folder


def trained(shop: Path, patch: pytest.MonkeyPatch, *words: str) -> Path:
    patch.chdir(shop)
    before = set((shop / "runs").glob("2*"))
    assert typed(patch, "train", "popularity", "data=events.csv", *words) == 0
    (folder,) = set((shop / "runs").glob("2*")) - before
    return folder


def test_a_training_leaves_a_page_that_the_manifest_seals(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trained(shop, monkeypatch)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Popularity on events.csv" in text
    assert "nextitem train popularity data=events.csv" in text
    assert "report.html" in json.loads((folder / "manifest.json").read_text())["files"]
    read_run(folder).proven()


def test_the_page_can_be_left_out(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (trained(shop, monkeypatch, "--no-report") / "report.html").exists()


def test_a_page_that_fails_does_not_lose_the_run(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no fonts")

    monkeypatch.setattr(page, "report_into", fail)
    folder = trained(shop, monkeypatch)
    assert "no report.html in the run: RuntimeError: no fonts" in capfd.readouterr().err
    assert not (folder / "report.html").exists()
    read_run(folder).proven()


def test_several_runs_stand_on_one_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = [str(written(tmp_path / name, name)) for name in ("sasrec-ce", "popularity")]
    assert typed(monkeypatch, "report", *folders, "--out", str(tmp_path / "both.html"), "--json") == 0
    said = json.loads(capfd.readouterr().out)
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert said["bytes"] == len(text.encode())
    assert list(said["runs"]) == folders
    assert all(label in text for label in said["runs"].values())


def test_runs_of_unequal_certificates_are_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = (str(trained(shop, monkeypatch, "--no-report")), str(written(tmp_path)))
    assert typed(monkeypatch, "report", *folders) == 2
    assert "do not belong in one table" in capfd.readouterr().err
    assert not (shop / "report.html").exists()


def test_a_folder_that_is_no_run_is_an_artefact_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, "report", str(tmp_path)) == 4
