"""Calibration, training, wide models, catalogue size, memory and ranking, as docs/benchmarks.md and benchmarks.svg.

    python benchmarks/run.py --threads 2            all of it, less than a quarter of an hour on two idle cores
    python benchmarks/run.py --quick --out FOLDER   the same on tiny logs, to see that it runs
    python benchmarks/run.py --only 'Wide models'   one table, in minutes

With NEXTITEM_DATA the published files are used, otherwise random histories of their shape; the page says which.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logs import origin
from machine import calibration, description
from page import figure, section, spread, table, write
from steps import Asked, measure

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"


@dataclass(frozen=True)
class Setting:
    """A row of a table: what steps.py is asked for."""

    log: str
    recipe: str
    overrides: tuple[str, ...] = ()
    is_padded: bool = False

    @property
    def label(self) -> str:
        """The recipe and what was changed, for table and picture."""
        changes = ", ".join(change.partition(".")[2].replace("item_rows=", "rows=") for change in self.overrides)
        name = f"{self.recipe}, padded textbook" if self.is_padded else self.recipe
        return f"{name}, {changes}" if changes else name


TOUCHED = "training.item_rows=touched"
SETTINGS = [
    Setting("beauty", "sasrec-ce", is_padded=True),
    Setting("beauty", "sasrec-ce"),
    Setting("beauty", "sasrec-ce", ("loss.precision=bfloat16",)),
    Setting("beauty", "sasrec-3000", ("negatives.sharing=sequence",)),
    Setting("beauty", "sasrec-3000", ("negatives.sharing=sequence", TOUCHED)),
    Setting("beauty", "sasrec-3000", ("negatives.sharing=batch",)),
    Setting("beauty", "sasrec-3000", ("negatives.sharing=batch", TOUCHED)),
    Setting("beauty", "sasrec-bce"),
    Setting("beauty", "sasrec-bce", (TOUCHED,)),
    Setting("beauty", "bert4rec", is_padded=True),
    Setting("beauty", "bert4rec"),
    Setting("ml-1m", "sasrec-ce", is_padded=True),
    Setting("ml-1m", "sasrec-ce"),
    Setting("ml-1m", "sasrec-bce"),
    Setting("ml-1m", "bert4rec"),
]
CATALOGUES = [
    Setting(log, "sasrec-3000", ("negatives.sharing=batch", f"training.item_rows={rows}"))
    for log in ("50k", "5m")
    for rows in ("touched", "all")
]
SMALL_STEPS = "training.batch_size=32"
WIDE = [
    Setting("ml-1m", recipe, (SMALL_STEPS, f"encoder.dim={dim}", f"encoder.blocks={blocks}", f"encoder.heads={heads}"))
    for recipe in ("sasrec-ce", "ligr")
    for dim, blocks, heads in ((64, 2, 1), (256, 2, 4), (256, 8, 4))
]
QUICK = [SETTINGS[0], SETTINGS[1], SETTINGS[4]]


def measured(asked: argparse.Namespace, setting: Setting, **others: Any) -> dict[str, Any]:
    """What steps.py says of a setting; with --quick on a tiny log."""
    log, small = setting.log, ["negatives.count=100"] if asked.quick and setting.recipe == "sasrec-3000" else []
    if asked.quick:
        log = {"50k": "tiny-50k", "5m": "tiny-5m"}.get(log, "tiny")
    request = {
        "log": log, "recipe": setting.recipe, "overrides": [*setting.overrides, *small],
        "is_padded": setting.is_padded, "threads": asked.threads, "quick": asked.quick, "steps": asked.steps, **others,
    }  # fmt: skip
    if setting.is_padded:
        request |= {"steps": min(asked.steps, 3), "warmup": 1}
    if asked.quick:  # in this process: loading torch for each would take most of the time
        return measure(Asked(**request))
    return json.loads(child("steps.py", json.dumps(request), asked=asked))


def child(script: str, *arguments: str, asked: argparse.Namespace) -> str:
    """What a script of this folder prints."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": str(asked.threads)},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"error: {script} {' '.join(arguments)} ended with code {done.returncode}")
    return done.stdout


