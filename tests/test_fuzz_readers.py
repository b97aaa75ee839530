"""The tool that reads files which came to harm, with few of them; by hand and in `make fuzz` it reads many."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from nextitem.data.reading import files

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture
def _tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(TOOLS))
    yield
    for name in ("fuzz_corpus", "fuzz_others", "fuzz_properties"):
        sys.modules.pop(name, None)


def test_files_that_came_to_harm_are_read_or_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, TOOLS / "fuzz_readers.py", "--cases", "120", "--seed", "1", "--limit", "60"),
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    found = re.fullmatch(r"120 files in \d+ s, seed 1: 120 right \((\d+) read, (\d+) refused\), 0 wrong\n", done.stdout)
    assert found, done.stdout
    assert min(map(int, found.groups())) > 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_tools")
def test_a_case_follows_from_its_number_alone_and_every_format_has_its_turn() -> None:
    from fuzz_corpus import a_case

    cases = [a_case(random.Random(f"3 {number}")) for number in range(300)]
    assert cases == [a_case(random.Random(f"3 {number}")) for number in range(300)]
    lines = (".csv", ".tsv", ".inter", ".txt", ".dat", ".jsonl")
    text = [f"log{ending}{packed}" for ending in lines for packed in ("", ".gz", ".zst")]
    items = [f"items-log{ending}" for ending in (".csv", ".tsv", ".jsonl", ".json", ".parquet")]
    assert {case.name for case in cases} == {*text, "log.parquet", "log.arrow", "sequences-log.txt", *items}
    assert 10 < sum(case.is_whole for case in cases) < 60


@pytest.mark.usefixtures("_tools")
def test_a_reader_that_loses_an_event_crashes_or_refuses_what_is_whole_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fuzz_properties
    from fuzz_corpus import a_case

    case = next(
        one for one in (a_case(random.Random(number)) for number in range(999)) if one.is_whole and "-" not in one.name
    )
    file = tmp_path / case.name
    file.write_bytes(case.content)
    assert fuzz_properties.verdict(str(file), is_whole=True, is_deep=True) == "read"
    read = files.read_interactions

    def losing(*asked: object) -> object:
        found = read(*asked)  # type: ignore[arg-type]
        return type(found)(found.events.tail(-1))

    monkeypatch.setattr(fuzz_properties, "read_interactions", losing)
    assert fuzz_properties.verdict(str(file), is_whole=True, is_deep=False) == "wrong: 59 events of 60 records"
    monkeypatch.setattr(fuzz_properties, "read_interactions", lambda *_: [][0])
    assert fuzz_properties.verdict(str(file), is_whole=True, is_deep=False).startswith("wrong: IndexError: ")
    monkeypatch.undo()
    file.write_bytes(b"")
    refused = fuzz_properties.verdict(str(file), is_whole=True, is_deep=False)
    assert refused.startswith("wrong: what came to no harm is refused: ")
    assert fuzz_properties.verdict(str(file), is_whole=False, is_deep=False) == "refused"


@pytest.mark.usefixtures("_tools")
def test_items_that_are_lost_and_a_frame_that_is_another_log_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fuzz_others

    rows = "".join(f"i{number:02},a,1\n" for number in range(fuzz_others.ITEM_ROWS))
    items, log = tmp_path / "items-log.csv", tmp_path / "log.parquet"
    items.write_text(f"item,title,year\n{rows}")
    assert fuzz_others.on_items(items, is_whole=True) == "read"
    items.write_text(f"item,title,year\n{rows[:-9]}")
    assert fuzz_others.on_items(items, is_whole=True).startswith("wrong: of 40 items 39 rows")
    items.write_text("item,title,year\ni00,a\n")
    assert fuzz_others.on_items(items, is_whole=False) == "refused"
    pl.DataFrame({"user": [1, 2], "item": [3, 4]}).write_parquet(log)
    found = files.read_interactions(log).events
    assert fuzz_others.as_frame(log, found) == ""
    assert fuzz_others.as_frame(log, found.head(1)) == "another log as a frame than from the file"
