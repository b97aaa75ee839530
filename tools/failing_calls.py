"""Every call by which a verb changes the disk fails once: nothing is lost, and nothing half-written stays.

    python tools/failing_calls.py                     # all verbs, every call, in every way
    python tools/failing_calls.py prepare --every 5   # one verb, every fifth call

Opening for writing, writing, syncing and whatever makes or changes a name fail one after another, in Python and in all
libraries, until a verb ends as if nothing had happened. Needs a C compiler (`cc`), and Linux.
"""

import argparse
import contextlib
import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from failing_verbs import BEFORE, STUDY, VERBS, Verb

# A result may be whole without these: what is in nobody's way stays, and a folder that is made was there already.
HARMLESS = ("unlink", "mkdir")
SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = "FAILING_CALLS"
IN_OTHERS = ("FAILING_ROOT", "FAILING_NUMBER", "FAILING_ERROR", "FAILING_TOLD")


@dataclass(frozen=True)
class Failing:
    """Which call fails, from 1, with what, and whether the disk stays full from there on."""

    error: int
    lasting: bool = False
    number: int = 0


NONE = Failing(0)
WAYS = {
    "ENOSPC": Failing(errno.ENOSPC),
    "EIO": Failing(errno.EIO),
    "full from there on": Failing(errno.ENOSPC, lasting=True),
}


