"""Lists for very many users, killed at random moments and gone on with: users a second, and each user exactly once.

    python benchmarks/everybody.py runs/RUN --users 1000000 --kills 10
    python benchmarks/everybody.py runs/RUN --users 20000 --kills 3 --threads 1

The users are made up: each has the history of a user of the run, drawn with replacement, in a copy of the run that is
made in the folder of `--work`. `nextitem recommend --users all --out FOLDER` is started in a process of its own, killed
(SIGKILL) a random moment after a random number of parts, and started again. In the end every user must have one list,
in one part, and lists of some must be those that the model gives in memory. Seconds are those of all starts together.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from machine import description

from nextitem import Recommender, read_run
from nextitem.experiment.folder.reading import RUN
from nextitem.storage import MANIFEST, write_parquet

SAMPLE = 500


@dataclass(frozen=True)
class Took:
    """What all starts together took."""

    seconds: float
    starts: int
    killed_after: tuple[int, ...]
    """Parts that were finished when it was killed, of each kill."""


def with_users(source: Path, users: int, folder: Path) -> Path:
    """A copy of a run with so many users."""
    run = read_run(source)
    if run.users is None:
        raise SystemExit(f"{source} was stored without its users")
    folder.mkdir(parents=True)
    run.write(folder)
    (folder / MANIFEST).unlink()
    drawn = run.users.sample(users, with_replacement=True, seed=0)
    names = pl.select(pl.format("u{}", pl.int_range(users).cast(pl.String).str.zfill(9)).alias("user")).to_series()
    write_parquet(folder / "users.parquet", drawn.with_columns(names))
    RUN.seal(folder)
    return folder


def make(run: Path, out: Path, k: int, kills: list[int], threads: int) -> Took:
    """Have the lists made, with a kill after each of these numbers of parts, which ascend."""
    command = [sys.executable, "-m", "nextitem", "recommend", str(run), "--users", "all", "--k", str(k)]
    command += ["--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    began, starts, hit, waiting = time.monotonic(), 0, list[int](), [*kills]
    while True:
        starts += 1
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if waiting and _reached(process, out, waiting[0]):
            time.sleep(random.random())
            process.kill()
            process.communicate()
            waiting.pop(0)
            hit.append(_finished(out))
            print(f"killed with {hit[-1]:,} parts finished", flush=True)
            continue
        _, said = process.communicate()
        if process.returncode:
            raise SystemExit(f"exit code {process.returncode}: {said[-2000:]}")
        return Took(time.monotonic() - began, starts, tuple(hit))


def _reached(process: "subprocess.Popen[str]", out: Path, parts: int) -> bool:
    """Whether so many parts were finished before the process ended."""
    while process.poll() is None:
        if _finished(out) >= parts:
            return True
        time.sleep(0.02)
    return False


def _finished(out: Path) -> int:
    return len([*(out.parent / ".partial" / out.name).glob("part-*.json")])


def check(run: Path, out: Path, users: int, k: int) -> None:
    """Exit where a user has no list, or more than one, or another one than the model gives."""
    lists = pl.scan_parquet(out / "*.parquet", include_file_paths="part")
    each = (
        lists.group_by("user")
        .agg(pl.len().alias("rows"), pl.col("part").n_unique(), pl.col("item").n_unique())
        .collect()
    )
    wrong = each.filter((pl.col("rows") != k) | (pl.col("part") != 1) | (pl.col("item") != k))
    if each.height != users or wrong.height:
        raise SystemExit(
            f"{each.height:,} of {users:,} users have lists, and {wrong.height:,} not exactly one: {wrong}"
        )
    some = each["user"].sample(min(SAMPLE, users), seed=1).sort()
    found = lists.filter(pl.col("user").is_in(some.implode())).select("user", "item").collect()
    stored = {user: rows["item"].to_list() for (user,), rows in found.group_by("user", maintain_order=True)}
    expected = Recommender.load(run).recommend(users=some, k=k)
    for user, ones in zip(some, expected, strict=True):
        if stored[user] != [one.item for one in ones]:
            raise SystemExit(f"the list of {user} is {stored[user]}, and the model gives {[one.item for one in ones]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run with users, such as one of Beauty")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0, help="of when it is killed")
    parser.add_argument("--work", type=Path, help="an existing folder to work in; default: a temporary one")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(dir=arguments.work) as place:
        run = with_users(arguments.run, arguments.users, Path(place) / "run")
        parts = -(-arguments.users // 10_000)
        kills = sorted(random.choices(range(parts), k=arguments.kills))
        took = make(run, Path(place) / "lists", arguments.k, kills, arguments.threads)
        check(run, Path(place) / "lists", arguments.users, arguments.k)
    items = len(read_run(arguments.run).items)
    print(
        f"{description(arguments.threads)}\n{arguments.users:,} users × {items:,} items, lists of {arguments.k}: "
        f"{took.seconds:,.0f} s in {took.starts} starts, {arguments.users / took.seconds:,.0f} users a second; killed "
        f"with {', '.join(map(str, took.killed_after))} of {parts:,} parts finished; each user has exactly one list"
    )


if __name__ == "__main__":
    main()
