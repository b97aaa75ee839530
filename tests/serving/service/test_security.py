"""Who may ask a service."""

import base64
from pathlib import Path

import pytest

from nextitem.errors import ConfigurationError
from nextitem.serving.service.security import Token, token_of
from nextitem.serving.service.settings import ServiceSettings
from worlds.command_line import typed
from worlds.served import served

SECRET = "0123456789abcdef-secret"


def test_without_a_token_the_service_does_not_start_where_others_can_ask(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NEXTITEM_TOKEN", raising=False)
    assert typed(monkeypatch, "serve", "no-run", "--host", "0.0.0.0") == 2
    assert "there is no token" in capfd.readouterr().err


def test_a_token_comes_from_a_file_or_else_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTITEM_TOKEN", "another-secret-of-the-environment")
    file = tmp_path / "token"
    file.write_text(SECRET + "\n")
    found = token_of(file, ServiceSettings())
    assert found is not None
    assert found.fits(f"Bearer {SECRET}".encode())
    assert SECRET not in repr(found)
    other = token_of(None, ServiceSettings())
    assert other is not None
    assert other.fits(b"Bearer another-secret-of-the-environment")


@pytest.mark.parametrize("secret", ["short", "with a blank in it", "ümlaut-0123456789"])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="characters; it needs 16"):
        Token(secret)


def test_with_a_token_nothing_but_health_is_open_and_no_log_line_has_it() -> None:
    basic = base64.b64encode(f"anybody:{SECRET}".encode()).decode()
    with served(token=Token(SECRET)) as one:
        assert one.client.get("/health/ready").status_code == 200
        for header in (None, "Bearer wrong", f"Bearer {SECRET}x", "Basic ???", SECRET):
            answer = one.client.get("/metrics", headers={} if header is None else {"authorization": header})
            assert (answer.status_code, answer.json()["code"]) == (401, "no_token")
        for header in (f"Bearer {SECRET}", f"Basic {basic}"):
            assert one.client.get("/metrics", headers={"authorization": header}).status_code == 200
    assert SECRET not in one.written.getvalue()
