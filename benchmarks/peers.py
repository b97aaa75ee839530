"""RecTools, RePlay and RecBole beside this package: the same histories, width, length and batch, taking turns.

    python benchmarks/peers.py --threads 2     after installing each peer in an environment of its own in .bench/

Each peer's adapter (peer_adapters/) trains its SASRec with the softmax over all items for some steps, and makes lists
of the ten best for some users. Its row counts real target positions, so that padding earns nothing. A peer that cannot
be installed or fails has a row that says so. The table goes into docs/benchmarks.md.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from logs import SHAPES, histories, origin
from machine import description
from page import section, spread, table, write

from nextitem.data.sequences import Sequences

HERE = Path(__file__).resolve().parent
LENGTH, WIDTH, BATCH = 50, 64, 128
TORCH = "torch==2.13.0"  # unpinned, the newest would come with gigabytes of libraries for GPUs


@dataclass(frozen=True)
class Peer:
    """What is installed, and which adapter runs in its environment."""

    name: str
    requirements: tuple[str, ...]


PEERS = [
    Peer("rectools", ("rectools[torch]==0.19.0", TORCH)),
    Peer("replay", ("replay-rec[torch]==0.22.0", TORCH)),
    Peer("recbole", ("recbole==1.2.1", TORCH)),
]


def installed(peer: Peer, folder: Path) -> Path:
    """The interpreter of the peer's environment. Raises RuntimeError with the installer's last line."""
    python = folder / peer.name / "bin" / "python"
    stamp = folder / peer.name / ".installed"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == "\n".join(peer.requirements):
        return python
    for command in (
        [sys.executable, "-m", "venv", str(folder / peer.name)],
        [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *peer.requirements],
    ):
        output(command)
    stamp.write_text("\n".join(peer.requirements), encoding="utf-8")
    return python


def output(command: list[str], threads: int = 1, folder: Path | None = None) -> str:
    """What a command prints; what it leaves behind is left in `folder`. Raises RuntimeError with its last error."""
    # The sources of this package stay out of the environments of others.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise RuntimeError(f"code {done.returncode}: {''.join(last)[:200]}")
    return done.stdout


def write_events(train: Sequences, file: Path) -> None:
    """user, item, time; times ascend within a user."""
    rows, items = train.flatten()
    times = torch.arange(len(rows))
    pl.DataFrame({"user": rows.numpy(), "item": items.numpy(), "time": times.numpy()}).write_csv(file)


def by_peer(asked: argparse.Namespace, peer: Peer, train: Sequences, events: Path) -> dict[str, Any]:
    """One measurement by a peer, with seconds scaled to the epoch's real positions."""
    job = {
        "events": str(events), "items": train.number_of_items, "users": len(train), "folder": str(asked.folder / "log"),
        "threads": asked.threads, "warmup": 1, "steps": asked.steps, "batch": BATCH, "length": LENGTH, "width": WIDTH,
        "top_users": asked.top_users,
    }  # fmt: skip
    python = installed(peer, asked.folder)
    adapter = HERE / "peer_adapters" / f"run_{peer.name}.py"
    found = json.loads(
        output([str(python), str(adapter), json.dumps(job)], asked.threads, asked.folder).splitlines()[-1]
    )
    whole = int((train.lengths_U.clamp_max(LENGTH + 1) - 1).sum())
    return found | {"epoch_seconds": sum(found["step_seconds"]) / sum(found["positions"]) * whole}


def by_us(asked: argparse.Namespace, *, is_padded: bool) -> dict[str, Any]:
    """One measurement of this package, or of the padded reference."""
    request = {
        "log": asked.log, "recipe": "sasrec-ce", "is_padded": is_padded, "threads": asked.threads, "warmup": 1,
        "steps": asked.steps, "top_users": 0 if is_padded else asked.top_users,
        "overrides": [f"objective.maximum_length={LENGTH}"],
    }  # fmt: skip
    command = [sys.executable, str(HERE / "steps.py"), json.dumps(request)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    said = "softmax over all items at all B·L places" if is_padded else "softmax over all items at real targets only"
    return json.loads(done.stdout) | {"torch": torch.__version__, "said": said}


def row(name: str, runs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> list[str]:
    """A line of the table; `ours` are this package's measurements of the same rounds."""
    times = [run["epoch_seconds"] / our["epoch_seconds"] for run, our in zip(runs, ours, strict=True)]
    tops = [run["top_seconds"] for run in runs if "top_seconds" in run]
    return [
        f"{name} {runs[0].get('version', '')}".strip(), runs[0]["torch"],
        spread([run["epoch_seconds"] for run in runs]), spread(times), spread([run["peak_mb"] for run in runs], ",.0f"),
        spread(tops, ".2f") if tops else "–", runs[0]["said"],
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", default="beauty", choices=list(SHAPES))
    parser.add_argument("--folder", type=Path, default=HERE.parent / ".bench", help="where environments are made")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a round, after one that is not")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--top-users", type=int, default=2000, help="users whose ten best items are listed")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs", help="folder of benchmarks.md")
    asked = parser.parse_args()
    asked.folder = asked.folder.resolve()
    (asked.folder / "log").mkdir(parents=True, exist_ok=True)
    machine, train, events = description(asked.threads), histories(asked.log), asked.folder / "log" / "events.csv"
    write_events(train, events)
    found: dict[str, list[dict[str, Any]]] = {
        "nextitem": [],
        "padded textbook": [],
        **{peer.name: [] for peer in PEERS},
    }
    failed: dict[str, str] = {}
    for number in range(asked.rounds):
        found["nextitem"].append(by_us(asked, is_padded=False))
        found["padded textbook"].append(by_us(asked, is_padded=True))
        for peer in (peer for peer in PEERS if peer.name not in failed):
            try:
                found[peer.name].append(by_peer(asked, peer, train, events))
            except RuntimeError as reason:
                failed[peer.name] = str(reason)
            print(f"round {number + 1}: {peer.name} {failed.get(peer.name, '')}", file=sys.stderr, flush=True)
    rows = [row(name, runs, found["nextitem"]) for name, runs in found.items() if name not in failed]
    rows += [[name, "–", "–", "–", "–", "–", f"failed, {reason}"] for name, reason in failed.items()]
    top = f"top-10 of {min(asked.top_users, len(train)):,} users, s"
    header = ["package", "torch", "epoch, s", "× ours", "peak, MB", top, "what it computes"]
    said = (
        f"SASRec, softmax over all {train.number_of_items:,} items, width {WIDTH}, 2 blocks, 1 head, length {LENGTH}, "
        f"batch {BATCH}, dropout 0.1, Adam. Data: {asked.log}, {origin(asked.log)}. Seconds of {asked.steps} steps by "
        f"their real target positions, scaled to those of an epoch of windows of {LENGTH}; loading of batches counts."
    )
    arguments = f"--log {asked.log} --threads {asked.threads} --steps {asked.steps} --rounds {asked.rounds}"
    command = f"python benchmarks/peers.py {arguments}"
    write(asked.out / "benchmarks.md", "Peers", section("Peers", command, machine, said, table(header, rows)))


if __name__ == "__main__":
    main()
