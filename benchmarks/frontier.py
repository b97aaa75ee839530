"""What models reached on MovieLens-1M by the seconds of training: a table of docs/benchmarks.md, and frontier.svg.

    python benchmarks/frontier.py --threads 2       some minutes on two idle cores; nothing is trained to its end
    python benchmarks/frontier.py --quick --out F   some steps on a tiny log, to see that it runs

Qualities and epochs are those of docs/results.md, as frontier.toml repeats them. Seconds are measured anew, all in one
go: of some steps of a training, as steps.py has them, times the steps of an epoch and the epochs; of what counts, once.
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logs import origin
from machine import description
from page import section, table, write
from steps import Asked, measure

from nextitem.data.prepare import prepare
from nextitem.experiment.presets import load_preset, load_recipe
from nextitem.report.look import write_svg
from nextitem.report.studies.frontier import Timed, frontier
from nextitem.report.studies.points import Point
from nextitem.studies.study import load_study
from nextitem.training.session import Session

HERE = Path(__file__).resolve().parent
DATA, COUNTED = "ml-1m", "co-occurrence"
LEAST = 0.1  # of the picture's axis
STEPS, WARMUP = 4, 1
Row = dict[str, Any]


def rows() -> list[Row]:
    """The rows of frontier.toml, each with all its keys."""
    said = tomllib.loads((HERE / "frontier.toml").read_text(encoding="utf-8"))["row"]
    return [{"recipe": row["label"], "overrides": [], "epochs": 1, "of": [], **row} for row in said]


def seconds_of(row: Row, log: str, threads: int, *, quick: bool) -> float:
    """Of an epoch of the row's training; of what counts, of all of it."""
    recipe = load_recipe(row["recipe"], f"data={'synthetic' if quick else log}", *row["overrides"])
    if recipe.learner.unplanned is not None:
        return recipe.learner.learn(prepare(recipe), Session(0)).seconds
    steps = {"steps": 1, "warmup": 1} if quick else {"steps": STEPS, "warmup": WARMUP}
    asked = {"log": log, "recipe": row["recipe"], "overrides": row["overrides"], "threads": threads, **steps}
    if quick:  # in this process: loading torch for each would take most of the time
        return float(measure(Asked(**asked, quick=True))["epoch_seconds"])
    done = subprocess.run(
        [sys.executable, str(HERE / "steps.py"), json.dumps({**asked, "quick": True})],
        stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )  # fmt: skip
    return float(json.loads(done.stdout)["epoch_seconds"])


def whole_seconds(rows: list[Row], of_epoch: Mapping[str, float]) -> dict[str, float]:
    """Of the whole training of each row: of what others are made of, theirs together.

    >>> rows = [{"label": "a", "of": [], "epochs": 3}, {"label": "b", "of": [], "epochs": 1}]
    >>> whole_seconds([*rows, {"label": "both", "of": ["a", "b"], "epochs": 1}], {"a": 2.0, "b": 1.0})
    {'a': 6.0, 'b': 1.0, 'both': 7.0}
    """
    found: dict[str, float] = {}
    for row in rows:
        label = row["label"]
        found[label] = sum(found[one] for one in row["of"]) if row["of"] else row["epochs"] * of_epoch[label]
    return found


def draw(rows: list[Row], seconds: Mapping[str, float], file: Path) -> None:
    """The picture of what is trained and no worse than counting, with what papers published for this file."""
    counted = next(row["value"][0] for row in rows if row["label"] == COUNTED)
    drawn = [row for row in rows if row["value"][0] > counted]
    timed = {row["label"]: Timed(seconds[row["label"]], Point(*row["value"])) for row in drawn}
    published, levels = {}, {}
    for recipe in ("sasrec-bce", "sasrec-ce", "sasrec-3000", "bert4rec"):
        values = load_preset(recipe).published[DATA]
        published[f"paper's {recipe}"] = (float(values["train_seconds"]), float(values["ndcg@10"]))
    levels |= {one.label: one.value for one in load_study("frontier").beside if one.data == DATA}
    levels[COUNTED] = counted
    write_svg(frontier(timed, published, levels, "MovieLens-1M", LEAST), file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--out", type=Path, default=HERE.parent / "docs", help="folder of benchmarks.md and frontier.svg"
    )
    asked = parser.parse_args()
    if asked.quick and asked.out.resolve() == HERE.parent / "docs":
        parser.error("--quick measures nothing worth keeping; name another folder with --out")
    log, machine, every = "tiny" if asked.quick else DATA, description(asked.threads), rows()
    short = ("co-occurrence", "gold", "gold and counting") if asked.quick else tuple(row["label"] for row in every)
    every = [row for row in every if row["label"] in short]
    of_epoch: dict[str, float] = {}
    for row in every:
        if not row["of"]:
            of_epoch[row["label"]] = seconds_of(row, log, asked.threads, quick=asked.quick)
            print(f"{row['label']}: {of_epoch[row['label']]:.3g} s", file=sys.stderr, flush=True)
    seconds = whole_seconds(every, of_epoch)
    draw(every, seconds, asked.out / "frontier.svg")
    cells = [
        [
            row["label"], f"{row['value'][0]:.4f}", "–" if row["of"] else f"{of_epoch[row['label']]:,.2f}",
            f"{row['epochs']}" if row["epochs"] > 1 else "–", f"{seconds[row['label']]:,.1f}",
        ]
        for row in sorted(every, key=lambda row: seconds[row["label"]])
    ]  # fmt: skip
    told = table(["what", "test NDCG@10", "an epoch, s", "epochs", "training, s"], cells)
    said = (
        f"ML-1M: {origin(DATA)}. Qualities and epochs as docs/results.md has them; the seconds are of {STEPS} steps, "
        "scaled to an epoch, times the epochs that were trained, those of patience too; of what only counts, "
        f"of all of it. The picture leaves out what is below {COUNTED}, which takes no time to speak of."
    )
    picture = "![NDCG@10 on MovieLens-1M by the seconds of a training, model by model](frontier.svg)"
    command = f"python benchmarks/frontier.py --threads {asked.threads}{' --quick' if asked.quick else ''}"
    content = section("Frontier", command, machine, said, f"{told}\n\n{picture}")
    write(asked.out / "benchmarks.md", "Frontier", content)


if __name__ == "__main__":
    main()
