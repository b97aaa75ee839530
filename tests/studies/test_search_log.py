"""What a search keeps is what it was when its last trial ended, with whatever was appended since."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nextitem.errors import ArtefactError
from nextitem.studies.search_log import check, seal, understood


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "trials.log"
    file.write_text('{"trial": 1}\n{"trial": 2}\n')
    seal(file)
    return file


def test_what_was_appended_since_is_accepted(file: Path) -> None:
    check(file)
    with file.open("a") as content:
        content.write('{"trial": 3}\n')
    check(file)
    seal(file)
    check(file)


def test_a_search_that_is_new_has_nothing_to_prove(tmp_path: Path) -> None:
    check(tmp_path / "trials.log")
    (tmp_path / "trials.log").write_text("")
    check(tmp_path / "trials.log")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("damage", "fact"),
    [
        (lambda file: file.write_text('{"trial": 1}\n{"trial": 4}\n'), "trials.log was altered: its sha256 is not"),
        (lambda file: file.write_text('{"trial": 1}\n'), "trials.log was altered"),
        (Path.unlink, "No such file"),
        (lambda file: (file.unlink(), os.mkfifo(file)), "trials.log is a named pipe, not a regular file"),
        (lambda file: (file.unlink(), file.symlink_to("/dev/zero")), "is a device, not a regular file"),
        (lambda file: file.with_suffix(".sealed.json").write_text("null"), "should be a table"),
        (lambda file: file.with_suffix(".sealed.json").write_text(json.dumps({"bytes": -1})), "bytes = -1"),
    ],
)  # fmt: skip
def test_what_was_altered_is_refused_by_name(damage: Callable[[Path], object], fact: str, file: Path) -> None:
    damage(file)
    with pytest.raises(ArtefactError, match=rf"(?s).*{fact}.*; restore it, or choose another --out") as refused:
        check(file)
    assert refused.value.exit_code == 4


def test_without_its_seal_a_pipe_is_still_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trials.log")
    with pytest.raises(ArtefactError, match="is a named pipe"):
        check(tmp_path / "trials.log")


def test_what_is_no_log_of_trials_is_refused_by_name(file: Path) -> None:
    with (
        pytest.raises(ArtefactError, match=r"trials\.log cannot be read as the trials of a search: KeyError: 'op'"),
        understood(file),
    ):
        raise KeyError("op")
