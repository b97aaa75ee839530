"""The tool itself, with few kills; by hand it is run with a hundred."""

import os
import re
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent / "tools" / "kill_and_resume.py"


def test_killed_trainings_are_resumed_to_the_same_bits(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, TOOL, "--kills", "3", "--recipes", "bert4rec"),
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert re.search(r"^3 kills by saved epochs: .*\d after \d", done.stdout, re.MULTILINE)
    assert re.search(r"^\d trainings ended with the weights of an uninterrupted one", done.stdout, re.MULTILINE)
    assert list(tmp_path.glob("nextitem-kills-*")) == []