def rounds(
    asked: argparse.Namespace, settings: list[Setting], **others: Any
) -> Iterator[tuple[Setting, list[dict[str, Any]]]]:
    """Each setting with what was measured of it, once a round; in a round all take turns."""
    found: dict[Setting, list[dict[str, Any]]] = {setting: [] for setting in settings}
    for number in range(asked.rounds):
        for setting in settings:
            found[setting].append(measured(asked, setting, seed=number, **others))
            print(f"round {number + 1}: {setting.log} {setting.label}", file=sys.stderr, flush=True)
    yield from found.items()


def values(runs: list[dict[str, Any]], key: str) -> list[float]:
    return [run[key] for run in runs]


def calibrated(asked: argparse.Namespace) -> tuple[str, str]:
    """The rates of everything that a step is made of."""
    rates = table(["what", "rate"], [list(row) for row in calibration(quick=asked.quick)])
    return "The fastest of several runs.", rates


def training(asked: argparse.Namespace) -> tuple[str, str]:
    """The table of training steps; draws the picture."""
    found = dict(rounds(asked, QUICK if asked.quick else SETTINGS))
    rows, bars = [], []
    for setting, runs in found.items():
        ratios = [run["epoch_seconds"] / run["floor_seconds"] for run in runs]
        reference = found.get(Setting(setting.log, setting.recipe, is_padded=True))
        faster = "–"
        if reference and not setting.is_padded:
            pairs = zip(reference, runs, strict=True)
            faster = spread([slow["epoch_seconds"] / run["epoch_seconds"] for slow, run in pairs])
        seconds, floors = spread(values(runs, "epoch_seconds")), spread(values(runs, "floor_seconds"))
        steps, peak = f"{runs[0]['positions_per_step']:,.0f}", spread(values(runs, "peak_mb"), ",.0f")
        rows.append([setting.log, setting.label, steps, seconds, floors, spread(ratios, ".2f"), faster, peak])
        if setting.log == "beauty":
            names = {"label": setting.label, "recipe": setting.recipe, "is_padded": setting.is_padded}
            bars.append({**names, "ratios": ratios})
    figure(bars, asked.out / "benchmarks.svg", f"Training on Beauty, {asked.threads} thread{'s' * (asked.threads > 1)}")
    header = [
        "data",
        "setting",
        "targets a step",
        "epoch, s",
        "floor, s",
        "× floor",
        "× faster than padded",
        "peak, MB",
    ]
    said = f"Beauty: {origin('beauty')}. ML-1M: {origin('ml-1m')}. Batches of 128 windows."
    return said, f"{table(header, rows)}\n\n![Epoch time over the floor, one bar per setting](benchmarks.svg)"


def wide(asked: argparse.Namespace) -> tuple[str, str]:
    """How near steps of wide and deep encoders come to the rate of the machine's products."""
    settings, few = (WIDE[:1] if asked.quick else WIDE), {"steps": min(asked.steps, 5), "warmup": 1}
    rows = []
    for setting, runs in rounds(asked, settings, **few):
        steps = [1000 * sum(run["step_seconds"]) / len(run["step_seconds"]) for run in runs]
        needed, rates = f"{runs[0]['needed_gflop_per_step']:,.0f}", spread(values(runs, "gflops"), ",.0f")
        share = spread([100 * run["share"] for run in runs], ",.0f")
        rows.append([setting.label.replace(", batch_size=32", ""), spread(steps, ",.0f"), needed, rates, share])
    header = ["setting", "step, ms", "products of a step, GFLOP", "machine, GFLOP/s", "share, %"]
    said = (
        f"ML-1M: {origin('ml-1m')}. Batches of 32 windows. A share is that of the machine's rate of fp32 products at "
        "which whole steps do theirs: of the encoder's matrices, of attention, of which a causal one needs half, and "
        "of the scores that the loss looks at. All else that a step does lowers it."
    )
    return said, table(header, rows)


