"""examples/quickstart.ipynb runs from top to bottom and shows what it says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "quickstart.ipynb"
EXECUTE = "from nbclient.cli import NbClientApp; NbClientApp.launch_instance()"


def printed(notebook: dict[str, Any]) -> str:
    """All that the code cells print."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return "\n".join("".join(output.get("text", [])) for output in outputs)


def pictures(notebook: dict[str, Any]) -> list[str]:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return ["".join(output["data"]["image/svg+xml"]) for output in outputs if "image/svg+xml" in output.get("data", {})]


def ndcg(text: str) -> dict[str, float]:
    """The second column of the table, by model."""
    return {model: float(value) for model, value in re.findall(r"^\| ([\w+]+) +\| (0\.\d+) ", text, re.MULTILINE)}


@pytest.mark.timeout(600)  # half a minute of one thread, and continuous integration runs beside other work
def test_it_runs_and_the_loss_decides(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", EXECUTE, f"--output={tmp_path / 'executed'}", str(NOTEBOOK)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    executed = json.loads((tmp_path / "executed.ipynb").read_text(encoding="utf-8"))
    text, stored = printed(executed), printed(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    found = ndcg(text)
    assert found.keys() == ndcg(stored).keys() == {"Popularity", "SASRec", "SASRec+", "BERT4Rec"}
    assert found["SASRec+"] > 1.2 * found["SASRec"] > 2 * found["Popularity"]
    assert len(pictures(executed)) == 1
    assert text.splitlines()[0] == stored.splitlines()[0] == "4,000 users, 2,495 films"


def test_its_outputs_are_stored_for_who_reads_it_on_the_web() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert "SASRec+" in printed(notebook)
    assert len(pictures(notebook)) == 1
    errors = [
        output for cell in notebook["cells"] for output in cell.get("outputs", []) if output["output_type"] == "error"
    ]
    assert errors == []


def test_the_commands_it_shows_exist() -> None:
    text = "".join(
        line for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] for line in cell["source"]
    )
    commands = re.findall(r"^nextitem train (\S+) (\S+)$", text, re.MULTILINE)
    assert len(commands) == 3
    for preset, override in commands:
        assert preset in preset_names()
        resolve_recipe(load_preset(preset), [override])
