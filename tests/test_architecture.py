"""docs/architecture.md shows the house as it is: every room has its line, and every file is named in its room."""

import re
from importlib.resources import files
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = Path(str(files("nextitem")))


def shown() -> dict[str, set[str]]:
    """The words that the page has about each room or file beside them."""
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"```\nsrc/nextitem/\n(.*?)```", page, re.DOTALL)
    found: dict[str, set[str]] = {}
    for line in tree.splitlines():
        if start := re.match(r"  (\w+)(/|\.py) ", line):
            room = found.setdefault(start[1], set())
            line = line[start.end() :]
        room |= set(re.findall(r"\w+", line))
    return found


def built() -> dict[str, set[str]]:
    """The files and folders below each room."""
    rooms = [
        entry for entry in PACKAGE.iterdir() if not entry.name.startswith(("__", ".")) and entry.suffix != ".typed"
    ]
    return {
        room.stem: {file.stem for file in room.rglob("*.py")} - {"__init__"}
        | {folder.name for folder in room.rglob("*") if folder.is_dir() and folder.name != "__pycache__"}
        for room in rooms
    }


def test_every_room_has_its_line() -> None:
    assert shown().keys() == built().keys()


def test_every_file_is_named_in_its_room() -> None:
    missing = {room: names - shown()[room] for room, names in built().items()}
    assert not any(missing.values()), missing
