"""Memory that is free is given back, but not all the time."""

import pytest

from nextitem import heap


def test_memory_is_given_back_every_ten_seconds_and_not_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, given = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(heap, "_TRIM", lambda keep: given.append((clock[0], keep)))
    tidied = heap.Heap()
    for second in range(35):
        clock[0] = float(second)
        tidied.tidy()
    assert given == [(11.0, 0), (22.0, 0), (33.0, 0)]


def test_where_the_library_cannot_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(heap, "_TRIM", None)
    tidied = heap.Heap()
    clock[0] = 100.0
    tidied.tidy()  # raises nothing
    given: list[int] = []
    monkeypatch.setattr(heap, "_TRIM", given.append)
    tidied.tidy()
    assert given == [0]  # it has been waiting all the time
