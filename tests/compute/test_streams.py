"""stdout and stderr: any encoding takes what is printed, and a full disk or a closed pipe is told as what it is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")

PRINTS = """
import sys
from rich.console import Console
from rich.table import Table
from nextitem.compute.streams import say, taking_everything
with taking_everything():
    say("0.1 – 0.2 … × \\x1b[2J")
    table = Table("recipe", "3 ≥ 2")
    table.add_row("müll", "σ")
    Console().print(table)
    print("日本", flush=True)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "shift-jis"])
def test_every_encoding_takes_what_is_printed(encoding: str) -> None:
    done = subprocess.run(
        (sys.executable, "-c", PRINTS), capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0, done.stderr
    words, results = done.stderr.decode(encoding), done.stdout.decode(encoding)
    assert words.replace("…", "...").replace("–", "-").replace("×", "x") == "0.1 - 0.2 ... x \\u001b[2J\n"
    assert "recipe" in results
    assert ("日本" in results) == (encoding in ("utf-8", "shift-jis"))
    assert ("\\u65e5\\u672c" in results) == (encoding not in ("utf-8", "shift-jis"))


def nextitem(words: str, redirected: str) -> "subprocess.CompletedProcess[str]":
    """The command line with its streams redirected by a shell."""
    line = f"{sys.executable} -m nextitem {words} {redirected}"
    return subprocess.run(("sh", "-c", line), capture_output=True, text=True)


@needs_full
@pytest.mark.parametrize("words", ["--help", "--version", ""])
def test_results_that_a_full_disk_cannot_take_are_an_error_of_storage(words: str) -> None:
    done = nextitem(words, ">/dev/full")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == "error: cannot write to stdout: No space left on device; make room there, or redirect it\n"


@needs_full
def test_words_that_a_full_disk_cannot_take_leave_the_exit_code_of_the_error() -> None:
    assert nextitem("trian", "2>/dev/full").returncode == 2


@needs_full
def test_words_that_a_full_disk_cannot_take_lose_no_result_and_are_told_by_the_exit_code() -> None:
    says = "from nextitem.cli import app; app.app = lambda *a, **k: app.say('note'); app.main()"
    done = subprocess.run(("sh", "-c", f'{sys.executable} -c "{says}" 2>/dev/full'), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (5, "", "")


def test_a_closed_stdout_is_told_of_before_anything_is_done() -> None:
    done = nextitem("--version", ">&-")
    assert done.returncode == 5
    assert "stdout is closed, so there is no place for results" in done.stderr


def test_a_closed_stderr_keeps_no_result_back_and_no_file_gets_its_number() -> None:
    script = """
import os
from nextitem.cli import app
from nextitem.cli.console import show
app.app = lambda *words, **named: (app.say("a note"), show(os.readlink("/proc/self/fd/2")))
app.main()
"""
    done = subprocess.run(("sh", "-c", f"exec {sys.executable} -c '{script}' 2>&-"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "/dev/null\n")


def test_a_reader_that_has_gone_ends_it_as_the_signal_would_and_without_a_word() -> None:
    process = subprocess.Popen(
        (sys.executable, "-m", "nextitem", "--help"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait()) == ("", 128 + signal.SIGPIPE)
    process.stderr.close()


@pytest.mark.parametrize(("options", "heard"), [([], False), (["-W", "default"], True), (["--debug"], True)])
def test_libraries_warn_and_log_to_whoever_asked_for_it_alone(options: list[str], heard: bool) -> None:
    script = """
import logging, warnings
from nextitem.compute.streams import quieten_libraries
quieten_libraries()
warnings.warn("axis", RuntimeWarning)
logging.getLogger("matplotlib").warning("fonts")
"""
    of_python, of_nextitem = [[option for option in options if (option == "--debug") == late] for late in (False, True)]
    done = subprocess.run((sys.executable, *of_python, "-c", script, *of_nextitem), capture_output=True, text=True)
    assert done.returncode == 0
    assert ("axis" in done.stderr, "fonts" in done.stderr) == (heard, heard)