@dataclass
class Tally:
    """What came of the trials of a verb."""

    calls: int = 0
    tried: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Outcome:
    """How one run of a verb ended."""

    code: int
    said: str
    calls: int
    """That change the disk, in this process."""
    failed: str
    """The call that failed, and its place; or nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verbs", nargs="*", metavar="VERB", help=f"of {', '.join(VERBS)}; default: all")
    parser.add_argument("--every", type=int, default=1, help="only every n-th call")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {','.join(WAYS)}")
    asked = parser.parse_args()
    if LIBRARY not in os.environ:
        sys.exit(again_with_library())
    with tempfile.TemporaryDirectory(prefix="nextitem-failing-") as folder:
        world, work = Path(folder).resolve() / "world", Path(folder).resolve() / "work"
        wrong, chosen = 0, {name: VERBS[name] for name in asked.verbs or VERBS}
        build(world, {word for verb in chosen.values() for word in (*verb.words, *verb.needs)})
        for name, verb in chosen.items():
            began, tally = time.monotonic(), Tally()
            for way in asked.ways.split(","):
                try_all(verb, way, asked.every, world, work, tally)
            seconds = time.monotonic() - began
            right = tally.tried - len(tally.wrong)
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.failed.items()))
            print(f"{name}: {tally.calls} calls, {tally.tried} tried, {right} right, {len(tally.wrong)} wrong, "
                  f"{seconds:.0f} s ({kinds})", flush=True)  # fmt: skip
            for one in tally.wrong:
                print(f"    {one}", flush=True)
            wrong += len(tally.wrong)
    sys.exit(bool(wrong))


def again_with_library() -> int:
    """Run this once more, with what makes calls fail in front of the C library; its exit code."""
    with tempfile.TemporaryDirectory(prefix="nextitem-failing-") as folder:
        library = Path(folder) / "failing_calls.so"
        subprocess.run(("cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"), check=True)
        environment = {"LD_PRELOAD": str(library), LIBRARY: str(library), "OMP_NUM_THREADS": "1"}
        return subprocess.run((sys.executable, *sys.argv), env={**os.environ, **environment}, check=False).returncode


def build(world: Path, asked: Collection[str]) -> None:
    """What is there before each trial: a log, and of finished runs and earlier results what is asked for."""
    world.mkdir()
    rows = [
        f"u{user:02},i{(user * 7 + e * 3) % 20:02},{1_700_000_000 + e * 60 + user}"
        for user in range(24)
        for e in range(8)
    ]
    (world / "log.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    later = [f"u{user:02},i{user % 20:02},{1_700_100_000 + user}" for user in range(24)]
    (world / "later.csv").write_text("\n".join(["user,item,time", *later]) + "\n")
    (world / "small.toml").write_text(STUDY)
    for name in ("page.html", "lists.csv", "lists.jsonl", "lists.parquet"):
        (world / name).write_text(f"an earlier {name}")
    for folder, words in BEFORE:
        if folder in asked:
            outcome = typed(words, world)
            if outcome.code:
                sys.exit(f"nextitem {' '.join(words)} ended with {outcome.code}: {outcome.said}")
        if folder in ("one", "two", "indexed") and folder in asked and words[0] == "train":
            (run,) = (world / folder).glob("2*")
            run.rename(world / "run")
            (world / folder).rmdir()
            (world / "run").rename(world / folder)


def try_all(verb: Verb, way: str, every: int, world: Path, work: Path, tally: Tally) -> None:
    """Let the n-th call fail, for n = 1, 2, … until none is left."""
    shutil.copytree(world, work)
    whole = typed(verb.words, work, own_process=verb.own_process)
    expected = tree(work)
    tally.calls = whole.calls
    if whole.code:
        tally.wrong.append(f"without any failure: exit code {whole.code}: {whole.said[-300:].strip()}")
    number = 1
    while not whole.code:
        shutil.rmtree(work)
        shutil.copytree(world, work)
        before = tree(work)
        outcome = typed(verb.words, work, replace(WAYS[way], number=number), own_process=verb.own_process)
        if not outcome.failed:
            break
        tally.tried += 1
        tally.failed[outcome.failed.partition(" ")[0]] += 1
        problem = what_is_wrong(verb, outcome, before, tree(work), expected)
        if not problem and outcome.code and verb.goes_on is not None:
            again = typed((*verb.words, *verb.goes_on), work, own_process=verb.own_process)
            problem = f"and once there is space: exit code {again.code}: {again.said[-300:]}" if again.code else ""
        if problem:
            tally.wrong.append(f"{way}, call {number}, {outcome.failed}: {problem}")
        number += every
    shutil.rmtree(work)


def what_is_wrong(
    verb: Verb, outcome: Outcome, before: dict[str, bytes], after: dict[str, bytes], expected: dict[str, bytes]
) -> str:
    """What is not as it must be after a failure, or nothing."""
    call, _, place = outcome.failed.partition(" ")
    if outcome.code == 0:
        goes_on = call in HARMLESS or any(part in place or part in outcome.said for part in verb.may_go_on)
        missing = {shape(name) for name in expected} - {shape(name) for name in after}
        missing = {name for name in missing if not any(part in name for part in verb.may_go_on)}
        return f"missing {sorted(missing)}" if missing else "" if goes_on else "exit code 0"
    if outcome.code != 5:
        return f"exit code {outcome.code}: {outcome.said[-300:].strip()}"
    if "error: " not in outcome.said or "cannot " not in outcome.said or "Errno" not in outcome.said:
        return f"unclear: {outcome.said[-300:].strip()}"
    if lost := sorted(name for name, content in before.items() if after.get(name) != content):
        return f"lost or changed: {lost}"
    left = sorted(name for name in after.keys() - before.keys() if not any(part in name for part in verb.may_stay))
    left = [name for name in left if not any(other.startswith(name + "/") for other in after)]
    if left and call != "unlink":
        return f"left behind: {left}"
    return ""


def shape(name: str) -> str:
    """A name without the digits that differ from run to run."""
    return "".join("0" if letter.isdigit() else letter for letter in name)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and folder below with its content, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def typed(words: tuple[str, ...], folder: Path, failing: Failing = NONE, *, own_process: bool = False) -> Outcome:
    """Run a verb in a folder, where a call below that folder fails, in this process or in those that it starts."""
    from nextitem.cli import app

    library, told, code = ctypes.CDLL(os.environ[LIBRARY]), folder.with_name("told"), 0
    library.failing_count.restype = ctypes.c_long
    told.write_text("")
    environment = dict(zip(IN_OTHERS, (str(folder), str(failing.number), str(failing.error), str(told)), strict=True))
    sys.argv = ["nextitem", *words]
    with contextlib.chdir(folder), heard(folder.with_name("said")):
        if own_process:
            os.environ.update(environment)
        else:
            arguments = ctypes.c_long(failing.number), failing.error, failing.lasting, str(told).encode()
            library.failing_arm(str(folder).encode(), *arguments)
        try:
            app.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            calls = library.failing_count()
            library.failing_arm(b"", ctypes.c_long(0), 0, 0, b"")
            for name in IN_OTHERS:
                os.environ.pop(name, None)
    return Outcome(code, folder.with_name("said").read_text(), calls, told.read_text())


@contextlib.contextmanager
def heard(file: Path) -> Iterator[None]:
    """What this process and others say goes into a file meanwhile."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = os.dup(1), os.dup(2)
    with file.open("w") as content:
        for descriptor in (1, 2):
            os.dup2(content.fileno(), descriptor)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, earlier in zip((1, 2), before, strict=True):
                os.dup2(earlier, descriptor)
                os.close(earlier)


if __name__ == "__main__":
    main()
