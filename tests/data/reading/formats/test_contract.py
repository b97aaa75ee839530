"""What every format on the shelf owes, and what one more of them takes."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import polars as pl
import pytest

from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import is_text, read_interactions
from nextitem.data.reading.format import AS_THE_FORMAT, Content, Format, Layout
from nextitem.data.reading.formats import EVENT_FORMATS
from nextitem.data.reading.packing import PACKINGS
from nextitem.errors import ConfigurationError, DataError
from worlds.event_files import EVENTS, Write, refusal

ENDINGS = [(ending, form) for form in EVENT_FORMATS for ending in form.endings]
NAMES = [form.name for form in EVENT_FORMATS]
every_ending = pytest.mark.parametrize(("ending", "form"), ENDINGS, ids=[ending for ending, _ in ENDINGS])
every_text = pytest.mark.parametrize("ending", [ending for ending, form in ENDINGS if form.is_text])


def test_an_ending_tells_one_format() -> None:
    assert set(Counter(ending for ending, _ in ENDINGS).values()) == {1}


@every_ending
def test_an_ending_is_written_as_it_is_compared(ending: str, form: Format) -> None:
    assert ending.startswith(".")
    assert ending == ending.lower()
    assert not ending.endswith(tuple(PACKINGS))


@every_text
@pytest.mark.parametrize("compressed", ["", ".gz", ".zst"])
@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_text_without_a_record_is_empty(written: Write, ending: str, compressed: str, content: str) -> None:
    file = written(f"log{ending}{compressed}", content)
    assert refusal(file) == f"{file} is empty; give a file with at least one event"


@every_ending
def test_whether_ids_are_text_follows_from_the_name(written: Write, ending: str, form: Format) -> None:
    assert is_text(written(f"LOG{ending.upper()}", "")) == form.is_text


def test_an_unknown_ending_is_answered_with_all_there_are(written: Write) -> None:
    file = written("log.xml", "")
    assert refusal(file) == (
        f"{file}: the ending of the name has to tell the format, or columns.format=NAME ({', '.join(NAMES)}), or of a "
        f"text columns.separator; known: {', '.join(ending for ending, _ in ENDINGS)}; those of text also with .gz or "
        f".zst behind"
    )


def test_every_name_of_a_format_can_be_asked_for() -> None:
    assert list(get_args(get_args(Columns.model_fields["format"].annotation)[0])) == NAMES
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(("ending", "layout"), [(".txt", "user item"), (".dat", "user::item::rating::time")])
def test_columns_that_a_format_lays_down_cannot_be_named(written: Write, ending: str, layout: str) -> None:
    file = written(f"log{ending}", layout)
    with pytest.raises(ConfigurationError) as caught:
        read_interactions(file, Columns(user="user"))
    assert str(caught.value) == (
        f"{file} holds '{layout}' without a header; leave out the names of columns, or give user and item by number "
        f"(columns.user=1 columns.item=2)"
    )


@dataclass(frozen=True)
class Objects:
    """A format that is not on the shelf: an object a line; what the first one names are the columns."""

    name: str = "objects"
    endings: tuple[str, ...] = (".objects",)
    is_text: bool = True
    may_be_packed: bool = False
    separator: None = None

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content | None:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        header = list(rows[0])

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            columns = {role: [str(row[header[place]]) for row in rows] for role, place in places.items()}
            yield pl.LazyFrame(columns).with_row_index("row", offset=1)

        return Content(header, frames)


def test_text_without_a_separator_needs_nothing_but_its_own_file(
    written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextitem.data.reading.choosing.EVENT_FORMATS", (*EVENT_FORMATS, Objects()))
    rows = [dict(zip(EVENTS, event, strict=True)) for event in zip(*EVENTS.values(), strict=True)]
    file = written("log.objects", "".join(f"{json.dumps(row)}\n" for row in rows))
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS
    with pytest.raises(DataError, match=r"log\.objects:2:item: ' ' is blank"):
        read_interactions(written("log.objects", '{"user": 1, "item": 2}\n{"user": 1, "item": " "}\n'))
