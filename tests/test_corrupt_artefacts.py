"""The tool itself, with few damages; by hand it is run with thousands."""

import os
import re
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent / "tools" / "corrupt_artefacts.py"


def test_what_is_damaged_is_refused_by_name_or_does_not_matter(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, TOOL, "--damages", "32"),
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    asked = re.search(
        r"^32 damages, (\d+) asked: (\d+) refused by name, (\d+) the same answer, 0 wrong$", done.stdout, re.MULTILINE
    )
    assert asked is not None
    assert int(asked[1]) == int(asked[2]) + int(asked[3]) > 100
    assert list(tmp_path.glob("nextitem-corrupt-*")) == []
