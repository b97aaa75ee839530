"""The benchmark for GPUs runs where there is none, so that it works on the day when there is one."""

import json
import runpy
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.run import run
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import with_parts
from worlds.small_runs import RECIPES, chains, metrics

BENCHMARK = Path(__file__).resolve().parent.parent / "benchmarks" / "gpu.py"


def finished_run(root: Path) -> Path:
    events = [(user, item) for user, history in enumerate(chains()) for item in history]
    pl.DataFrame(events, schema=["user", "item"], orient="row").write_csv(root / "events.csv")
    small = RECIPES["sasrec-ce"]
    recipe = with_parts(small, training=Training(epochs=2, batch_size=8)).model_copy(
        update={"data": str(root / "events.csv")}
    )
    return write_run(Workplace.of(root, recipe, 0), recipe, run(recipe, Session(0)), metrics("sasrec-ce"))


def test_every_part_measures_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = finished_run(tmp_path), tmp_path / "figures.json"
    main = runpy.run_path(str(BENCHMARK))["main"]
    main(["--device", "cpu", "--quick", "--runs", str(folder), "--json", str(file)])
    found: dict[str, Any] = json.loads(file.read_text())
    assert [row["recipe"] for row in found["Steps"]] == ["sasrec-ce", "sasrec-3000", "bert4rec"]
    assert all(row["ms a step"] > 0 and row["share of rate"] > 0 for row in found["Steps"])
    assert all(row["TFLOP/s"] > 0 for row in found["Rates"])
    forms = {row["form"] for row in found["Full softmax"]}
    assert forms >= {"ours", "ours, bfloat16", "autograd"}
    assert ("linear_cross_entropy" in forms) == hasattr(torch.nn.functional, "linear_cross_entropy")
    assert len(found["A million items"]) == 2
    (quality,) = found["Seconds to 98% of the best validation value"]
    best = json.loads((folder / "history.jsonl").read_text().splitlines()[0])["validation"]["ndcg@10"]
    assert quality["wanted"] >= 0.98 * best - 1e-5
    assert quality["reached"] >= quality["wanted"] > 0  # the same recipe and seed, here on the same device
    assert quality["seconds"] > 0
    assert "| sasrec-3000 | float32 |" in capsys.readouterr().out


def test_without_a_gpu_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        runpy.run_path(str(BENCHMARK))["main"]([])
    assert "sees no CUDA device; --device cpu --quick" in capsys.readouterr().err
