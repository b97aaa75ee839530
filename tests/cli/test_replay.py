"""`nextitem replay`, as it is typed."""

import json
from pathlib import Path

import pytest

from nextitem.serving.replay.replayed import Replayed
from worlds.command_line import typed
from worlds.stored_runs import written


def test_the_test_cases_of_a_run_in_a_service_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(written(tmp_path))
    assert typed(monkeypatch, "replay", folder, "--test", "--limit", "20", "--k", "3", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["cases"], told["differ"], told["after_deadline"]) == (20, 0, 0)
    hits = told["metrics"]["hit_rate@3"]
    assert hits["served"] == pytest.approx(hits["offline"], abs=1e-12)


def test_later_events_are_shown_by_age_and_a_difference_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, file = str(written(tmp_path)), tmp_path / "later.csv"
    file.write_text("user,item,time\n" + "".join(f"u{n:02},i{n:02},{86400 * n}\n" for n in range(10)))
    assert typed(monkeypatch, "replay", folder, str(file)) == 0
    out = capfd.readouterr().out
    assert "Every target stands where it ranks offline." in out
    assert "by the model's age" in out
    monkeypatch.setattr(Replayed, "differs_C", property(lambda self: self.place_C >= 0))
    assert typed(monkeypatch, "replay", folder, str(file), "--limit", "2") == 1
    assert "2 cases of 2 stand elsewhere than offline" in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "either a file of EVENTS or --test"),
        (("--test", "--token-file", "token"), "about the service at --url"),
        (("--test", "--url", "localhost:1"), "no address of a service"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert typed(monkeypatch, "replay", str(written(tmp_path)), *words) == 2
    assert message in " ".join(capfd.readouterr().err.split())
