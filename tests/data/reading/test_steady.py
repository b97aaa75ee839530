"""A file that is written to, replaced or removed while it is read is refused, whatever else is found in it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nextitem.data.features.columns import Features
from nextitem.data.features.files import rows_of_file
from nextitem.data.reading import files
from nextitem.data.reading.checks import EventPart, EventSource
from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.lists import read_lists
from nextitem.data.reading.records import Divided
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.steady import unchanged
from nextitem.errors import DataError
from worlds.event_files import CSV, Write


def append(file: Path) -> None:
    with file.open("a") as log:
        log.write("ann,z,30\n")


def write_anew(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content)
    os.utime(file, ns=(1, 1))


def exchange(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes() + b"ann,z,30\n")
    other.replace(file)


CHANGES: dict[str, Callable[[Path], None]] = {
    "changed while it was read (43 bytes before, 52 now)": append,
    "changed while it was read": write_anew,
    "changed while it was read (43 bytes before, 52 now) ": exchange,
    "was removed while it was read": Path.unlink,
}


@pytest.mark.parametrize("fact", CHANGES)
@pytest.mark.parametrize("read", [read_interactions, lambda file: list(read_parts(file))], ids=["whole", "parts"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    written: Write, monkeypatch: pytest.MonkeyPatch, fact: str, read: Callable[[Path], object]
) -> None:
    file = written("log.csv", CSV + "\n")
    checked, changes = EventSource.checked, [CHANGES[fact]]

    def changing(source: EventSource, events: object) -> EventPart:
        while changes:
            changes.pop()(file)
        return checked(source, events)  # type: ignore[arg-type]

    monkeypatch.setattr(files.EventSource, "checked", changing)
    with pytest.raises(DataError) as caught:
        read(file)
    assert str(caught.value) == f"{file} {fact.strip()}; read it again once nobody writes to it, or read a copy"


def test_a_table_of_items_and_a_file_of_lists_may_not_change_either(
    written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    divided, changes = Divided.content, list[Callable[[Path], None]]()

    def changing(form: Divided, file: Path, layout: Layout = AS_THE_FORMAT) -> Content | None:
        found = divided(form, file, layout)
        while changes:
            changes.pop()(file)
        return found

    monkeypatch.setattr(Divided, "content", changing)
    items, lists = (
        written("items.csv", "item,title,year\n7,Heat,1995\n"),
        written("lists.csv", "user,item,rank\nu,a,1\n"),
    )
    for file, read in ((items, lambda file: rows_of_file(Features(file=str(file)))), (lists, read_lists)):
        changes.append(append)
        with pytest.raises(DataError, match=f"{file} changed while it was read"):
            read(file)


def test_a_file_that_grows_as_fast_as_it_is_read_has_an_end_all_the_same(written: Write) -> None:
    file = written("log.csv", CSV)
    parts = (append(file) for _ in read_parts(file, events=1))
    with pytest.raises(DataError, match="changed while it was read"):
        list(parts)


def test_what_a_change_made_unreadable_is_told_as_a_change(written: Write) -> None:
    file = written("log.csv", CSV)

    def fail() -> None:
        with unchanged(file):
            append(file)
            raise DataError("a quote is never closed")

    with pytest.raises(DataError, match="changed while it was read") as caught:
        fail()
    assert str(caught.value.__cause__) == "a quote is never closed"


def test_reading_that_is_given_up_is_no_change(written: Write) -> None:
    file = written("log.csv", CSV)
    parts = read_parts(file, events=1, rejected=RejectedRows())
    next(parts)
    append(file)
    parts.close()
