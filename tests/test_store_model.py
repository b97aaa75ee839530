"""The tools themselves, with few operations and few kills; by hand they are run with 200,000 and with 200."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"
IN_MEMORY = Path("/dev/shm")  # what is compared does not depend on a disk, only the time does


def run(tool: str, *words: str, folder: Path) -> str:
    done = subprocess.run(
        (sys.executable, TOOLS / tool, *words),
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None) as made:
        yield Path(made)


def test_a_store_is_what_a_dict_would_be(folder: Path) -> None:
    found = run("store_model.py", "--operations", "5000", "--seed", "7", folder=folder)
    assert found.startswith("seed 7\n")
    assert re.search(r"^5,\d\d\d operations \(.*\d add, .*\), 0 differences, .* seed 7$", found, re.MULTILINE)
    assert [*folder.glob("nextitem-*")] == []


def test_what_was_acknowledged_outlives_its_process(folder: Path) -> None:
    found = run("kill_event_writer.py", "--kills", "10", folder=folder)
    assert re.search(r"^10 kills, .*\d events acknowledged: none lost, none twice; ", found)
    assert [*folder.iterdir()] == []
