"""Seconds and memory of work that a Ray cluster of this machine does, beside the same work by one process.

    python benchmarks/spread.py prepare                      100,000,000 generated events in 20 files: minutes
    python benchmarks/spread.py prepare --events 20000000
    python benchmarks/spread.py stages --events 2000000      processor seconds of each kind of work, in this process
    python benchmarks/spread.py train                        a training by one and by two workers

`prepare` writes the same log twice, by `prepare --parts` and by `prepare --parts --engine ray`, and compares what both
say of it. Memory is what all processes of a command hold together (proportional set size, looked at every two seconds),
and what the largest of them holds.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nextitem.data.mapped.partitioned import prepare_partitioned
from nextitem.data.mapped.spreading import prepare_spread

FILES, ITEMS, PER_USER = 20, 1_000_000, 20


def held(process: int) -> dict[int, float]:
    """MB of each process below this one, itself included; Ray's own are in groups of their own and are its children."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, grown = {process}, True
    while grown:
        below = {one for one, parent in parents.items() if parent in found} - found
        found, grown = found | below, bool(below)
    sizes = {}
    for one in found:
        try:
            lines = (Path("/proc") / str(one) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes[one] = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return sizes


def measured(*words: str) -> dict[str, float | str]:
    """What a command of nextitem prints, its seconds, and the most MB that its processes held."""
    began, together, largest = time.monotonic(), 0.0, 0.0
    with subprocess.Popen([sys.executable, "-m", "nextitem", *words], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            sizes = held(process.pid).values()
            together, largest = max(together, sum(sizes)), max(largest, *sizes, 0.0)
            time.sleep(2)
        said = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(process.returncode)
    return {"said": said, "seconds": time.monotonic() - began, "together": together, "largest": largest}


def generate(folder: Path, events: int) -> None:
    """Files of events in no order: users have 20 each on average, and few items have most of them."""
    draws, each = np.random.default_rng(0), events // FILES
    for number in range(FILES):
        columns = {
            "user": draws.integers(events // PER_USER, size=each),
            "item": (ITEMS * draws.random(each) ** 2).astype(np.int64),
            "time": 1_500_000_000 + draws.integers(100_000_000, size=each),
        }
        pl.DataFrame(columns).write_parquet(folder / f"{number:02}.parquet")


def told(name: str, found: dict[str, float | str]) -> None:
    print(
        f"{name}: {found['seconds']:,.0f} s, {found['together']:,.0f} MB together, {found['largest']:,.0f} MB the "
        f"largest process",
        flush=True,
    )


def prepare(events: int, parts: int, workers: int, folder: Path, only: str | None) -> None:
    files = folder / "files"
    files.mkdir()
    generate(files, events)
    size = sum(file.stat().st_size for file in files.iterdir())
    print(f"{events:,} events of {events // PER_USER:,} users in {FILES} files, {size / 1e6:,.0f} MB", flush=True)
    words = ("--parts", str(parts), "--json")
    ways = {"one": ("one process",), "ray": (f"ray, {workers} workers", "--engine", "ray", "--workers", str(workers))}
    logs = []
    for name, *more in [ways[only]] if only else ways.values():
        out = folder / f"log{len(logs)}"
        found = measured("prepare", str(files), "--out", str(out), *words, *more)
        told(name, found)
        manifest = json.loads(str(found["said"]))
        logs.append([manifest[key] for key in ("log_sha256", "validation_sha256", "test_sha256", "events", "users")])
        print(f"  the log {manifest['log_sha256'][:16]}, its test cases {manifest['test_sha256'][:16]}", flush=True)
        shutil.rmtree(out)
    if not only:
        print("both are the same log" if logs[0] == logs[1] else f"THEY DIFFER: {logs}")


class Timed:
    """Does pieces one after another in this process, and counts the processor seconds of each kind of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def over(self, work: Any, pieces: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for piece in pieces:
            began = time.process_time()
            found = work(piece)
            name = type(work).__name__.lower()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began
            yield piece, found


def stages(events: int, parts: int, folder: Path) -> None:
    files = folder / "files"
    files.mkdir()
    generate(files, events)
    timed, began = Timed(), time.process_time()
    prepare_spread(folder / "log", str(files), parts, timed)
    whole = time.process_time() - began
    rest = whole - sum(timed.seconds.values())
    for name, seconds in {**timed.seconds, "what is left to the command": rest, "all": whole}.items():
        print(f"{name}: {1e6 * seconds / events:.2f} core-µs an event")
    began = time.process_time()
    prepare_partitioned(folder / "one", str(files), parts)
    print(f"one process, not in pieces: {1e6 * (time.process_time() - began) / events:.2f} core-µs an event")


def train(folder: Path) -> None:
    """One epoch and the next, of the same recipe by one and by two workers."""
    words = ("sasrec-ce", "training.epochs=3", "training.patience=none", "--no-report", "--no-baselines", "--json")
    for workers in (1, 2):
        out = folder / f"runs{workers}"
        found = measured("train", *words, "--out", str(out), "--engine", "ray", "--workers", str(workers))
        told(f"{workers} workers, the whole command", found)
        (run,) = (one for one in out.iterdir() if one.name != ".partial")
        epochs = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        seconds = ", ".join(f"{epoch['train_seconds']:.2f}" for epoch in epochs)
        print(f"  seconds of its epochs: {seconds}; last loss {epochs[-1]['train_loss']:.6f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prepare", "stages", "train"))
    parser.add_argument("--events", type=int, default=100_000_000)
    parser.add_argument("--parts", type=int, default=16)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", choices=("one", "ray"), help="of `prepare`: one of the two ways")
    parser.add_argument("--folder", type=Path, help="where files are made and removed again; default: the system's")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        if asked.what == "prepare":
            prepare(asked.events, asked.parts, asked.workers, Path(folder), asked.only)
        elif asked.what == "stages":
            stages(asked.events, asked.parts, Path(folder))
        else:
            train(Path(folder))


if __name__ == "__main__":
    main()
