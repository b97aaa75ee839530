"""The list of verbs, and what they ask for alike."""

import inspect
from collections import defaultdict
from importlib.resources import files

import pytest
import typer

from nextitem.cli.app import VERBS, app
from worlds.command_line import typed

SHARED = {"app", "options", "tables", "console"}


def helps() -> dict[str, dict[str, str | None]]:
    """The help of every option, by its name and then by verb."""
    found: dict[str, dict[str, str | None]] = defaultdict(dict)
    for verb, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            found[parameter.name][verb] = getattr(parameter, "help", None)
    return found


def test_every_file_is_a_listed_verb_of_its_name_or_what_verbs_share() -> None:
    there = {entry.name.removesuffix(".py") for entry in files("nextitem.cli").iterdir() if entry.name.endswith(".py")}
    assert there - SHARED - {"__init__"} == {verb.__name__ for verb in VERBS}
    assert all(verb.__module__ == f"nextitem.cli.{verb.__name__}" for verb in VERBS)


def test_help_lists_the_verbs_in_their_order(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "--help") == 0
    out = capfd.readouterr().out
    places = [out.index(f"│ {verb.__name__} ") for verb in VERBS]  # the first word of a line of the list
    assert places == sorted(places)


@pytest.mark.parametrize("option", ["device", "threads", "runs"])
def test_an_option_that_means_the_same_has_one_help_text(option: str) -> None:
    told = helps()[option]
    assert len(told) >= 3
    assert len(set(told.values())) == 1, told


def test_every_verb_and_every_option_says_what_it_is() -> None:
    assert all(inspect.getdoc(verb) for verb in VERBS)
    silent = [(option, verb) for option, by_verb in helps().items() for verb, text in by_verb.items() if not text]
    assert silent == []
