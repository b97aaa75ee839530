"""The benchmarks run: their smoke run, on tiny logs, writes the page and the picture."""

import json
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def python(*arguments: str) -> str:
    """What Python prints when it runs in the checkout, on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_smoke_run_writes_every_table_and_the_picture(tmp_path: Path) -> None:
    python("benchmarks/run.py", "--quick", "--threads", "1", "--out", str(tmp_path))
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    for title in ("Calibration", "Training", "Wide models", "Catalogue size", "Memory", "Ranking"):
        assert page.count(f"## {title}\n") == 1
    assert "| beauty | sasrec-ce, padded textbook |" in page
    assert (tmp_path / "benchmarks.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_the_frontier_is_drawn_with_all_that_a_row_is_made_of(tmp_path: Path) -> None:
    python("benchmarks/frontier.py", "--quick", "--threads", "1", "--out", str(tmp_path))
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    seconds = {cells[0].removeprefix("| "): float(cells[-1].strip(" |").replace(",", "")) for cells in lines[2:]}
    assert {"co-occurrence", "gold", "gold and counting"} == seconds.keys()
    assert seconds["gold and counting"] >= seconds["gold"] > seconds["co-occurrence"]
    assert (tmp_path / "frontier.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_a_log_with_fewer_steps_than_are_asked_for_is_prepared_and_started_and_nothing_else_is_deleted(
    tmp_path: Path,
) -> None:
    (tmp_path / "other").touch()
    told = python("benchmarks/data.py", str(tmp_path), "--events=2000", "--users=200", "--items=600")
    assert list(json.loads(told)["start"]) == ["imported", "mapped", "fit", "first step", "last step", "peak_mb"]
    assert [file.name for file in tmp_path.iterdir()] == ["other"]


def test_the_pieces_that_a_log_is_prepared_in_are_timed(tmp_path: Path) -> None:
    told = python("benchmarks/spread.py", "stages", "--events=4000", "--parts=2", f"--folder={tmp_path}")
    assert [line.partition(":")[0] for line in told.splitlines()][:3] == ["deal", "gather", "finish"]
    assert not [*tmp_path.iterdir()]
