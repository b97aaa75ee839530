"""docs/guide.md from top to bottom: every command it shows is run, in its order, on a small log.

Verbs run in this process, the service in one of its own, and what is left (curl, mv, head, openssl) in a shell.
"""

import os
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from worlds.command_line import typed

CHECKOUT = Path(__file__).resolve().parent.parent
GUIDE = CHECKOUT / "docs" / "guide.md"
PORT = "8000"  # what the page says; whatever is free takes its place
SMALL = {
    "python examples/cinema_log.py": "--users 150 --films 360",
    "nextitem train sasrec-ce": "training.epochs=2 encoder.dim=8 encoder.blocks=1 objective.maximum_length=20 "
    "--no-report --no-baselines",
    "nextitem train co-occurrence": "--no-report --no-baselines",
    "nextitem ensemble": "--no-report --no-baselines",
    "nextitem blend": "--no-report --no-baselines",
    "nextitem refit cinema/blended": "--no-report --no-baselines",
    "nextitem distil": "--no-report --no-baselines",
    "nextitem update": "--replace-worse",  # so little training may well be worse by chance
}


def steps() -> list[tuple[str, str]]:
    """The page's fenced blocks in order, each as language and text."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def lines_of(block: str) -> list[str]:
    """Commands of a bash block, one each."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


class Reader:
    """Somebody who types what the page says."""

    def __init__(self, patch: pytest.MonkeyPatch, port: int) -> None:
        self.patch, self.port = patch, str(port)
        self.services: list[subprocess.Popen[str]] = []
        self.names: dict[str, Any] = {}

    def follow(self, language: str, block: str) -> None:
        """Do what a block says. A command that fails is an AssertionError."""
        block = block.replace(f":{PORT}", f":{self.port}")
        if language == "python":
            exec(compile(block, GUIDE.name, "exec"), self.names)  # noqa: S102 - our own page
            return
        assert language == "bash", language
        for line in lines_of(block):
            self.type(line)

    def type(self, line: str) -> None:
        """Run one command."""
        more = next((words for start, words in SMALL.items() if line.startswith(start)), "")
        words = shlex.split(f"{line} {more}", comments=True)
        if words[0] == "nextitem" and words[-1] == "&":
            self.serve(words[1:-1])
        elif words[0] == "nextitem":
            assert typed(self.patch, *words[1:]) == 0, line
        elif words[0] == "python":
            self.patch.setattr(sys, "argv", words[1:])
            runpy.run_path(words[1], run_name="__main__")
        elif words == ["kill", "%1"]:
            self.end()
        else:
            line = line.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    def serve(self, words: list[str]) -> None:
        """Start a service, and wait until it says where it is."""
        command = [sys.executable, "-m", "nextitem", *words, "--port", self.port]
        with Path("service.log").open("a", encoding="utf-8") as log:
            service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.services.append(service)
        assert service.stdout is not None
        said = service.stdout.readline().strip()
        assert said == f"http://127.0.0.1:{self.port}", Path("service.log").read_text(encoding="utf-8")

    def end(self) -> None:
        """Ask the service to end; it has ten seconds."""
        with self.services.pop() as service:
            service.send_signal(signal.SIGTERM)
            assert service.wait(10) == 0


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A reader in a folder that has the checkout's examples."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    (tmp_path / "examples").symlink_to(CHECKOUT / "examples")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = Reader(monkeypatch, port)
    yield one
    for service in one.services:  # of a test that failed
        with service:
            service.kill()
    torch.set_num_threads(threads)


def test_every_command_of_the_guide_works_in_its_order(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    for language, block in steps():
        reader.follow(language, block)
    assert not reader.services, "the guide ends the service that it starts"
    made = {path.name for path in Path("cinema").iterdir()}
    assert made >= {"check.html", "mine.toml", "prepared", "sasrec", "counted", "report.html", "lists.parquet"}
    assert made >= {"events.db", "page.html", "all.nextitem", "back", "token"}
    assert any(name.endswith("-refit") for name in made)
    assert "<!doctype html>" in Path("cinema/page.html").read_text(encoding="utf-8")
    assert "carried by" in capsys.readouterr().out


def test_the_guide_tells_of_all_that_is_between_a_log_and_a_website() -> None:
    typed_verbs = {verb for _, block in steps() for verb in re.findall(r"^nextitem (\w+)", block, re.MULTILINE)}
    assert typed_verbs == {
        *("check", "prepare", "train", "report", "recommend", "similar", "explain", "serve"),
        *("replay", "update", "dump", "restore", "forget", "refit", "ensemble", "blend", "distil"),
    }
