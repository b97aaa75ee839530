"""Memory that is free is given back when it has become much, but not all the time."""

import sys

import pytest
import torch

from nextitem.compute import memory as heap

MB = 1 << 20


class _Machine:
    """A clock, what a process holds by it, and when memory was given back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, trim_seconds: float = 0.0) -> None:
        self.second, self.holds, self.trims = 0.0, 100 * MB, []
        self._trim_seconds = trim_seconds
        monkeypatch.setattr("time.perf_counter", lambda: self.second)
        monkeypatch.setattr(heap, "resident", lambda: self.holds)
        monkeypatch.setattr(heap, "_TRIM", self._trim)
        monkeypatch.setattr(heap, "_IS_JEMALLOC", False)

    def _trim(self, keep: int) -> None:
        assert keep == 0
        self.trims.append(self.second)
        self.second += self._trim_seconds
        self.holds = 100 * MB


def test_memory_is_given_back_once_it_has_grown_by_64_mb(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    tidied = heap.Heap()
    for step in range(1, 30):
        machine.second = float(step)
        machine.holds += 10 * MB
        tidied.tidy()
    # The first call learns the level, and 7 · 10 MB later it is time; so again after that.
    assert machine.trims == [8.0, 16.0, 24.0]


def test_giving_back_takes_half_a_per_cent_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch, trim_seconds=0.5)
    tidied = heap.Heap()
    for _ in range(400):
        machine.second += 1.0
        machine.holds += 100 * MB
        tidied.tidy()
    assert len(machine.trims) == 1 + int(0.005 * machine.second / 0.5)


def test_a_process_that_does_not_grow_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    tidied = heap.Heap()
    for step in range(100):
        machine.second = float(step)
        tidied.tidy()
    assert machine.trims == []


def test_where_the_system_does_not_say_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    monkeypatch.setattr(heap, "resident", lambda: None)
    tidied = heap.Heap()
    for _ in range(3):
        tidied.tidy()
    assert machine.trims == []


def test_without_the_c_library_s_function_giving_back_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    monkeypatch.setattr(heap, "_TRIM", None)
    heap.give_back()
    assert machine.holds == 100 * MB
    assert machine.trims == []
    assert not heap.leaves_holes()


def test_jemalloc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    monkeypatch.setattr(heap, "_IS_JEMALLOC", True)
    heap.give_back()
    assert machine.trims == []
    assert not heap.leaves_holes()


@pytest.mark.skipif(sys.platform != "linux", reason="tells of /proc")
def test_what_a_process_holds_is_what_the_system_says() -> None:
    before = heap.resident()
    block = torch.ones(16 * MB)  # 64 MB
    after = heap.resident()
    assert before is not None
    assert after is not None
    assert 60 * MB < after - before < 90 * MB
    assert heap.most_resident() >= after
    assert block.sum() == 16 * MB