def catalogue(asked: argparse.Namespace) -> tuple[str, str]:
    """Step time with 50 thousand and with 5 million items, and what the targets for it are."""
    few = {"steps": min(asked.steps, 8), "warmup": 2}
    found = dict(rounds(asked, CATALOGUES, **few))
    steps = {key: [sum(run["step_seconds"]) / len(run["step_seconds"]) for run in runs] for key, runs in found.items()}
    rows = []
    for setting, seconds in steps.items():
        peak = spread(values(found[setting], "peak_mb"), ",.0f")
        rows.append([setting.log, setting.overrides[1], spread([1000 * second for second in seconds]), peak])
    touched, whole, many, _ = steps.values()
    growth = spread([large / small for large, small in zip(many, touched, strict=True)], ".2f")
    against = spread([small / dense for small, dense in zip(touched, whole, strict=True)], ".2f")
    said = f"Touched, 5 million against 50 thousand items: × {growth} (target: at most 2)."
    said += f" At 50 thousand, touched against all: × {against} (target: at most 1.2)."
    origins = f"50k: {origin('50k')}. 5m: {origin('5m')}. 3,000 negatives a batch."
    return origins, f"{table(['items', 'rows', 'step, ms', 'peak, MB'], rows)}\n\n{said}"


def memory(asked: argparse.Namespace) -> tuple[str, str]:
    """Resident memory after each of several passes over the same steps."""
    rows = []
    for recipe in ("sasrec-ce", "sasrec-bce"):
        run = measured(asked, Setting("beauty", recipe), epochs=6, warmup=0, steps=asked.steps * 2, validates=True)
        after = run["memory_mb"]
        cells = [", ".join(f"{mb:,.0f}" for mb in after), f"{after[-1] - after[1]:+,.0f}", f"{run['peak_mb']:,.0f}"]
        rows.append([recipe, f"{asked.steps * 2}", *cells])
    header = ["recipe", "steps a pass", "MB after each pass", "growth since the second", "peak, MB"]
    return f"Beauty: {origin('beauty')}. Each pass ends with a validation.", table(header, rows)


def ranking(asked: argparse.Namespace) -> tuple[str, str]:
    """The table of ranking.py."""
    share = ["beauty", "--share", "0.005"] if asked.quick else ["--share", "0.25"]
    told = child("ranking.py", *share, "--threads", str(asked.threads), asked=asked)
    said = "By `benchmarks/ranking.py` on a quarter of the cases, random states and items."
    return said, told.partition("\n\n")[2].strip()


PARTS = {
    "Calibration": calibrated,
    "Training": training,
    "Wide models": wide,
    "Catalogue size": catalogue,
    "Memory": memory,
    "Ranking": ranking,
}
"""Tables of the page by title: each with what is to be known about it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--steps", type=int, default=20, help="timed steps of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=PARTS, help="one table; the others stay as they are")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of benchmarks.md and benchmarks.svg")
    asked = parser.parse_args()
    if asked.quick and asked.out.resolve() == DOCS:
        parser.error("--quick measures nothing worth keeping; name another folder with --out")
    if asked.quick:
        asked.steps, asked.rounds = 2, 1
    asked.out.mkdir(parents=True, exist_ok=True)
    machine = description(asked.threads) + (
        " (a smoke run on tiny logs: its numbers mean nothing)" if asked.quick else ""
    )
    arguments = f"--threads {asked.threads} --steps {asked.steps} --rounds {asked.rounds}"
    chosen = f" --only '{asked.only}'" if asked.only else ""
    command = f"python benchmarks/run.py {arguments}{chosen}{' --quick' if asked.quick else ''}"
    for title in [asked.only] if asked.only else PARTS:
        said, content = PARTS[title](asked)
        write(asked.out / "benchmarks.md", title, section(title, command, machine, said, content))


if __name__ == "__main__":
    main()
