"""A program that is told to end puts right what it was at, and says in its exit code what ended it."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextitem.compute.endings import ENDING, Ended, told_of_signals
from worlds.small_runs import chains, log_of, write_csv

# The verb, and what of it is waited in.
PREPARING = ("prepare", "log.csv", "--out", "ready"), "nextitem.data.mapped.writing.write_log"
TRAINING = (
    ("train", "sasrec-ce", "data=log.csv", "encoder.dim=8", "encoder.heads=2", "training.epochs=1"),
    "nextitem.experiment.train.write_run",
)
CODE = """
    import sys, time
    from importlib import import_module

    def wait(*arguments, **options):
        print("begun", flush=True)
        time.sleep(60)

    module, _, name = sys.argv.pop(1).rpartition(".")
    setattr(import_module(module), name, wait)
    from nextitem.__main__ import main
    main()
"""


@pytest.fixture(autouse=True)
def signals_end_a_process() -> Iterator[None]:
    """As they do unless whoever started the tests had them ignored, as `nohup` has, which new processes inherit."""
    before = [(number, signal.signal(number, signal.SIG_DFL)) for number in ENDING]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def told(verb: tuple[str, ...], place: str, number: int, folder: Path) -> tuple[int, str]:
    """The exit code of a verb that is sent a signal where it waits, and what it said."""
    process = subprocess.Popen(
        (sys.executable, "-c", textwrap.dedent(CODE), place, *verb),
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line == "begun\n":
            break
    process.send_signal(number)
    said = process.communicate(timeout=50)[1]
    return process.returncode, said


def test_a_preparation_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    write_csv(log_of(chains()), tmp_path / "log.csv")
    ended, said = told(*PREPARING, signal.SIGTERM, tmp_path)
    assert (ended, "Traceback" in said) == (143, False)
    assert "ended by SIGTERM" in said
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_a_training_that_is_ended_leaves_its_last_epoch_and_its_folder_to_others(tmp_path: Path) -> None:
    write_csv(log_of(chains()), tmp_path / "log.csv")
    ended, said = told(*TRAINING, signal.SIGHUP, tmp_path)
    assert (ended, "--resume" in said) == (129, True)
    left = [path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert left == ["checkpoint.safetensors"]


def test_a_signal_that_was_to_be_ignored_still_is() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with told_of_signals():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_begun_is_ended_once_and_the_signals_are_as_before() -> None:
    tidied = []

    def obey() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)  # while it tidies
            signal.raise_signal(signal.SIGHUP)
            tidied.append(True)

    with pytest.raises(Ended) as caught, told_of_signals():
        obey()
    assert tidied == [True]
    assert (caught.value.name, caught.value.exit_code) == ("SIGTERM", 143)
    assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
