"""Read files that came to harm, and see that none is lost, misread, waited for or answered with a traceback.

    python tools/fuzz_readers.py                        for a minute
    python tools/fuzz_readers.py --seconds 600 --seed 7
    python tools/fuzz_readers.py --cases 300            so many, whatever the time

A log is made up in each format that is read (csv, tsv, inter, txt, dat and jsonl, also gzipped and as Zstandard;
parquet and Arrow), harmed in nine cases of ten, and read by another process. It has to be read, or refused with its
name, within the time limit. What was read has as many events as the file has records, counted apart; read in parts it
is the same. With bad rows skipped every row is an event or among those that were left out (`fuzz_rejected`). And in one
case of eight the log is the same that is prepared for less memory than it has, from one file and from several. Sequence
files and tables of items are among them, and a parquet file is the same log as a frame (`fuzz_others`). What is wrong
is made smaller while it stays wrong, and left in a folder. Exit with 1 where anything was.
"""

import argparse
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from fuzz_corpus import Case, a_case

PROPERTIES = Path(__file__).with_name("fuzz_properties.py")
_DEEP = 8  # one case of so many is prepared as well
_START_SECONDS = 60  # for the reading process to import what it needs


class Reader:
    """The process that reads, started again whenever it hangs or dies."""

    def __init__(self, folder: Path, limit: float) -> None:
        self._folder, self._limit = folder, limit
        self._process: subprocess.Popen[str] | None = None

    def verdict(self, case: Case, *, is_deep: bool) -> str:
        """What `fuzz_properties` says of a file, or that it took too long or ended the process."""
        for left in self._folder.glob("*-log*"):
            left.unlink()
        file = self._folder / case.name
        file.write_bytes(case.content)
        limit = self._limit if self._process else self._limit + _START_SECONDS
        process = self._process or self._start()
        asked = {"file": str(file), "is_whole": case.is_whole, "is_deep": is_deep}
        with suppress(BrokenPipeError):  # it has ended meanwhile, as is about to be seen
            print(json.dumps(asked), file=process.stdin, flush=True)
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            self.end()
            return f"wrong: no answer in {self._limit:g} s"
        if line:
            return str(json.loads(line))
        code = process.wait()
        self._process = None
        return f"wrong: the process ended with {code}: {self._complaint()}"

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> "subprocess.Popen[str]":
        with (self._folder / "stderr.txt").open("w") as stderr:
            self._process = process = subprocess.Popen(
                (sys.executable, str(PROPERTIES)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                text=True, env={**os.environ, "RUST_BACKTRACE": "0"},
            )  # fmt: skip
        self._lines = lines = queue.Queue[str]()

        def listen() -> None:
            for line in cast(IO[str], process.stdout):
                lines.put(line)
            lines.put("")

        threading.Thread(target=listen, daemon=True).start()
        return process

    def _complaint(self) -> str:
        return (self._folder / "stderr.txt").read_text(errors="replace")[-300:]


def smaller(case: Case, reader: Reader, *, is_deep: bool, seconds: float) -> Case:
    """A part of the file that is wrong as well, found by leaving out ever smaller pieces."""
    until = time.monotonic() + seconds
    size = len(case.content) // 2
    while size and time.monotonic() < until:
        start = 0
        while start < len(case.content) and time.monotonic() < until:
            tried = Case(case.name, case.content[:start] + case.content[start + size :], is_whole=False)
            if reader.verdict(tried, is_deep=is_deep).startswith("wrong"):
                case = tried
            else:
                start += size
        size //= 2
    return case


def fuzz(reader: Reader, seed: int, seconds: float, cases: int | None, kept: Path) -> Counter[str]:
    """How many cases were read, refused and wrong; each wrong one is told of, and its smallest file left in `kept`."""
    counts: Counter[str] = Counter()
    until = time.monotonic() + seconds
    number = 0
    while number < cases if cases is not None else time.monotonic() < until:
        draws = random.Random(f"{seed} {number}")
        case, is_deep = a_case(draws), number % _DEEP == 0
        found = reader.verdict(case, is_deep=is_deep)
        counts[found.partition(":")[0]] += 1
        if found.startswith("wrong"):
            least = case if case.is_whole else smaller(case, reader, is_deep=is_deep, seconds=60)
            kept.mkdir(parents=True, exist_ok=True)
            file = kept / f"{seed}-{number}-{case.name}"
            file.write_bytes(least.content)
            print(
                f"case {number} of seed {seed}: {found}\n  {len(least.content):,} bytes that do it: {file}", flush=True
            )
        number += 1
    return counts


def main() -> None:
    """Exit with 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--cases", type=int, help="how many, whatever the time")
    parser.add_argument("--seed", type=int, default=0, help="what the files follow from (default 0)")
    parser.add_argument("--limit", type=float, default=20, help="seconds a file may take (default 20)")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="folder for what is wrong (default fuzz)")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nextitem-fuzz-") as folder:
        reader = Reader(Path(folder), asked.limit)
        try:
            counts = fuzz(reader, asked.seed, asked.seconds, asked.cases, asked.keep)
        finally:
            reader.end()
    tried, wrong = counts.total(), counts["wrong"]
    print(
        f"{tried:,} files in {time.monotonic() - began:.0f} s, seed {asked.seed}: {tried - wrong:,} right "
        f"({counts['read']:,} read, {counts['refused']:,} refused), {wrong:,} wrong"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
