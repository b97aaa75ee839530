"""The verb `study`, apart from what it trains."""

import pytest

from nextitem.cli import study


def test_a_note_is_said_once_however_often_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(study, "say", said.append)
    tell = study._NotesOnce()
    for sentence in ("note: 3 ties", "SASRec+, seed 0: training", "note: 3 ties", "SASRec+, seed 0: training"):
        tell(sentence)
    assert said == ["note: 3 ties", "SASRec+, seed 0: training", "SASRec+, seed 0: training"]
