"""The tool that runs numeric tests under other kernels: what it says of a setting."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOLD = """
import os

def test_it_is_told():
    assert (os.environ["MKL_CBWR"], os.environ["OMP_NUM_THREADS"]) == ("AVX2", "1")

def test_it_fails():
    raise ValueError
"""


def test_it_runs_tests_under_a_setting_counts_them_and_names_what_failed(tmp_path: Path) -> None:
    (tmp_path / "test_told.py").write_text(TOLD, encoding="utf-8")
    command = [sys.executable, str(ROOT / "tools" / "kernels.py"), "--only", "MKL_CBWR=AVX2", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("MKL_CBWR=AVX2: 1 failed, 1 passed; ")
    assert "test_told.py::test_it_fails" in done.stdout
    assert "test_it_is_told" not in done.stdout
