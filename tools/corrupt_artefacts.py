"""Damage what the package left in every way that was thought of, and ask for all that is made of it.

    python tools/corrupt_artefacts.py                          2,000 damages, minutes
    python tools/corrupt_artefacts.py --damages 40 --seed 1
    python tools/corrupt_artefacts.py --damages 300 --only state

Runs of several kinds, a prepared log, a checkpoint, a search, the database of a service and a dump of all that it has
are damaged one at a time: bits, cuts, files that are gone, exchanged, of another, links, pipes and devices, other
manifests, and content that cannot be, signed again. Then everything that reads them is asked. Right is exit code 4 that
names a file, in less than two seconds of computing, or the very answer of the whole one, with a note where a file was
altered that it does not rest on. Wrong is any other answer or code, a traceback, a wait, and anything that was executed
or written elsewhere.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from damages import CANARY, MANIFESTS, RAW, content, of_other, signed
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from subjects import Answer, Subject, subjects

from nextitem.storage import MANIFEST
from nextitem.training.checkpoint import fingerprint

LIMIT, PATIENCE = 2.0, 60.0  # seconds of computing until a refusal, and until an answer is no longer waited for
PAGES = ("README.md", "report.html")


@dataclass(frozen=True)
class Found:
    """What a reader made of a damaged subject."""

    subject: str
    damage: str
    file: str
    reader: str
    verdict: str
    """`refused`, `the same`, or what is wrong."""
    said: str = ""

    @property
    def is_right(self) -> bool:
        return self.verdict in ("refused", "the same")


class Worker:
    """One warm process: subjects, the answers of whole ones, and a case at a time."""

    def __init__(self, world: Path, only: str) -> None:
        self.world = world
        for name in ("case", "here"):
            (world / name).mkdir()
        os.chdir(world / "here")
        self.subjects = subjects(world)
        self.chosen = [name for name in self.subjects if only in ("", name)]
        self.whole = {
            (name, reader): ask(self._copy(subject)) for name, subject in self.subjects.items()
            for reader, ask in subject.asks.items()
        }  # fmt: skip
        for key, (code, _, said) in self.whole.items():
            if code:
                raise SystemExit(f"{key} of the whole one: {code}, {said}")

    def _copy(self, subject: Subject) -> Path:
        shutil.rmtree(self.world / "case")
        (self.world / "case").mkdir()
        return Path(shutil.copytree(subject.folder, self.world / "case" / "it"))

    def case(self, number: int, seed: int, tell: Connection) -> list[Found]:
        """What all readers make of the damage of this number."""
        draws = Random(f"{seed}/{number}")
        name = self.chosen[number % len(self.chosen)]
        subject, found = self.subjects[name], []
        damage, file = self._chosen(subject, draws)
        kept = draws.getstate()
        for reader, ask in subject.asks.items():
            folder = self._copy(subject)
            draws.setstate(kept)
            self._damage(subject, folder / subject.files, damage, file, draws)
            tell.send(("asking", name, damage, file, reader))
            before, started = self._outside(), time.process_time()
            answer = ask(folder)
            seconds = time.process_time() - started
            verdict = self._verdict(subject, (name, reader), answer, seconds, damage, file)
            if self._outside() != before or (self.world / "here" / CANARY).exists():
                verdict = "something was written elsewhere"
            found.append(Found(name, damage, file, reader, verdict, answer[2].strip()[-300:]))
        return found

    def _chosen(self, subject: Subject, draws: Random) -> tuple[str, str]:
        files = sorted(one.name for one in (subject.folder / subject.files).iterdir() if one.is_file())
        kinds = ["raw"] if subject.kind in ("search", "database", "state") else ["raw", "content", "another's"]
        if subject.kind in ("run", "prepared log"):
            kinds += ["manifest", "another's, signed", "content"]
        kind, file = draws.choice(kinds), draws.choice(files)
        if kind == "raw":
            return draws.choice(sorted(RAW)), file
        if kind == "manifest":
            return draws.choice(sorted(MANIFESTS)), draws.choice([one for one in files if one != MANIFEST])
        # Recipe and metrics of another run are those of a run: who signs them again says that they are this one's.
        own = (MANIFEST, *PAGES, "recipe.json", "metrics.json") if kind == "another's, signed" else (MANIFEST, *PAGES)
        return kind, draws.choice([one for one in files if one not in own])

    def _damage(self, subject: Subject, folder: Path, damage: str, file: str, draws: Random) -> None:
        if damage in RAW:
            RAW[damage](folder, file, draws)
        elif damage in MANIFESTS:
            MANIFESTS[damage](folder, file, draws)
        elif damage == "content" and subject.kind == "checkpoint":
            resaved(folder / file, draws)
        else:
            others = [one.folder for one in self.subjects.values() if one.kind == subject.kind and one != subject]
            other = draws.choice(others) if others else subject.folder
            (content if damage == "content" else of_other(other / subject.files))(folder, file, draws)
            if damage in ("content", "another's, signed"):
                signed(folder)

    def _verdict(
        self, subject: Subject, key: tuple[str, str], answer: Answer, seconds: float, damage: str, file: str
    ) -> str:
        code, text, said = answer
        if code == 0:
            if text != self.whole[key][1]:
                return "another answer"
            is_told = file in said or damage not in RAW or file not in PAGES or key[1] in ("Recommender.load", "serve")
            return "the same" if is_told or damage in ("extra files", "a link to the same content") else "not told"
        if code != 4 or "Traceback" in said or "panicked" in said:
            return f"exit code {code}"
        files = [one.name for one in (subject.folder / subject.files).iterdir()] + [MANIFEST]
        if not any(one in said for one in (*files, "format: it has version", "is not a")):
            return "names no file"
        return "refused" if seconds < LIMIT else f"refused after {seconds:.1f} s"

    def _outside(self) -> list[tuple[str, int]]:
        found = []
        for folder, names, files in os.walk(self.world):
            names[:] = [one for one in names if Path(folder, one) != self.world / "case"]
            found += [(f"{folder}/{one}", Path(folder, one).lstat().st_mtime_ns) for one in files]
        return sorted(found)


def resaved(file: Path, draws: Random) -> None:
    """Put wrong content into a checkpoint, and the fingerprint that it then has."""
    with safe_open(file, framework="pt") as opened:
        words = opened.metadata()
    if draws.random() < 0.4:
        name = draws.choice(["identity", "epochs", "best_epoch"])
        words[name] = draws.choice(["", "null", "[" * 3000, "-1", "9" * 5000, '{"a": 1}', "[]", '{"epoch": 1}'])
    else:
        content(file.parent, file.name, draws)
    tensors = load_file(file)
    save_file(
        tensors, file, {key: words[key] for key in words if key != "sha256"} | {"sha256": fingerprint(words, tensors)}
    )


def work(world: str, seed: int, only: str, line: Connection) -> None:
    """Answer for the numbers that come."""
    worker = Worker(Path(world), only)
    line.send("ready")
    while (number := line.recv()) is not None:
        line.send(worker.case(number, seed, line))


def tried(damages: int, seed: int, only: str) -> list[Found]:
    """What was found, one worker after another where one has to be ended."""
    found, number, context = list[Found](), 0, get_context("spawn")
    while number < damages:
        with tempfile.TemporaryDirectory(prefix="nextitem-corrupt-") as world:
            line, other = context.Pipe()
            process = context.Process(target=work, args=(world, seed, only, other), daemon=True)
            process.start()
            other.close()
            asking: tuple[str, ...] = ()
            try:
                line.recv()
                while number < damages:
                    line.send(number)
                    while True:
                        if not line.poll(PATIENCE):
                            raise TimeoutError
                        reply = line.recv()
                        if isinstance(reply, list):
                            break
                        asking = reply[1:]
                    found += reply
                    number += 1
                    show([one for one in reply if not one.is_right], number)
            except (EOFError, TimeoutError) as error:
                if not asking:
                    raise SystemExit("the worker could not begin") from error
                what = "no answer" if isinstance(error, TimeoutError) else "the process ended"
                found.append(Found(*asking, what))
                show(found[-1:], number)
                number += 1
            finally:
                process.kill()
                process.join()
    return found


def show(wrong: list[Found], number: int) -> None:
    for one in wrong:
        print(f"{number}: {json.dumps(vars(one), ensure_ascii=True)}", flush=True)
    if number % 100 == 0:
        print(f"{number} damages", flush=True)


def main() -> None:
    """Exit with 0 when everything was right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--damages", type=int, default=2000, help="how many (default 2000); each is shown to all readers"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default 0)")
    parser.add_argument("--only", default="", help="one subject, such as sasrec-ce, database or state (default: all)")
    asked = parser.parse_args()
    found = tried(asked.damages, asked.seed, asked.only)
    verdicts = Counter(one.verdict if one.is_right else "wrong" for one in found)
    for subject, count in sorted(Counter(one.subject for one in found).items()):
        print(f"{subject}: {count} asked, {sum(not one.is_right for one in found if one.subject == subject)} wrong")
    right = f"{verdicts['refused']} refused by name, {verdicts['the same']} the same answer"
    print(f"{asked.damages} damages, {len(found)} asked: {right}, {verdicts['wrong']} wrong")
    sys.exit(bool(verdicts["wrong"]))


if __name__ == "__main__":
    main()
