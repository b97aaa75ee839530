"""Ctrl-C while a program is being imported."""

import functools
import signal
import subprocess
import sys

import pytest

from nextitem.compute.interrupts import leaving_at_once

HEED = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("caught", ["", "except BaseException: pass"])
def test_it_ends_the_process_without_a_traceback_and_no_library_can_swallow_it(caught: str) -> None:
    script = f"""
import signal
from nextitem.compute.interrupts import leaving_at_once
with leaving_at_once():
    try:
        signal.raise_signal(signal.SIGINT)
    {caught or "finally: pass"}
print("went on")
"""
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, preexec_fn=HEED)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize("verb", ["train", "recommend", "check"])
def test_it_does_so_while_a_verb_is_imported(verb: str) -> None:
    # The first import of torch is the moment at which somebody presses it.
    script = f"""
import signal, sys
class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Presses())
sys.argv = ["nextitem", "{verb}", "x"]
from nextitem.__main__ import main
main()
"""
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, preexec_fn=HEED)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_afterwards_it_is_an_exception_again_and_who_ignores_it_goes_on_to() -> None:
    for heeds in (signal.default_int_handler, signal.SIG_IGN):
        before = signal.signal(signal.SIGINT, heeds)
        try:
            with leaving_at_once():
                inside = signal.getsignal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is heeds
            assert (inside is heeds) == (heeds is signal.SIG_IGN)
        finally:
            signal.signal(signal.SIGINT, before)
