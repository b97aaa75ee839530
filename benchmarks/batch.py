"""Lists for all users of stored runs: users a second, and how many the bare product of states and items would allow.

    python benchmarks/batch.py RUN [RUN …] --threads 2 -k 100 --repeats 3

The speed does not depend on how good a model is, so a run of a few steps (`training.steps=20`) will do. `floor` is what
one product of every state with every item would take at the rate of products that fit a cache, all threads together;
CPU time is that of all threads, and says more than the clock where others work on the same machine.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import polars as pl
import torch
from machine import description, product_rate

from nextitem import Recommender, read_run
from nextitem.serving.parts.batch import Terms, batch_of_users
from nextitem.serving.parts.served import write


def measure(folder: Path, k: int, repeats: int) -> None:
    run = read_run(folder)
    recommender = Recommender.from_run(run)
    users, items = len(recommender.known_users()), len(recommender.items)
    width = recommender.known.scorer.items.state_width  # type: ignore[attr-defined]
    seconds, cpu = [], []
    with tempfile.TemporaryDirectory() as place:
        for _ in range(repeats):
            began, used = time.perf_counter(), time.process_time()
            batch = batch_of_users(recommender, None, Terms(k=k))
            write(recommender, batch, Terms(k=k), Path(place) / "recs.parquet", made_by=run.fingerprint)
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
        rows = pl.scan_parquet(Path(place) / "recs.parquet").select(pl.len()).collect().item()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # products of this size do not share well; each thread has its own
    rate = threads * product_rate(128, width, 4096, repeats=200)
    torch.set_num_threads(threads)
    taken, floor = statistics.median(seconds), 2.0 * users * items * width / rate
    print(
        f"| {folder.name} | {users:,} × {items:,} | {rows:,} | {users / taken:,.0f} | {taken:.1f} | {floor:.2f} "
        f"| {floor / taken:.0%} | {1e6 * statistics.median(cpu) / users:,.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3, help="the median is shown")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{description(arguments.threads)}, k {arguments.k}\n")
    print("| run | users × items | rows | users/s | seconds | floor, s | share | CPU µs a user |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for folder in arguments.runs:
        measure(folder, arguments.k, arguments.repeats)


if __name__ == "__main__":
    main()
