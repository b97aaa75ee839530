"""`nextitem demo --serve`: a page on this machine; what is on it is tested elsewhere."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from nextitem.experiment.train import Extras, train
from nextitem.serving.service import listening
from nextitem.studies import demo
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.films import events
from worlds.resolving import resolved


def test_it_says_its_address_and_serves_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked, paths = list[Path](), list[str]()

    def made(seed: int, out: Path, say: Callable[[str], None]) -> list[Path]:
        asked.append(out)
        popular = resolved("popularity")
        return [train(popular, Session(seed), out, events=events(), extras=Extras(baselines=False)).folder]

    def listen(app: FastAPI, opened: socket.socket, settings: object, told: Callable[[], None]) -> None:
        paths.append(app.url_path_for("page"))
        opened.close()  # as the server does
        told()

    monkeypatch.setattr(demo, "served", made)
    monkeypatch.setattr(listening, "listen", listen)
    assert typed(monkeypatch, "demo", "--serve", "--port", "0") == 0
    assert asked == [tmp_path / "nextitem" / "demo"]
    assert paths == ["/"]
    said = capsys.readouterr().out
    assert said.startswith("http://127.0.0.1:")
    assert "Ctrl-C ends it" in said


def test_a_port_that_is_taken_is_told_of_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "served", lambda *_: pytest.fail("trained"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert typed(monkeypatch, "demo", "--serve", "--port", str(taken.getsockname()[1])) == 5
