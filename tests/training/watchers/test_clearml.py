"""ClearML's own offline session holds what the tracker was told, and nothing of its own accord."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

# A process of its own: ClearML reads its settings when it is imported, and leaves threads and hooks behind. It waits
# ten seconds for a daemon that its offline mode does not have, which this shortens.
_TOLD = """
import sys
from clearml.backend_interface.metrics.reporter import BackgroundReportService
BackgroundReportService._BackgroundReportService__daemon_live_check_timeout = 0.0
from nextitem.training.history import Epoch, History
from nextitem.training.watchers import open_tracker
from nextitem.training.watchers.tracked import tracked
epochs = [Epoch(n, 5.0 / n, None, {"ndcg@10": 0.1 * n}, 2.0, 1000.0) for n in (1, 2)]
settings = {"encoder.dim": 8, "negatives": None}
with tracked([open_tracker(sys.argv[1], None)], "a-run", settings, print) as (one,):
    one.epoch(epochs[-1], History(epochs, best_epoch=2))
    one.finish({"test/ndcg_at_10": 0.25})
"""


def tell(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    call = [sys.executable, "-c", _TOLD, *arguments]
    return subprocess.run(call, env=known | environment, capture_output=True, text=True, timeout=100, check=False)


def session(tmp_path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The task, and every number that it was told."""
    (stored,) = (tmp_path / "cache").rglob("*.zip")
    with zipfile.ZipFile(stored) as content:
        numbers = [json.loads(line) for line in content.read("metrics.jsonl").decode().splitlines()]
        return json.loads(content.read("task.json")), [one for line in numbers for one in line]


def test_a_training_is_a_task_with_parameters_curves_and_results(tmp_path: Path) -> None:
    offline = {"CLEARML_OFFLINE_MODE": "1", "CLEARML_CACHE_DIR": str(tmp_path / "cache")}
    done = tell(tmp_path, "clearml:films", **offline)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr  # its messages are no results
    task, numbers = session(tmp_path)
    assert (task["name"], task["project_name"]) == ("a-run", "films")
    assert {key: one["value"] for key, one in task["hyperparams"]["settings"].items()} == {
        "encoder.dim": "8",
        "negatives": "none",
    }
    assert not any(task.get("script", {}).values()), "neither the repository nor its changes are sent"
    told = {(one["metric"], one["variant"], one["iter"]): one["value"] for one in numbers}
    assert told["validation", "ndcg_at_10", 1] == 0.1
    assert told["validation", "ndcg_at_10", 2] == 0.2
    assert told["loss", "training", 2] == 2.5
    (result,) = [
        value for (metric, variant, _), value in told.items() if (metric, variant) == ("Summary", "test/ndcg_at_10")
    ]
    assert result == 0.25
    assert not any("monitor" in metric for metric, _, _ in told)


@pytest.mark.parametrize("setting", ["http://127.0.0.1:9", ""])
def test_a_server_that_does_not_answer_or_that_nobody_named_is_said_and_the_training_goes_on(
    tmp_path: Path, setting: str
) -> None:
    hosts = {f"CLEARML_{name}_HOST": setting for name in ("API", "WEB", "FILES")} if setting else {}
    keys = {"CLEARML_API_ACCESS_KEY": "a", "CLEARML_API_SECRET_KEY": "b"} if setting else {}
    done = tell(tmp_path, "clearml", **hosts, **keys)
    assert done.returncode == 0, done.stderr
    assert "the tracker ClearML failed at the start and is left out from here on" in done.stdout
