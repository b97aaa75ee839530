"""The load generator on a service of its own process: SIGTERM under load, in a few seconds."""

import json
import subprocess
import sys
from pathlib import Path

from worlds.stored_runs import written

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "load.py"


def test_all_is_answered_that_was_accepted_before_a_signal(tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, "stops", written(tmp_path), "--times", "1", "--rate", "40"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["accepted"] > 20
    assert told["accepted_and_not_answered"] == 0
    assert told["exit_codes"] == [0]
    assert told["most_seconds_to_end"] < 10
