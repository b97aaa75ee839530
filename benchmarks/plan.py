"""Predictions of `train --plan` against one real epoch: seconds of optimisation and validation, and peak memory.

    NEXTITEM_DATA=path/to/data python benchmarks/plan.py FOLDER

Each setting is planned in one process and trained in another, with one thread each. Seconds are those of the
processor, so that other work on the machine does not count. FOLDER gets a generated log of many items.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SETTINGS = (
    ("sasrec-ce", "data=synthetic"),
    ("sasrec-ce", "data={wide}"),
    ("sasrec-bce", "data=ml-1m"),
    ("sasrec-3000", "data=beauty", "negatives.sharing=batch", "training.item_rows=touched"),
    ("bert4rec", "data=ml-1m"),
)


def write_wide(file: Path, users: int = 6000, items: int = 60_000) -> None:
    """Nine events of each user, items anywhere: the shape of Beauty with fewer users."""
    draws = np.random.default_rng(0)
    chosen = np.concatenate([draws.choice(items, 9, replace=False) for _ in range(users)])
    times = np.tile(np.arange(9), users)
    pl.DataFrame({"user": np.repeat(np.arange(users), 9), "item": chosen, "time": times}).write_csv(file)


def planned(recipe: Any) -> dict[str, Any]:
    from nextitem.data.prepare import prepare
    from nextitem.experiment.plan.plan import plan
    from nextitem.training.session import Session

    return plan(recipe, prepare(recipe), Session(0), clock=time.process_time).as_dict()


def trained(recipe: Any) -> dict[str, Any]:
    from nextitem.experiment import run as experiment
    from nextitem.training.session import Session

    marks: dict[str, float] = {}

    class Watch:
        def step(self, epoch: int, step: int, steps: int) -> None:
            pass

        def epoch(self, epoch: Any, history: Any) -> None:
            marks["end"] = time.process_time()

    fit = experiment.fit_model

    def marked(*given: Any, **named: Any) -> Any:
        marks["start"] = time.process_time()
        return fit(*given, **named)

    experiment.fit_model = marked
    experiment.run(recipe, Session(0, watcher=Watch()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {"seconds_per_epoch": marks["end"] - marks["start"], "peak_memory_bytes": peak}


def child(kind: str, setting: list[str]) -> None:
    import torch

    from nextitem import load_recipe

    torch.set_num_threads(1)
    recipe = load_recipe(setting[0], *setting[1:], "training.epochs=1")
    print(json.dumps((planned if kind == "plan" else trained)(recipe)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", type=int, choices=range(len(SETTINGS)), help="number of the one setting to run")
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    wide = folder / "wide.csv"
    if not wide.exists():
        write_wide(wide)
    print("| setting | seconds planned | seconds | error | memory planned | memory | error |")
    print("|---|---|---|---|---|---|---|")
    for setting in SETTINGS if options.only is None else [SETTINGS[options.only]]:
        words = [word.format(wide=wide) for word in setting]
        found = []
        for kind in ("plan", "train"):
            command = [sys.executable, __file__, kind, *words]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )
            found.append(json.loads(done.stdout))
        cells = [" ".join(setting).format(wide="FILE")]
        for key, unit, digits in (("seconds_per_epoch", 1.0, 1), ("peak_memory_bytes", 1e6, 0)):
            predicted, measured = found[0][key] / unit, found[1][key] / unit
            cells += [f"{predicted:.{digits}f}", f"{measured:.{digits}f}", f"{predicted / measured - 1:+.0%}"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2:]) if sys.argv[1] in ("plan", "train") else main()
