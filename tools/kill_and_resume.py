"""Kill trainings at random moments, resume them, and compare them with one that was left alone.

    python tools/kill_and_resume.py                       100 kills, minutes
    python tools/kill_and_resume.py --kills 3 --recipes bert4rec

Each training is killed (SIGKILL) up to five times and resumed after each of them. It must end with the weights of the
uninterrupted one, to the bit; whatever stands beside `.partial` must at all times be a whole run, and in the end
`.partial` must hold no file. The log of events is made up, and everything happens in a temporary folder.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import safe_open

from nextitem.errors import NextitemError
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.presets import load_recipe, preset_names

RECIPES = ("sasrec-ce", "sasrec-bce", "sasrec-3000", "bert4rec")
MOST_KILLS_OF_ONE = 5
SMALL = (
    "encoder.dim=16", "objective.maximum_length=12", "training.epochs=6", "training.batch_size=16",
    "training.learning_rate=0.005",
)  # fmt: skip


@dataclass
class Tally:
    """What the kills hit."""

    kills: int = 0
    trainings: int = 0
    while_writing: int = 0
    twice_finished: int = 0
    after_epochs: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reference:
    """A training that was left alone."""

    recipe: str
    sha256: str
    seconds: float  # from its first words to its end, which leaves out the start of Python


def main() -> None:
    """Exit with 0 when every training that was killed ended as it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many in all (default 100)")
    parser.add_argument(
        "--recipes", nargs="+", choices=preset_names(), default=RECIPES, metavar="RECIPE",
        help=f"taken in turn (default {' '.join(RECIPES)})",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    asked = parser.parse_args()
    draws, tally = random.Random(asked.seed), Tally()
    with tempfile.TemporaryDirectory(prefix="nextitem-kills-") as folder:
        events = write_events(Path(folder) / "events.csv")
        references: dict[str, Reference] = {}
        while tally.kills < asked.kills:
            recipe = asked.recipes[tally.trainings % len(asked.recipes)]
            if recipe not in references:
                references[recipe] = leave_alone(recipe, events, Path(folder) / recipe)
            before = tally.kills
            allowed = min(MOST_KILLS_OF_ONE, asked.kills - before)
            kill_and_resume(references[recipe], events, Path(folder) / "runs", allowed, draws, tally)
            print(f"{recipe}: {tally.kills - before} kills, equal weights ({tally.kills} of {asked.kills})", flush=True)
    saved = ", ".join(f"{count} after {epochs}" for epochs, count in sorted(tally.after_epochs.items()))
    print(f"{tally.kills} kills by saved epochs: {saved}; {tally.while_writing} while a file was being written")
    print(f"{tally.trainings} trainings ended with the weights of an uninterrupted one and left nothing behind")
    if tally.twice_finished:
        print(f"{tally.twice_finished} of them were killed between their end and the removal of their checkpoint")


def write_events(file: Path) -> Path:
    """A log in which one item often follows another."""
    draws = random.Random(0)
    lines = ["user,item,time"]
    for user in range(80):
        item = draws.randrange(40)
        for minute in range(draws.randint(5, 14)):
            lines.append(f"u{user},i{item},{60 * minute}")
            item = (item + draws.choice((1, 1, 1, 7))) % 40
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@dataclass(frozen=True)
class Process:
    """A training in a process of its own."""

    running: subprocess.Popen[bytes]
    log: Path

    def ends_within(self, seconds: float | None) -> bool:
        """Whether it ends in that time; exit with what it said if it fails."""
        try:
            self.running.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if self.running.returncode:
            command = " ".join(map(str, self.running.args))
            sys.exit(f"{self.log.read_text()}error: exit code {self.running.returncode} of {command}")
        return True

    def kill(self) -> None:
        """End it as a power cut would."""
        self.running.kill()
        self.running.wait()


def start(recipe: str, events: Path, out: Path) -> Process:
    """A training that has just said its first words: until then only Python starts."""
    overrides = [f"data={json.dumps(str(events))}", *SMALL]
    negatives = load_recipe(recipe).sequence.negatives
    if negatives is not None and negatives.count > 10:
        overrides.append("negatives.count=10")
    options = ("--out", str(out), "--resume", "--device", "cpu", "--threads", "1")
    command = (sys.executable, "-m", "nextitem", "train", recipe, *overrides, *options)
    log = events.with_name("stderr.log")
    with log.open("wb") as words:
        running = subprocess.Popen(
            command, cwd=events.parent, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=words,
        )  # fmt: skip
    while running.poll() is None and not log.stat().st_size:
        time.sleep(0.01)
    return Process(running, log)


def leave_alone(recipe: str, events: Path, out: Path) -> Reference:
    """Train without a kill."""
    process, began = start(recipe, events, out), time.monotonic()
    process.ends_within(None)
    seconds = time.monotonic() - began
    (finished,) = finished_runs(out)
    return Reference(recipe, finished, seconds)


def kill_and_resume(
    reference: Reference, events: Path, out: Path, kills: int, draws: random.Random, tally: Tally
) -> None:
    """Train, being killed up to `kills` times; exit with a message unless all is as it should be."""
    tally.trainings += 1
    for left in range(kills, -1, -1):
        process = start(reference.recipe, events, out)
        if process.ends_within(draws.uniform(0, reference.seconds) if left else None):
            break
        process.kill()
        tally.kills += 1
        tally.while_writing += is_anything_half_written(out)
        tally.after_epochs[saved_epochs(out)] += 1
        finished = finished_runs(out)
        require_same(reference, finished)
        if finished and not unfinished(out):
            break  # all was done, and only the process had not ended yet
    finished = finished_runs(out)
    require_same(reference, finished)
    if not finished:
        sys.exit(f"error: {reference.recipe} ended without a run in {out}")
    if remains := unfinished(out):
        sys.exit(f"error: {len(remains)} files are left behind, such as {remains[0]}")
    tally.twice_finished += len(finished) - 1
    shutil.rmtree(out)


def saved_epochs(out: Path) -> int:
    """How many epochs the checkpoint holds; 0 where there is none."""
    for file in (out / ".partial").glob("*/checkpoint.safetensors"):
        with safe_open(file, framework="pt") as checkpoint:
            return len(checkpoint.metadata()["epochs"].splitlines())
    return 0


def unfinished(out: Path) -> list[Path]:
    """Files of trainings in progress."""
    return sorted(path for path in (out / ".partial").rglob("*") if path.is_file())


def is_anything_half_written(out: Path) -> bool:
    """Whether the killed training left more than the checkpoint of its last epoch."""
    return any(path.name != "checkpoint.safetensors" for path in unfinished(out))


def finished_runs(out: Path) -> list[str]:
    """The sha256 of the weights of every run in `out`; exit with a message if something there is not a whole run."""
    found = []
    for folder in sorted(out.iterdir()) if out.exists() else ():
        if folder.name != ".partial":
            try:
                read_run(folder).proven()
            except NextitemError as error:
                sys.exit(f"error: a kill left something half-written: {error}")
            found.append(hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())
    return found


def require_same(reference: Reference, finished: list[str]) -> None:
    """Exit with a message unless all these weights are those of the uninterrupted training."""
    for sha256 in finished:
        if sha256 != reference.sha256:
            sys.exit(f"error: {reference.recipe} was resumed to weights {sha256[:12]}…, not {reference.sha256[:12]}…")


if __name__ == "__main__":
    main()
