"""The tool itself, with few calls; by hand every call of every verb fails in every way."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools" / "failing_calls.py"


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler")
def test_whichever_call_fails_nothing_is_lost_and_nothing_stays_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, TOOL, "prepare", "recommend, csv", "--every", "7"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    found = re.findall(r"^(.+): (\d+) calls, (\d+) tried, (\d+) right, 0 wrong", done.stdout, re.MULTILINE)
    assert [verb for verb, *_ in found] == ["prepare", "recommend, csv"]
    assert all(int(calls) >= 9 and int(tried) == int(right) > 0 for _, calls, tried, right in found)
