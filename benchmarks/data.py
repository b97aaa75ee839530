"""Preparing a log of many events, and starting a training from it: events per second, memory, seconds.

    python benchmarks/data.py FOLDER --events 100000000 --users 5000000 --items 500000

Writes events of shuffled string ids (12 to 16 bytes, in no order), random times and kinds as FOLDER/events.parquet,
prepares them in a process of its own, and starts a training on the result in another. `--kinds` has the kinds mean
something: weights, dislikes and retractions; else that column is not read. Prints one JSON object. `--keep` leaves
these files in FOLDER; FOLDER/events.parquet is used again where it is there.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROWS = 1_000_000
KINDS = {"view": (0.80, "0.2"), "purchase": (0.15, "1"), "dislike": (0.03, "disliked"), "undo": (0.02, "retracts")}
"""Each with its share of the events, and what it means."""
START = """
import json, sys, time
marks = {}
def mark(name):
    lines = (line.split() for line in open("/proc/self/status"))
    memory = {line[0]: int(line[1]) // 1024 for line in lines if line[0] in ("RssAnon:", "RssFile:", "VmHWM:")}
    marks[name] = {"seconds": time.perf_counter(), "cpu_seconds": time.process_time(), "memory_mb": memory}
mark("started")
import nextitem.experiment.sequence
from nextitem import Session, load_recipe, prepare, run
class Stop(Exception):
    pass
class Watch:
    def step(self, epoch, step, steps):
        if step == 1:
            mark("first step")
        if step == int(sys.argv[2]):
            self.stop()
    def epoch(self, epoch, history):
        self.stop()  # the log has fewer steps than were asked for
    def stop(self):
        mark("last step")
        raise Stop
fit = nextitem.experiment.sequence.fit_model
def marked(*given, **named):
    mark("fit")
    return fit(*given, **named)
nextitem.experiment.sequence.fit_model = marked
recipe = load_recipe("sasrec-3000", "data=" + sys.argv[1], "negatives.count=500")
mark("imported")
prepared = prepare(recipe)
mark("mapped")
try:
    run(recipe, Session(0, watcher=Watch()), prepared=prepared)
except Stop:
    pass
names = list(marks)
print(json.dumps({name: {key: value if key == "memory_mb" else round(value - marks[before][key], 2)
    for key, value in marks[name].items()} for before, name in zip(names, names[1:])}))
"""
"""Each mark tells what passed since the one before: imported, mapped, fit (model built), first step, last step."""


def ids(prefix: str, count: int, seed: int) -> pl.Series:
    """Distinct strings whose sorted order says nothing about their order here."""
    numbers = pl.Series("id", np.random.default_rng(seed).permutation(count).astype(np.uint64))
    scattered = (numbers * 0x9E37_79B1 % (1 << 32)).cast(pl.String).str.zfill(10)
    return prefix + scattered + "-" + numbers.cast(pl.String)


def write_events(file: Path, events: int, users: int, items: int) -> None:
    """The log, a million rows at a time; low item numbers are more popular."""
    draws = np.random.default_rng(0)
    user_ids, item_ids = ids("u", users, 1), ids("i", items, 2)
    kinds, bounds = pl.Series(list(KINDS)), np.cumsum([share for share, _ in KINDS.values()])[:-1]

    def chunks(*_: object) -> Iterator[pl.DataFrame]:
        for start in range(0, events, ROWS):
            rows = min(ROWS, events - start)
            yield pl.DataFrame(
                {
                    "user": user_ids.gather(draws.integers(0, users, rows)),
                    "item": item_ids.gather((items * draws.random(rows) ** 2).astype(np.int64)),
                    "time": draws.integers(1_600_000_000, 1_630_000_000, rows),
                    "event": kinds.gather(np.searchsorted(bounds, draws.random(rows))),
                }
            )

    schema = {"user": pl.String, "item": pl.String, "time": pl.Int64, "event": pl.String}
    pl.io.plugins.register_io_source(chunks, schema=schema).sink_parquet(file)


def child(*arguments: str) -> tuple[str, float, Any]:
    """(output, seconds, resources) of a process with the package's sources."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise RuntimeError("no output")
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[:3]} failed")
    return output, time.perf_counter() - began, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--kinds", action="store_true")
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    log, prepared = asked.folder / "events.parquet", asked.folder / "prepared"
    if not log.exists():
        write_events(log, asked.events, asked.users, asked.items)
    shutil.rmtree(prepared, ignore_errors=True)
    kinds = [f"kinds.{kind}={meaning}" for kind, (_, meaning) in KINDS.items()] if asked.kinds else []
    settings = ["columns.kind=event", *kinds] if kinds else []
    _, seconds, used = child("-m", "nextitem", "prepare", str(log), *settings, "--out", str(prepared))
    cpu = used.ru_utime + used.ru_stime
    found: dict[str, Any] = {
        "events": asked.events,
        "users": asked.users,
        "items": asked.items,
        "kinds": asked.kinds,
        "parquet_mb": log.stat().st_size // 10**6,
        "prepare_seconds": seconds,
        "prepare_cpu_seconds": cpu,
        "events_per_second": asked.events / seconds,
        "events_per_cpu_second": asked.events / cpu,
        "prepare_peak_mb": used.ru_maxrss // 1024,
        "load": os.getloadavg(),
    }
    output, _, used = child("-c", START, str(prepared), str(asked.steps))
    found["start"] = json.loads(output) | {"peak_mb": used.ru_maxrss // 1024}
    found["this_process_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(found, indent=2))
    if not asked.keep:
        log.unlink()
        shutil.rmtree(prepared)


if __name__ == "__main__":
    main()
