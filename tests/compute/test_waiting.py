"""Whoever waits is told of what takes long, and of nothing else."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nextitem.compute.waiting import Say, silent, told_if_slow
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.train import train
from nextitem.training.session import Session


def test_what_is_short_is_done_in_silence() -> None:
    said: list[str] = []
    with told_if_slow("reading", said.append, after=30.0):
        pass
    assert said == []


def test_what_takes_long_is_said_while_it_is_done_and_not_after_it() -> None:
    said: list[str] = []
    heard = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    with told_if_slow("reading events.csv", say, after=0.01):
        assert heard.wait(10)
    there = threading.active_count()
    assert said == ["reading events.csv …"]
    time.sleep(0.05)
    assert (len(said), threading.active_count()) == (1, there)


def test_an_error_comes_through_and_ends_the_telling() -> None:
    said: list[str] = []
    with pytest.raises(ValueError, match="broken"), told_if_slow("reading", said.append, after=30.0):
        raise ValueError("broken")
    assert [thread for thread in threading.enumerate() if thread.daemon and "tell" in thread.name] == []
    assert said == []


def test_nobody_is_told_by_a_thread_that_is_not_needed() -> None:
    before = threading.active_count()
    with told_if_slow("reading", silent, after=0.0):
        assert threading.active_count() == before


def test_a_training_says_each_of_its_long_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[str] = []

    @contextmanager
    def noted(what: str, say: Say) -> Iterator[None]:
        assert say is print
        parts.append(what)
        yield

    for place in ("train", "run"):
        monkeypatch.setattr(f"nextitem.experiment.{place}.told_if_slow", noted)
    rows = "".join(f"u{user},i{(user + step) % 7}\n" for user in range(20) for step in range(6))
    (tmp_path / "events.csv").write_text(f"user,item\n{rows}", encoding="utf-8")
    train(load_recipe("popularity", f"data={tmp_path / 'events.csv'}"), Session(0), tmp_path / "runs", say=print)
    assert parts == [
        f"reading {tmp_path / 'events.csv'}", "popularity learns", "ranking the targets of 20 validation cases",
        "ranking the targets of 20 test cases",
    ]  # fmt: skip
