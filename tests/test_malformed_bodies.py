"""Bodies that are no questions are refused: a few hundred here, 10,000 by the script."""

import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[1] / "tools" / "malformed_bodies.py"


def test_no_malformed_body_breaks_anything() -> None:
    done = subprocess.run(
        [sys.executable, TOOL, "--bodies", "400", "--seed", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert sum(told["statuses"].values()) == 400
    assert {"400", "413", "415", "422"} <= {*told["statuses"]}
