"""The benchmarks run: their smoke run, on tiny logs, writes the page and the picture."""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def test_a_smoke_run_writes_every_table_and_the_picture(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "benchmarks/run.py", "--quick", "--threads", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    for title in ("Calibration", "Training", "Catalogue size", "Memory", "Ranking"):
        assert page.count(f"## {title}\n") == 1
    assert "| beauty | sasrec-ce, padded textbook |" in page
    assert (tmp_path / "benchmarks.svg").read_text(encoding="utf-8").startswith("<?xml")
