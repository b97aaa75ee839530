"""The list of verbs, and what they ask for alike."""

import inspect
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from importlib.resources import files

import pytest
from typer.core import TyperCommand
from typer.exceptions import Exit

from nextitem.cli import app
from nextitem.cli.app import VERBS, verb
from nextitem.cli.usage import usage_of
from worlds.command_line import typed

SHARED = {"app", "options", "tables", "console", "usage"}


def helps() -> dict[str, dict[str, str | None]]:
    """The help of every option, by its name and then by verb."""
    found: dict[str, dict[str, str | None]] = defaultdict(dict)
    for name in VERBS:
        for parameter in verb(name).params:
            found[str(parameter.name)][name] = getattr(parameter, "help", None)
    return found


def function(name: str) -> Callable[..., None]:
    """What runs a verb."""
    return getattr(import_module(f"nextitem.cli.{name}"), name)  # type: ignore[no-any-return]


def test_the_list_says_of_a_verb_what_it_says_of_itself() -> None:
    assert {name: (inspect.getdoc(function(name)) or "").split("\n")[0] for name in VERBS} == VERBS


def test_every_file_is_a_listed_verb_of_its_name_or_what_verbs_share() -> None:
    there = {entry.name.removesuffix(".py") for entry in files("nextitem.cli").iterdir() if entry.name.endswith(".py")}
    assert there - SHARED - {"__init__"} == {*VERBS}
    assert all(function(name).__name__ == name for name in VERBS)


def test_help_lists_the_verbs_in_their_order(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "--help") == 0
    out = capfd.readouterr().out
    places = [out.index(f"│ {name} ") for name in VERBS]  # the first word of a line of the list
    assert places == sorted(places)


def test_help_says_without_a_verb_what_the_verb_would_say(capsys: pytest.CaptureFixture[str]) -> None:
    def told(command: TyperCommand) -> str:
        with pytest.raises(Exit):
            command.make_context(command.name, ["--help"])
        return capsys.readouterr().out

    for name in VERBS:
        assert told(usage_of(name)) == told(verb(name))


def test_what_is_mistyped_is_refused_without_the_verb(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "verb", None)  # which would be imported
    assert typed(monkeypatch, "train", "sasrec-ce", "--sed", "1") == 2
    assert "No such option: --sed (Possible options: --seed" in capfd.readouterr().err
    assert typed(monkeypatch, "serve", "-h") == 0
    assert "--port" in capfd.readouterr().out


@pytest.mark.parametrize("option", ["device", "threads", "runs"])
def test_an_option_that_means_the_same_has_one_help_text(option: str) -> None:
    told = helps()[option]
    assert len(told) >= 3
    assert len(set(told.values())) == 1, told


def test_every_verb_and_every_option_says_what_it_is() -> None:
    silent = [(option, verb) for option, by_verb in helps().items() for verb, text in by_verb.items() if not text]
    assert silent == []
