"""`nextitem serve`: what its options come to; what it serves is tested where it is served."""

from pathlib import Path
from typing import Any

import pytest

from nextitem.serving.service import listening
from nextitem.serving.service.service import Service
from worlds.command_line import typed
from worlds.films import stored


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [str(one) for one in stored(tmp_path_factory.mktemp("films"))]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Service]:
    """The services that would have been served."""
    found = list[Service]()

    def listen(_: Any, opened: Any, service: Service, __: Any) -> None:
        opened.close()
        found.append(service)

    monkeypatch.setattr(listening, "listen", listen)
    return found


def test_options_are_settings_and_shares_are_dealt_out(
    folders: list[str], made: list[Service], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = {"port": 0, "shares": "0.9,0.1", "queue": 7, "wait": 0.5, "batch": 3, "deadline": 0.1, "model-threads": 1}
    words = [f"--{name}={value}" for name, value in options.items()]
    assert typed(monkeypatch, "serve", *folders, "--events", str(tmp_path / "events.db"), "--log-ids", *words) == 0
    [service] = made
    settings = service.settings
    assert (settings.queue, settings.wait, settings.batch, settings.deadline) == (7, 0.5, 3, 0.1)
    assert settings.log_ids
    assert [one.share for one in service.models.current.values()] == [0.9, 0.1]
    assert service.events is not None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shares", "0.9"], "1 shares for 2 models"),
        (["--shares", "0.9,0.2"], "add up to 1"),
        (["--shares", "half,half"], "numbers between commas"),
        (["--wait", "0"], "wait"),
        (["--deadline", "nan"], "deadline"),
    ],
)
def test_what_cannot_be_is_said_before_anything_listens(
    folders: list[str], made: list[Service], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], words: list[str], told: str,
) -> None:  # fmt: skip
    assert typed(monkeypatch, "serve", *folders, "--port", "0", *words) == 2
    assert told in capsys.readouterr().err
    assert not made
