"""What is printed is whole at any width, and what came from elsewhere steers no terminal."""

import ast
import io
import json
import logging
from importlib.resources import files
from pathlib import Path

import pytest
from rich.console import Console

from nextitem.cli import console
from nextitem.cli.console import Sheet, show, show_data, show_entry, show_json, show_table
from nextitem.compute.streams import taking_everything
from nextitem.errors import StorageError

STEERING = "\x1b[31m red \u202e txt \r \x9b2J \x07"


def sheet(columns: int = 8) -> Sheet:
    made = Sheet("a title of six words here", ["recipe", *(f"column {i}" for i in range(columns))], left=("recipe",))
    made.caption = "what is said below the table"
    for name in ("sasrec-ce", "bert4rec@klenitskiy2023"):
        made.add(name, *(f"0.{i}123\n(0.{i}000 – 0.{i}999)" for i in range(columns)))
    return made


def printed(monkeypatch: pytest.MonkeyPatch, made: Sheet, width: int | None) -> str:
    """The table on a terminal of that width, or in a file."""
    out = io.StringIO()

    def of_width(**given: int) -> Console:
        if width is None:
            return Console(file=out, **given)
        return Console(file=out, force_terminal=True, width=given.get("width", width), no_color=True)

    monkeypatch.setattr(console, "Console", of_width)
    show_table(made)
    return out.getvalue()


@pytest.mark.parametrize("width", [240, 120, 80, 60, 40, 24])
def test_on_a_terminal_nothing_is_cut_and_no_line_is_wider(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = printed(monkeypatch, sheet(), width)
    assert "…" not in text
    plain = [line.replace("\x1b[3m", "").replace("\x1b[0m", "").replace("\x1b[1m", "") for line in text.splitlines()]
    plain = [line.replace("\x1b[2;3m", "") for line in plain]
    assert max(map(len, plain)) <= width
    for i in range(8):
        assert all(text.count(part) == 2 for part in (f"0.{i}123", f"0.{i}000", f"0.{i}999"))


def test_a_table_that_is_too_wide_stands_in_several_with_the_first_column_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert printed(monkeypatch, sheet(), 240).count("sasrec-ce") == 1
    assert 1 < printed(monkeypatch, sheet(), 100).count("sasrec-ce") < 8


def test_what_is_too_wide_even_then_stands_as_records(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, sheet(2), 38).splitlines()
    assert "  column 0  0.0123 (0.0000 – 0.0999)" in [line.rstrip() for line in lines]


def test_a_file_takes_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, sheet(20), None).splitlines()
    assert len({len(line) for line in lines[1:-1]}) == 1


def test_nothing_from_elsewhere_steers_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(STEERING)
    console.say(STEERING)
    show_json({"id": STEERING + "é"})
    with taking_everything():
        logging.getLogger("nextitem.data").info("%s", STEERING)
    hostile = Sheet(STEERING, ("a", STEERING), caption=STEERING)
    hostile.add(STEERING, "[red]markup[/red]")
    shown = printed(monkeypatch, hostile, None)
    assert "[red]markup[/red]" in shown
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[1]) == {"id": STEERING + "é"}
    for text in (out, err, shown):
        assert not {*text} & {*"\x1b\u202e\r\x9b\x07"}
        assert r"\u001b[31m" in text


class Stream(io.TextIOWrapper):
    """stdout as a terminal or as something else, which takes ASCII alone."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="ascii")
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def text(self) -> str:
        self.seek(0)
        return self.read()


def test_data_for_programs_are_exact_and_for_eyes_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_terminal, expected in ((False, "a\x1b,1\n"), (True, "a\\u001b,1\n")):
        stream = Stream(is_terminal)
        monkeypatch.setattr("sys.stdout", stream)
        show_data("a\x1b,1\n")
        assert stream.text() == expected


def test_an_id_that_stdout_cannot_take_is_refused_and_not_written_in_another_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout", Stream(False))
    with pytest.raises(StorageError, match=r"stdout takes ascii alone, and '\\xe9' is not in it; set PYTHONIOENCODING"):
        show_data("caf\xe9\n")


def test_json_for_a_stream_of_ascii_is_still_json(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(False)
    monkeypatch.setattr("sys.stdout", stream)
    show_json({"item": "é – \U0001f600"})
    assert stream.text().isascii()
    assert json.loads(stream.text()) == {"item": "é – \U0001f600"}


def test_no_verb_prints_by_itself() -> None:
    for file in files("nextitem.cli").iterdir():
        if not file.name.endswith(".py") or file.name == "console.py":
            continue
        calls = [
            node.func for node in ast.walk(ast.parse(Path(str(file)).read_text("utf-8"))) if isinstance(node, ast.Call)
        ]
        names = [getattr(call, "attr", getattr(call, "id", "")) for call in calls]
        assert not {*names} & {"echo", "secho", "print"}, file.name


def test_an_entry_is_a_line_in_a_file_and_stands_beside_its_name_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = " ".join(["word"] * 12)
    show_entry("  name", f"{words}\x1b", width=10)
    assert capsys.readouterr().out == f"  name    {words}\\u001b\n"
    out = io.StringIO()
    monkeypatch.setattr(console, "Console", lambda: Console(file=out, force_terminal=True, width=40, no_color=True))
    show_entry("  name", words, width=10)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines == [f"  name    {' '.join(['word'] * 6)}", f"          {' '.join(['word'] * 6)}"]
