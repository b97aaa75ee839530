"""A path of a log is literal, but for `*` where no file is called so; what is none is named for what it is."""

import os
from pathlib import Path

import pytest

from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.data.reading.files import read_interactions
from nextitem.data.reading.paths import files_of
from nextitem.errors import DataError, StorageError
from nextitem.experiment.recipe import Recipe
from worlds.event_files import CSV, EVENTS, Write, refusal


def test_links_to_nothing_are_called_so(tmp_path: Path, written: Write) -> None:
    written("logs.csv", CSV)
    link = tmp_path / "log.csv"
    link.symlink_to("gone.csv")
    assert refusal(link) == (f"{link} is a link to nothing: there is no 'gone.csv'; correct the link or give the file")
    with pytest.raises(DataError, match="is a link to nothing"):
        prepare(Recipe(data=str(link)))
    with pytest.raises(DataError, match="is a link to nothing"):
        prepare_into(tmp_path / "prepared", str(link))
    link.unlink()
    link.symlink_to("logs.csv")
    assert read_interactions(link).events.to_dict(as_series=False) == EVENTS


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for name, kind in (("pipe.csv", "a named pipe"), ("zero.csv", "a device")):
        assert refusal(tmp_path / name) == (
            f"{tmp_path / name} is {kind}, and events are read from files alone; write them into one"
        )


def test_a_folder_that_may_not_be_entered_is_a_storage_error(locked: Path, tmp_path: Path) -> None:
    file = locked / "log.csv"
    for read in (
        lambda: read_interactions(file),
        lambda: prepare(Recipe(data=str(file))),
        lambda: prepare_into(tmp_path / "prepared", str(file)),
        lambda: prepare_into(tmp_path / "prepared", str(locked / "log*.csv")),
    ):
        with pytest.raises(
            StorageError, match=r"/locked/log\*?\.csv cannot be looked at: Permission denied; correct the"
        ):
            read()


# patterns


@pytest.mark.parametrize("name", ["a*.csv", "*.csv", "a**b.csv", "[a]*.csv"])
def test_a_file_with_a_star_in_its_name_is_that_file(written: Write, tmp_path: Path, name: str) -> None:
    written("ab.csv", "user,item\nother,y\n")
    file = written(name, f"{CSV}ann,z,30\n")
    assert files_of(str(file)) == [file]
    assert len(read_interactions(file)) == 4
    prepare_into(tmp_path / "prepared", str(file))
    assert prepare(Recipe(data=str(tmp_path / "prepared"))).log.users.ids.to_list() == ["ann", "bob"]


def test_only_a_star_is_a_pattern(written: Write, tmp_path: Path) -> None:
    for name in ("p[1]-a.csv", "p[1]-b.csv", "p1-c.csv", "p[1]-b.csv.bak", "x p[1]-b.csv"):
        written(name, CSV)
    (tmp_path / "p[1]-d.csv").mkdir()
    assert files_of(str(tmp_path / "p[1]-*.csv")) == [tmp_path / f"p[1]-{letter}.csv" for letter in "ab"]
    assert files_of(str(tmp_path / "p[1]-*")) == [tmp_path / f"p[1]-{rest}" for rest in ("a.csv", "b.csv", "b.csv.bak")]
    assert files_of(str(tmp_path / "*")) == files_of(str(tmp_path / "**"))
    assert files_of(str(tmp_path / "p?-*.csv")[:-5]) == [tmp_path / "p?-"]
    written("p[1]-d.csv/e.csv", CSV)
    assert files_of(str(tmp_path / "p*/*.csv")) == files_of(tmp_path / "*" / "e.csv") == [tmp_path / "p[1]-d.csv/e.csv"]
    for nothing in ("q*.csv", "p?-*.csv", "*/p*.csv", "no/p*.csv"):
        with pytest.raises(DataError, match="no file fits the pattern"):
            files_of(str(tmp_path / nothing))
